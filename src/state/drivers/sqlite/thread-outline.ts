import type { ThreadOutline } from '../checkpoint-driver.ts';
import { fromKey, fromNullableKey } from '../text-key.ts';
import type { SqliteFile } from './sqlite-file.ts';

interface Row {
  checkpoint_ns: string;
  checkpoint_id: string;
  bytes: number;
  value_ids: string;
}

interface CheckpointRow extends Row {
  parent_id: string | null;
  run_id: string | null;
  deltas: number;
  stored_at: number;
}

/** All that is stored of the thread with this number, by its sizes and what refers to what. */
export function outlineOf(file: SqliteFile, threadId: string, thread: number | undefined): ThreadOutline {
  if (thread === undefined) return { checkpoints: [], writes: [], values: [] };
  const common = ({ checkpoint_ns, checkpoint_id, bytes, value_ids }: Row) => ({
    thread_id: threadId,
    checkpoint_ns: fromKey(checkpoint_ns),
    checkpoint_id: fromKey(checkpoint_id),
    bytes,
    value_ids: JSON.parse(value_ids) as string[],
  });
  const checkpoints = file.rows<CheckpointRow>(
    `select checkpoint_ns, checkpoint_id, length(body) as bytes, value_ids, parent_id, run_id, deltas, stored_at
    from checkpoints where thread = ? order by seq`,
    thread,
  );
  const writes = file.rows<Row & { task_id: string }>(
    `select checkpoint_ns, checkpoint_id, length(body) as bytes, value_ids, task_id
    from writes where thread = ? order by seq`,
    thread,
  );
  return {
    checkpoints: checkpoints.map((row) => {
      const parent_id = fromNullableKey(row.parent_id);
      const run_id = fromNullableKey(row.run_id);
      const stored_at = new Date(row.stored_at);
      return Object.assign(common(row), { parent_id, run_id, deltas: row.deltas === 1, stored_at });
    }),
    writes: writes.map((row) => Object.assign(common(row), { task_id: fromKey(row.task_id) })),
    values: file.rows<{ id: string; bytes: number }>(
      'select id, length(body) as bytes from big_values where thread = ?',
      thread,
    ),
  };
}
