import { isSupportedChannel } from '@langchain/langgraph/stream';
import { z } from 'zod';
import { MULTITASK_STRATEGIES } from '../../core/run.ts';
import { json, jsonObject, optional } from '../../http/fields.ts';
import { runConfig } from '../assistants/schemas.ts';
import { command } from '../command.ts';

const namespace = z.array(z.string());
const config = optional(runConfig.extend({ metadata: optional(jsonObject) }));
const multitaskStrategy = optional(z.enum(MULTITASK_STRATEGIES));

/** Not checked further: a command that is wrong is answered, and by its id if it has one. */
export const commandBody = z.unknown();
export const envelope = z.strictObject({
  id: z.int().min(0),
  method: z.string(),
  params: optional(jsonObject),
});
export const answer = z
  .object({
    type: z.enum(['success', 'error']),
    id: z.number().nullable(),
    result: jsonObject.optional(),
    error: z.string().optional(),
    message: z.string().optional(),
    meta: jsonObject.optional(),
  })
  .meta({ title: 'ProtocolAnswer' });

const filter = {
  namespaces: optional(z.array(namespace)),
  depth: optional(z.int().min(0)),
};
const since = optional(z.int().min(0));
/** Channels that this version does not know have no events. */
export const eventStream = z.strictObject({ channels: z.array(z.string()).min(1), ...filter, since });
export const subscribe = z.strictObject({
  channels: z.array(z.string().refine(isSupportedChannel, 'is not a channel of the protocol')).min(1),
  ...filter,
  since,
});
export const unsubscribe = z.strictObject({ subscription_id: z.string() });

export const runStart = z.strictObject({
  assistant_id: z.string(),
  input: json.optional(),
  config,
  metadata: optional(jsonObject),
  context: optional(jsonObject),
  multitask_strategy: multitaskStrategy,
  /** The same under the name that clients used first. */
  multitaskStrategy,
  langsmith_tracer: z.unknown().optional(),
});
/** LangGraph's own Command as input, as RemoteGraph sends it. */
export const commandInput = command;

const response = { namespace: optional(namespace), interrupt_id: z.string(), response: json.optional() };
const withAnswers = {
  update: optional(z.union([jsonObject, z.array(z.tuple([z.string(), json]))])),
  goto: command.in.shape.goto,
  config,
  metadata: optional(jsonObject),
  /** An answer is always refused when nobody waits for it. */
  strict_resume: optional(z.boolean()),
};
export const respondOne = z.strictObject({ ...response, ...withAnswers });
export const respondMany = z.strictObject({ responses: z.array(z.strictObject(response)).min(1), ...withAnswers });

export const stateGet = z.strictObject({ namespace: optional(namespace), keys: optional(z.array(z.string())) });
export const listCheckpoints = z.strictObject({
  namespace: optional(namespace),
  limit: optional(z.int().min(1).max(1000)),
  before: optional(z.string()),
});
export const stateFork = z.strictObject({
  checkpoint_id: z.string(),
  input: json.optional(),
  config,
  metadata: optional(jsonObject),
});
export const getTree = z.strictObject({ run_id: optional(z.guid('must be a UUID')) });

export type RunStart = z.output<typeof runStart>;
export type Respond = z.output<typeof respondMany>;
export type StateGet = z.output<typeof stateGet>;
export type ListCheckpoints = z.output<typeof listCheckpoints>;
export type StateFork = z.output<typeof stateFork>;
