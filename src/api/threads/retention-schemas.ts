import { z } from 'zod';
import { type Duration, durationMs } from '../../core/duration.ts';
import { InvalidInputError, messageOf } from '../../core/errors.ts';
import { TTL_STRATEGIES } from '../../core/thread.ts';
import { optional, positiveInt, uuid } from '../../http/fields.ts';
import { threadPath } from './schemas.ts';

const keepLast = positiveInt;
/** Such as `30d` or `12h`. */
const age = z.string().transform((text, context) => {
  try {
    return durationMs(text as Duration);
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    context.addIssue({ code: 'custom', message: messageOf(error) });
    return z.NEVER;
  }
});

export const threadPrune = z.strictObject({
  thread_ids: z.array(uuid).min(1).max(1000),
  strategy: optional(z.enum(TTL_STRATEGIES)),
  keep_last: optional(keepLast),
  older_than: optional(age),
  dry_run: optional(z.boolean()),
});

export const threadsPruned = z
  .object({
    pruned_count: z.number(),
    checkpoints: z.number().optional(),
    bytes: z.number().optional(),
    skipped: z.array(z.object({ thread_id: z.string(), reason: z.enum(['busy', 'not_found']) })).optional(),
    dry_run: z.boolean().optional(),
  })
  .meta({ title: 'ThreadsPruned' });

export const sizeQuery = z.strictObject({
  keep_last: z.coerce.number().pipe(keepLast).optional(),
  older_than: age.optional(),
});

const size = z.object({ count: z.number(), bytes: z.number() });
export const threadSize = z
  .object({
    thread_id: z.string(),
    total_bytes: z.number(),
    channels: z.record(
      z.string(),
      z.union([
        z.object({ bytes: z.number(), stored: z.enum(['inline', 'by_reference']) }),
        z.object({ bytes: z.number().nullable(), stored: z.literal('as_writes') }),
      ]),
    ),
    history: z.object({ checkpoints: size, writes: size, values: size, blobs: size }),
    files: size,
    events: size,
    effects: size,
    prunable: z
      .object({
        keep_last: z.number().optional(),
        older_than_ms: z.number().optional(),
        checkpoints: z.number(),
        bytes: z.number(),
      })
      .nullable(),
  })
  .meta({ title: 'ThreadSize' });

export const bookmarkCreate = z.strictObject({
  checkpoint_id: z.string().min(1),
  checkpoint_ns: optional(z.string()),
  name: z.string().min(1).max(200),
});
export const bookmark = z
  .object({
    bookmark_id: z.string(),
    thread_id: z.string(),
    checkpoint_ns: z.string(),
    checkpoint_id: z.string(),
    name: z.string(),
    created_at: z.string(),
  })
  .meta({ title: 'Bookmark' });
export const bookmarkPath = threadPath.extend({ bookmark_id: uuid });

export type ThreadPrune = z.output<typeof threadPrune>;
export type ThreadsPruned = z.output<typeof threadsPruned>;
export type ThreadSize = z.output<typeof threadSize>;
export type BookmarkCreate = z.output<typeof bookmarkCreate>;
