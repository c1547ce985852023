import type { Request } from 'express';
import type { z } from 'zod';
import { ServiceError, type ErrorCode } from '../../core/errors.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import type { StreamMode } from '../../core/run.ts';
import { jsonObject } from '../../http/fields.ts';
import { parse } from '../../http/parse.ts';
import { route, type Call, type Route } from '../../http/route.ts';
import { departure, sendEvents, sendLate } from '../../http/sse.ts';
import { RpcError } from './rpc-error.ts';
import { agentPath, rpcBody, rpcRequest, sendParams, taskParams } from './schemas.ts';
import type { AgentTasks } from './service.ts';

const AGENT = '/a2a/:assistant_id';
const CARD = '/.well-known/agent-card.json';
type AgentCall = Call<z.output<typeof agentPath>, unknown, Json>;

/** Assistants as agents of the Agent2Agent protocol, by JSON-RPC over HTTP. */
export function a2aRoutes(tasks: AgentTasks, { heartbeatMs }: { heartbeatMs: number }): Route[] {
  return [
    route(
      {
        method: 'post',
        path: AGENT,
        access: 'known',
        summary: 'Talk to an assistant: the Agent2Agent protocol',
        description:
          'JSON-RPC 2.0 with `message/send`, `message/stream` (server-sent events), `tasks/get` and `tasks/cancel`. A context is a thread. A task that needs an answer says `input-required`: send a message with its `taskId`.',
        params: agentPath,
        body: rpcBody,
        answer: jsonObject,
      },
      (call) => answer(tasks, call, heartbeatMs),
    ),
    ...cardRoutes(tasks),
  ];
}

function cardRoutes(tasks: AgentTasks): Route[] {
  const summary = 'Describe an assistant as an agent';
  return [
    route(
      {
        method: 'get',
        path: CARD,
        summary: `${summary}, by its id or its graph’s`,
        query: agentPath,
        answer: jsonObject,
      },
      async ({ caller, query, req }) => card(await tasks.agent(caller, query.assistant_id), req),
    ),
    route(
      { method: 'get', path: `${AGENT}${CARD}`, summary, params: agentPath, answer: jsonObject },
      async ({ caller, params, req }) => card(await tasks.agent(caller, params.assistant_id), req),
    ),
  ];
}

function card(agent: Awaited<ReturnType<AgentTasks['agent']>>, req: Request): JsonObject {
  const { assistant_id, name, description, version } = agent;
  const modes = ['text/plain', 'application/json'];
  return {
    protocolVersion: '0.3.0',
    name,
    description,
    version: String(version),
    url: `${req.protocol}://${req.get('host') ?? ''}${req.baseUrl}/a2a/${assistant_id}`,
    preferredTransport: 'JSONRPC',
    capabilities: { streaming: true, pushNotifications: false, stateTransitionHistory: false },
    defaultInputModes: modes,
    defaultOutputModes: modes,
    skills: [{ id: assistant_id, name, description, tags: [] }],
  };
}

/** What is wrong with a request is told in the words of JSON-RPC; who may not make it, as everywhere else. */
async function answer(tasks: AgentTasks, call: AgentCall, heartbeatMs: number): Promise<unknown> {
  const { caller, params: agent, res } = call;
  await tasks.check(caller, agent.assistant_id);
  const { success, data: request } = rpcRequest.safeParse(call.body);
  const id = request?.id ?? null;
  const withId = (result: unknown) => ({ jsonrpc: '2.0', id, result });
  try {
    if (!success)
      throw new RpcError('invalid_request', 'This is no JSON-RPC 2.0 request: {jsonrpc, id, method, params}');
    const params = request.params ?? {};
    switch (request.method) {
      case 'message/send': {
        const { configuration, ...sent } = checked(sendParams, params);
        const work = await tasks.begin(caller, { ...sent, assistantId: agent.assistant_id, modes: ['values'] });
        const { blocking = true, historyLength } = configuration ?? {};
        if (!blocking) return withId(await tasks.describe(caller, work, historyLength));
        const rest = tasks.rest(caller, work, { signal: departure(res), historyLength });
        await sendLate(res, rest.then(withId), heartbeatMs);
        return undefined;
      }
      case 'message/stream': {
        const sent = checked(sendParams, params);
        const modes: StreamMode[] = ['values', 'messages-tuple'];
        const work = await tasks.begin(caller, { ...sent, assistantId: agent.assistant_id, modes });
        const signal = departure(res);
        await sendEvents(res, asEvents(tasks.follow(caller, work, signal), withId), { signal, heartbeatMs });
        return undefined;
      }
      case 'tasks/get':
        return withId(await tasks.get(caller, checked(taskParams, params)));
      case 'tasks/cancel':
        return withId(await tasks.cancel(caller, checked(taskParams, params), departure(res)));
      default:
        throw new RpcError('method_not_found', `There is no method ${request.method}: see the agent card`);
    }
  } catch (error) {
    const { code, message } = toRpc(error);
    return { jsonrpc: '2.0', id, error: { code, message } };
  }
}

async function* asEvents(updates: AsyncIterable<unknown>, withId: (result: unknown) => object) {
  let id = 0;
  for await (const update of updates) yield { event: 'message', data: JSON.stringify(withId(update)), id: id++ };
}

function checked<T>(schema: z.ZodType<T>, params: Json): T {
  return parse(schema, params, 'params').value;
}

/** Throws what is not about the request itself. */
function toRpc(error: unknown): RpcError {
  if (error instanceof RpcError) return error;
  if (!(error instanceof ServiceError) || !ABOUT_THE_REQUEST.has(error.code)) throw error as Error;
  return new RpcError(error.code === 'graph_failed_to_load' ? 'internal' : 'invalid_params', error.message);
}

const ABOUT_THE_REQUEST: ReadonlySet<ErrorCode> = new Set([
  'invalid_input',
  'unsupported_field',
  'conflict',
  'busy',
  'fenced',
  'unstorable_value',
  'graph_failed_to_load',
]);
