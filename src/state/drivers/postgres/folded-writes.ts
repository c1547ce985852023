import type { CheckpointKey, WritesRow } from '../../checkpoint-driver.ts';
import { joinFrames, splitFrames } from './frames.ts';

/** Writes after a checkpoint, packed into the row of the child that they led to. */
export function foldWrites(rows: readonly WritesRow[]): Buffer {
  return joinFrames(
    rows.flatMap(({ task_id, task_path, run_id, body }) => [
      Buffer.from(JSON.stringify([task_id, task_path, run_id])),
      body,
    ]),
  );
}

export function unfoldWrites({ thread_id, checkpoint_ns, checkpoint_id }: CheckpointKey, bytes: Buffer): WritesRow[] {
  const parts = splitFrames(bytes);
  return Array.from({ length: parts.length / 2 }, (_, index) => {
    const [head, body] = [parts[2 * index], parts[2 * index + 1]] as [Buffer, Buffer];
    const [task_id, task_path, run_id] = JSON.parse(head.toString('utf8')) as [string, string, string | null];
    return { thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, run_id, body };
  });
}
