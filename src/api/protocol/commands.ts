import type { Logger } from 'pino';
import type { z } from 'zod';
import type { Caller } from '../../core/caller.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import { parse } from '../../http/parse.ts';
import { asRefusal, Refusal, type RefusalCode } from './refusal.ts';
import * as schemas from './schemas.ts';
import type { ProtocolService } from './service.ts';

export type CommandAnswer =
  | { type: 'success'; id: number; result: JsonObject; meta: JsonObject }
  | { type: 'error'; id: number | null; error: RefusalCode; message: string };

/** A command whose envelope has been checked. */
export interface Command {
  id: number;
  method: string;
  params: JsonObject;
}

/** What a command came to. */
interface Outcome {
  result: JsonObject;
  /** Parameters that nobody knows. */
  unknown?: string[];
}

type Execute = (caller: Caller, threadId: string, params: JsonObject) => Promise<Outcome>;

/** Takes commands of the protocol of threads, from wherever they come, and answers each. Never throws. */
export class Commands {
  readonly #service: ProtocolService;
  readonly #log: Logger;
  readonly #methods: ReadonlyMap<string, Execute>;

  constructor(service: ProtocolService, log: Logger) {
    this.#service = service;
    this.#log = log;
    this.#methods = new Map(Object.entries(methodsOf(service)));
  }

  async execute(caller: Caller, threadId: string, body: unknown): Promise<CommandAnswer> {
    return this.answer(body, async () => {
      const events = await this.#service.events(caller, threadId);
      const { method, params } = commandIn(body);
      const execute = this.#methods.get(method);
      if (!execute) throw new Refusal('unknown_command', `There is no command ${method}`);
      // Before it is executed: what a run that it starts does has higher numbers.
      const meta = { thread_id: threadId, applied_through_seq: await events.latestSeq(threadId) };
      const { result, unknown = [] } = await execute(caller, threadId, params);
      return { result, meta: { ...meta, ...(unknown.length > 0 && { unused_params: unknown }) } };
    });
  }

  /** Answers a command with what the work comes to, or why it was refused. */
  async answer(body: unknown, work: () => Promise<{ result: JsonObject; meta: JsonObject }>): Promise<CommandAnswer> {
    const id = idOf(body);
    try {
      return { type: 'success', id: id ?? 0, ...(await work()) };
    } catch (error) {
      const refusal = asRefusal(error);
      if (refusal) return { type: 'error', id, error: refusal.code, message: refusal.message };
      this.#log.error({ err: error }, 'a command failed');
      return { type: 'error', id, error: 'unknown_error', message: 'Internal error: the server’s log says more' };
    }
  }
}

/** Throws InvalidInputError when it is none. */
export function commandIn(body: unknown): Command {
  const { id, method, params = {} } = parse(schemas.envelope, body, 'body').value;
  return { id, method, params };
}

function methodsOf(service: ProtocolService): Record<string, Execute> {
  return {
    'run.start': checked(schemas.runStart, (caller, threadId, params) =>
      service.start(caller, threadId, commandOf(params)),
    ),
    'input.respond': (caller, threadId, params) =>
      'responses' in params
        ? checked(schemas.respondMany, service.respond.bind(service))(caller, threadId, params)
        : checked(schemas.respondOne, (...[who, where, one]) =>
            service.respond(who, where, { ...one, responses: [{ ...one, response: one.response }] }),
          )(caller, threadId, params),
    'input.inject': notSupported('A run takes no input while it runs: run.start queues one behind it'),
    'state.get': checked(schemas.stateGet, service.state.bind(service)),
    'state.listCheckpoints': checked(schemas.listCheckpoints, service.checkpoints.bind(service)),
    'state.fork': checked(schemas.stateFork, service.fork.bind(service)),
    'agent.getTree': checked(schemas.getTree, (caller, threadId, { run_id }) => service.tree(caller, threadId, run_id)),
    'subscription.subscribe': notSupported(ONLY_BY_SOCKET),
    'subscription.unsubscribe': notSupported(ONLY_BY_SOCKET),
    'subscription.reconnect': notSupported('Subscribe again: a subscription begins with all events so far'),
  };
}

const ONLY_BY_SOCKET = 'A subscription belongs to a WebSocket; POST /threads/:thread_id/stream/events is one by itself';

/** Checks parameters before a command is executed with them. */
function checked<T>(
  schema: z.ZodType<T>,
  execute: (caller: Caller, threadId: string, params: T) => Promise<JsonObject>,
): Execute {
  return async (caller, threadId, params) => {
    const { value, unknown } = parse(schema, params, 'params');
    return { result: await execute(caller, threadId, value), unknown };
  };
}

function notSupported(advice: string): Execute {
  return async () => {
    throw new Refusal('not_supported', advice);
  };
}

/** RemoteGraph passes a Command of LangGraph's as input. */
function commandOf(params: schemas.RunStart) {
  const { input } = params;
  const isCommand =
    typeof input === 'object' && input !== null && !Array.isArray(input) && input['lg_name'] === 'Command';
  return isCommand ? { ...params, command: parse(schemas.commandInput, input, 'params').value } : params;
}

function idOf(body: unknown): number | null {
  const id = (body as { id?: Json } | null | undefined)?.id;
  return typeof id === 'number' && Number.isSafeInteger(id) && id >= 0 ? id : null;
}
