import type { CheckpointKey, WritesRow } from '../checkpoint-driver.ts';

type Entry = [task_id: string, task_path: string, run_id: string | null, bytes: number];

/** Writes after a checkpoint, packed for the row of the child that they led to: a line that lists them, then their bodies. */
export function foldWrites(rows: readonly WritesRow[]): Buffer {
  const entries = rows.map(({ task_id, task_path, run_id, body }): Entry => [task_id, task_path, run_id, body.length]);
  return Buffer.concat([Buffer.from(`${JSON.stringify(entries)}\n`), ...rows.map(({ body }) => body)]);
}

export function headerOf(line: string): Entry[] {
  return JSON.parse(line) as Entry[];
}

export function unfoldWrites({ thread_id, checkpoint_ns, checkpoint_id }: CheckpointKey, bytes: Buffer): WritesRow[] {
  const line = bytes.indexOf('\n');
  let at = line + 1;
  return headerOf(bytes.toString('utf8', 0, line)).map(([task_id, task_path, run_id, length]) => {
    const body = bytes.subarray(at, (at += length));
    return { thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, run_id, body };
  });
}
