import { z } from 'zod';
import { EFFECT_KINDS, PARK_REASONS } from '../../core/effect.ts';
import type { RunKwargs } from '../../core/run.ts';
import { DURABILITIES, MULTITASK_STRATEGIES, RUN_STATUSES, STREAM_MODES } from '../../core/run.ts';
import { flag, json, jsonObject, optional, queryList, queryPage, uuid } from '../../http/fields.ts';
import { runConfig } from '../assistants/schemas.ts';
import { checkpointConfig } from '../checkpoint-ref.ts';
import { command } from '../command.ts';

const MAX_DELAY_SECONDS = 10 * 365 * 86_400;

export const run = z
  .object({
    run_id: z.string(),
    thread_id: z.string(),
    assistant_id: z.string(),
    created_at: z.string(),
    updated_at: z.string(),
    status: z.enum(RUN_STATUSES),
    metadata: jsonObject,
    kwargs: jsonObject,
    multitask_strategy: z.enum(MULTITASK_STRATEGIES),
    waits_for: z
      .object({
        until: z.string().nullable().describe('When it goes on; null: when an event comes'),
        tasks: z.array(
          z.object({
            effect_id: z.string(),
            kind: z.enum(EFFECT_KINDS),
            name: z.string(),
            reason: z.enum(PARK_REASONS),
          }),
        ),
      })
      .optional()
      .describe('Only of a run that has given up its worker to wait'),
  })
  .meta({ title: 'Run' });
/** With those that are not always there, and one of the platform that is never. */
const SELECTABLE = [...run.keyof().options, 'waits_for', 'cancel_reason'] as const;
export const runList = z.array(run);
export const result = json;

const breakpoints = optional(z.union([z.literal('*'), z.array(z.string())]));
const streamMode = z.enum(STREAM_MODES);

/** Whether the thread of a stateless run stays. The official TypeScript client has other words for it than the server. */
const onCompletion = z
  .enum(['delete', 'keep', 'complete', 'continue'])
  .transform((word) => (word === 'keep' || word === 'continue' ? 'keep' : 'delete'));

/** What every way to start a run has in common. */
const options = {
  config: optional(runConfig.extend({ metadata: optional(jsonObject) })),
  context: optional(jsonObject),
  metadata: optional(jsonObject),
  checkpoint: optional(checkpointConfig),
  checkpoint_id: optional(z.string()),
  interrupt_before: breakpoints,
  interrupt_after: breakpoints,
  stream_mode: optional(z.union([streamMode, z.array(streamMode)])),
  stream_subgraphs: optional(z.boolean()),
  /** Every run is: its log is kept. */
  stream_resumable: optional(z.boolean()),
  multitask_strategy: optional(z.enum(MULTITASK_STRATEGIES)),
  if_not_exists: optional(z.enum(['reject', 'create'])),
  after_seconds: optional(z.number().min(0).max(MAX_DELAY_SECONDS)),
  durability: optional(z.enum(DURABILITIES)),
  /** The older name of durability. */
  checkpoint_during: optional(z.boolean()),
  on_disconnect: optional(z.enum(['cancel', 'continue'])),
  on_completion: optional(onCompletion),
  webhook: optional(z.string()),
  /** For the platform to answer with addresses at LangSmith, to which Baton has no connection. */
  feedback_keys: optional(z.array(z.string())),
  strict_resume: z.unknown().optional(),
};

export const runCreate = z.strictObject({
  assistant_id: z.string(),
  input: json.optional(),
  command: optional(command),
  ...options,
});

/** The SDK's createBatch sends each field in its own spelling. */
export const runBatch = z.preprocess((runs) => {
  if (Array.isArray(runs)) for (const run of runs) renameToSnake(run);
  return runs;
}, z.array(runCreate).min(1).max(1000));

export const resume = z.strictObject({
  assistant_id: optional(z.string()),
  ...command.in.omit({ lg_name: true }).shape,
  ...options,
  stream: optional(z.boolean()),
  wait: optional(z.boolean()),
});

export const runPath = z.object({ thread_id: uuid, run_id: uuid });
export const runIdPath = z.object({ run_id: uuid });
export const listQuery = z.strictObject({
  ...queryPage,
  status: z.enum(RUN_STATUSES).optional(),
  select: queryList(z.enum(SELECTABLE)).optional(),
});
export const streamQuery = z.strictObject({ namespace: z.unknown().optional() });
export const joinQuery = z.strictObject({ cancel_on_disconnect: flag.optional() });
export const joinStreamQuery = z.strictObject({
  cancel_on_disconnect: flag.optional(),
  stream_mode: queryList(streamMode).optional(),
  namespace: z.unknown().optional(),
  /** The state that the client shows already. It spares a server that can the events before; the whole run is right, too. */
  checkpoint_id: z.string().optional(),
});
export const cancelQuery = z.strictObject({
  wait: flag.optional(),
  action: z.enum(['interrupt', 'rollback']).optional(),
  reason: z.unknown().optional(),
});
export const cancelManyQuery = cancelQuery.pick({ action: true });
export const cancelMany = z.strictObject({
  thread_id: optional(uuid),
  run_ids: optional(z.array(uuid).min(1)),
  status: optional(z.enum(['pending', 'running', 'all'])),
});

/** In place: unknown fields are taken out of what came, by the names that they have here. */
function renameToSnake(value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
  for (const [key, item] of Object.entries(value)) {
    const name = key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    if (name === key) continue;
    Reflect.deleteProperty(value, key);
    Reflect.set(value, name, item);
  }
}

export type CancelMany = z.output<typeof cancelMany>;
export type RunCreate = z.output<typeof runCreate> & Pick<RunKwargs, 'protocol'>;
export type Resume = z.output<typeof resume>;
