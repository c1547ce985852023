import { z } from 'zod';
import { InvalidInputError } from '../core/errors.ts';
import type { CheckpointRef } from '../core/run.ts';
import { jsonObject, optional } from '../http/fields.ts';

/** Names a checkpoint. Loose: clients hand back whole what they were given. */
export const checkpointConfig = z.looseObject({
  thread_id: optional(z.string()),
  checkpoint_id: optional(z.string()),
  checkpoint_ns: optional(z.string()),
  checkpoint_map: optional(jsonObject),
});

/**
 * The checkpoint that a request means; undefined = the latest. Throws InvalidInputError when it names another thread's.
 */
export function checkpointRef(
  threadId: string | null,
  checkpoint: z.output<typeof checkpointConfig> | undefined,
  checkpointId?: string,
): CheckpointRef | undefined {
  const named = checkpoint?.thread_id?.toLowerCase();
  if (named !== undefined && named !== threadId) {
    throw new InvalidInputError(`checkpoint.thread_id: is ${named}, which is not the thread of this request`);
  }
  const id = checkpoint?.checkpoint_id || checkpointId;
  const ref: CheckpointRef = {
    ...(id && { checkpoint_id: id }),
    ...(checkpoint?.checkpoint_ns && { checkpoint_ns: checkpoint.checkpoint_ns }),
    ...(checkpoint?.checkpoint_map && { checkpoint_map: checkpoint.checkpoint_map }),
  };
  return Object.keys(ref).length > 0 ? ref : undefined;
}
