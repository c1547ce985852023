import { z } from 'zod';
import { json, jsonObject, optional, uuid } from '../../http/fields.ts';

/** What the Agent2Agent protocol calls things; field names are its own. */
export type TaskState = 'submitted' | 'working' | 'input-required' | 'completed' | 'canceled' | 'failed';

const textPart = z.looseObject({ kind: z.literal('text'), text: z.string() });
const dataPart = z.looseObject({ kind: z.literal('data'), data: jsonObject });
const part = z.discriminatedUnion('kind', [textPart, dataPart]);
export type Part = { kind: 'text'; text: string } | { kind: 'data'; data: z.output<typeof jsonObject> };

/** An id of ours, which names a task together with its context: `thread:run`. */
const taskId = z.string();

const message = z.looseObject({
  role: z.literal('user'),
  parts: z.array(part).min(1),
  messageId: z.string(),
  contextId: optional(uuid),
  taskId: optional(taskId),
});
export type IncomingMessage = z.output<typeof message>;

/** Answers by the ids of their questions. */
export const resumeData = z.array(z.looseObject({ id: z.string(), value: json.optional() }));

export const sendParams = z.looseObject({
  message,
  configuration: optional(
    z.looseObject({ blocking: optional(z.boolean()), historyLength: optional(z.int().min(0).max(1000)) }),
  ),
  metadata: optional(jsonObject),
});
export const taskParams = z.looseObject({
  id: taskId,
  contextId: optional(uuid),
  historyLength: optional(z.int().min(0).max(1000)),
});
export type TaskParams = z.output<typeof taskParams>;

export const rpcRequest = z.looseObject({
  jsonrpc: z.literal('2.0'),
  id: z.union([z.string(), z.number(), z.null()]).optional(),
  method: z.string(),
  params: json.optional(),
});
/** What the OpenAPI document says of a request; it is checked by the protocol's own rules. */
export const rpcBody = json.meta({ title: 'A2A request', description: 'JSON-RPC 2.0: {jsonrpc, id, method, params}' });

export const agentPath = z.object({ assistant_id: z.string() });

/** A message as the agent sends it, or as it stood in the thread. */
export interface Message {
  kind: 'message';
  role: 'user' | 'agent';
  messageId: string;
  parts: Part[];
  contextId: string;
  taskId: string;
}

interface Artifact {
  artifactId: string;
  parts: Part[];
}

export interface Task {
  kind: 'task';
  id: string;
  contextId: string;
  status: TaskStatus;
  artifacts?: Artifact[];
  history?: Message[];
}

export interface TaskStatus {
  state: TaskState;
  timestamp: string;
  message?: Message;
}

/** What a stream tells after the task itself. */
export type TaskUpdate =
  | { kind: 'status-update'; taskId: string; contextId: string; status: TaskStatus; final: boolean }
  | { kind: 'artifact-update'; taskId: string; contextId: string; artifact: Artifact; lastChunk: true };
