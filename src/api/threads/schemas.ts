import { z } from 'zod';
import { THREAD_STATUSES, TTL_STRATEGIES } from '../../core/thread.ts';
import { flag, json, jsonObject, optional, page, queryList, queryPage, sortOrder, uuid } from '../../http/fields.ts';
import { checkpointConfig } from '../checkpoint-ref.ts';
import { command } from '../command.ts';
import { extraction } from './extract.ts';

const THREAD_FIELDS = [
  'thread_id',
  'created_at',
  'updated_at',
  'state_updated_at',
  'metadata',
  'status',
  'config',
  'values',
  'interrupts',
  'error',
  'state_store',
  // The platform's, which its clients may ask for. Threads have none here.
  'context',
] as const;

export const thread = z
  .object({
    thread_id: z.string(),
    created_at: z.string(),
    updated_at: z.string(),
    state_updated_at: z.string(),
    metadata: jsonObject,
    status: z.enum(THREAD_STATUSES),
    config: jsonObject,
    values: json,
    interrupts: jsonObject,
    error: json,
    state_store: z.string().nullable(),
  })
  .meta({ title: 'Thread' });
export const threadsFound = z.array(thread.extend({ extracted: jsonObject.optional() }));
const strategy = z.enum(TTL_STRATEGIES);
export const threadWithTtl = thread.extend({
  ttl: z.object({ strategy, ttl_minutes: z.number(), expires_at: z.string() }).optional(),
});

export const threadState = z
  .object({
    values: json,
    next: z.array(z.string()),
    tasks: z.array(jsonObject),
    metadata: jsonObject,
    created_at: z.string().nullable(),
    checkpoint: jsonObject.nullable(),
    parent_checkpoint: jsonObject.nullable(),
    interrupts: z.array(jsonObject),
  })
  .meta({ title: 'ThreadState' });
export const threadStateList = z.array(threadState);

const superstep = z.strictObject({
  updates: z
    .array(z.strictObject({ values: json.optional(), command: optional(command), as_node: optional(z.string()) }))
    .min(1),
});

const minutes = z
  .number()
  .positive()
  .max(10 * 365 * 24 * 60);
/** How long a thread is kept, from now: as minutes, or with what happens then. */
const ttl = z
  .union([minutes, z.strictObject({ ttl: optional(minutes), strategy: optional(strategy) })])
  .transform((given) => (typeof given === 'number' ? { minutes: given } : { ...given, minutes: given.ttl }))
  .transform((given): { minutes: number | undefined; strategy?: z.output<typeof strategy> | undefined } => given);

export const threadCreate = z.strictObject({
  thread_id: optional(uuid),
  metadata: optional(jsonObject),
  if_exists: optional(z.enum(['raise', 'do_nothing'])),
  supersteps: optional(z.array(superstep)),
  ttl: optional(ttl),
});
export const threadPatch = z.strictObject({ metadata: optional(jsonObject), ttl: optional(ttl) });
const size = z.object({ count: z.number(), bytes: z.number() });
export const threadStorage = z
  .object({
    thread_id: z.string(),
    total_bytes: z.number(),
    checkpoints: size,
    channel_values: size.extend({ by_channel: jsonObject }),
    pending_writes: size,
    blobs: size,
    files: size,
  })
  .meta({ title: 'ThreadStorage' });

const filter = {
  metadata: optional(jsonObject),
  values: optional(jsonObject),
  status: optional(z.enum(THREAD_STATUSES)),
};
export const threadCount = z.strictObject(filter);
export const threadSearch = z.strictObject({
  ...filter,
  ids: optional(z.array(uuid)),
  ...page,
  sort_by: optional(z.enum(['thread_id', 'status', 'created_at', 'updated_at', 'state_updated_at'])),
  sort_order: sortOrder,
  select: optional(z.array(z.enum(THREAD_FIELDS))),
  extract: optional(extraction),
});

export const threadPath = z.object({ thread_id: uuid });
export const checkpointPath = threadPath.extend({ checkpoint_id: z.string() });
export const blobPath = threadPath.extend({ blob_id: z.string().regex(/^[\w-]{1,64}$/) });
export const threadQuery = z.strictObject({ include: queryList(z.literal('ttl')).optional() });

/** `values.<key>`: one key of the state. */
const stateField = z.union([threadState.keyof(), z.templateLiteral(['values.', z.string().min(1)])]);
const stateSelect = optional(z.array(stateField));

export const stateQuery = z.strictObject({
  subgraphs: flag.optional(),
  select: queryList(stateField).optional(),
});
export const stateAtCheckpoint = z.strictObject({
  checkpoint: checkpointConfig,
  subgraphs: optional(z.union([z.boolean(), flag])),
  select: stateSelect,
});
export const stateUpdate = z.strictObject({
  values: z.union([jsonObject, z.array(z.unknown())]).nullish(),
  as_node: optional(z.string()),
  checkpoint: optional(checkpointConfig),
  checkpoint_id: optional(z.string()),
});
export const stateUpdated = z.object({ checkpoint: jsonObject, configurable: jsonObject });

/** Clients name a checkpoint in three ways. */
const before = z.union([
  z.string(),
  z.looseObject({ checkpoint_id: optional(z.string()), configurable: optional(checkpointConfig) }),
]);
export const historySearch = z.strictObject({
  limit: page.limit,
  before: optional(before),
  metadata: optional(jsonObject),
  checkpoint: optional(checkpointConfig),
  select: stateSelect,
});
export const historyQuery = z.strictObject({
  limit: queryPage.limit,
  before: z.string().transform(parsed).pipe(before).optional(),
});

/** What is no text stands in a query as JSON. */
function parsed(text: string): unknown {
  try {
    return text.startsWith('{') ? JSON.parse(text) : text;
  } catch {
    return text;
  }
}

export const pause = z.strictObject({ wait: optional(z.boolean()) });

export type ThreadCreate = z.output<typeof threadCreate>;
export type ThreadSearch = z.output<typeof threadSearch>;
export type HistorySearch = z.output<typeof historySearch>;
