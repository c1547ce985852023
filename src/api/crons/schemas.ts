import { z } from 'zod';
import { jsonObject, optional, page, sortOrder, uuid } from '../../http/fields.ts';
import { runCreate } from '../runs/schemas.ts';

const FIELDS = [
  'cron_id',
  'assistant_id',
  'thread_id',
  'on_run_completed',
  'end_time',
  'schedule',
  'timezone',
  'created_at',
  'updated_at',
  'user_id',
  'payload',
  'next_run_date',
  'metadata',
  'enabled',
  // The platform's, which its clients may ask for. It is not told here.
  'now',
] as const;

export const cron = z
  .object({
    cron_id: z.string(),
    assistant_id: z.string(),
    thread_id: z.string().nullable(),
    on_run_completed: z.enum(['delete', 'keep']).nullable(),
    end_time: z.string().nullable(),
    schedule: z.string(),
    timezone: z.string().nullable(),
    created_at: z.string(),
    updated_at: z.string(),
    user_id: z.string().nullable(),
    payload: jsonObject,
    next_run_date: z.string().nullable(),
    metadata: jsonObject,
    enabled: z.boolean(),
  })
  .meta({ title: 'Cron' });
export const cronList = z.array(cron);

/** Of what a run can be asked for with, that which can be asked for again and again. */
const payload = runCreate.pick({
  input: true,
  metadata: true,
  config: true,
  context: true,
  interrupt_before: true,
  interrupt_after: true,
  stream_mode: true,
  stream_subgraphs: true,
  stream_resumable: true,
  multitask_strategy: true,
  durability: true,
  checkpoint_during: true,
  webhook: true,
}).shape;

const schedule = z.string().max(200);
const timezone = optional(z.string().max(100));
/** UTC, unless it says otherwise. */
const instant = z.iso
  .datetime({ offset: true, local: true })
  .transform((text) => new Date(/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`).toISOString());
const when = {
  timezone,
  enabled: optional(z.boolean()),
  on_run_completed: optional(z.enum(['delete', 'keep'])),
};

export const cronCreate = z.strictObject({
  assistant_id: z.string(),
  schedule,
  end_time: optional(instant),
  ...when,
  ...payload,
});
/** `end_time: null` takes it away. */
export const cronPatch = z.strictObject({
  schedule: optional(schedule),
  end_time: instant.nullish(),
  ...when,
  ...payload,
});

const filter = {
  /** Or the id of a graph. */
  assistant_id: optional(z.string()),
  thread_id: optional(uuid),
  metadata: optional(jsonObject),
  enabled: optional(z.boolean()),
};
export const cronCount = z.strictObject(filter);
export const cronSearch = z.strictObject({
  ...filter,
  ...page,
  sort_by: optional(
    z.enum(['cron_id', 'assistant_id', 'thread_id', 'next_run_date', 'end_time', 'created_at', 'updated_at']),
  ),
  sort_order: sortOrder,
  select: optional(z.array(z.enum(FIELDS))),
});

export const cronPath = z.object({ cron_id: uuid });

export type CronCreate = z.output<typeof cronCreate>;
export type CronPatch = z.output<typeof cronPatch>;
export type CronSearch = z.output<typeof cronSearch>;
export type CronCount = z.output<typeof cronCount>;
