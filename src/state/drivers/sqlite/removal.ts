import { ConflictError } from '../../../core/errors.ts';
import type { CheckpointKey } from '../checkpoint-driver.ts';
import { type CheckpointPlace, placeOf } from '../../../core/checkpoint-place.ts';
import { nearestKept } from '../../checkpoints/checkpoint-query.ts';
import { fromKey, toKey } from '../text-key.ts';
import type { SqliteFile } from './sqlite-file.ts';

/** Within a transaction, of the thread with this number. */
export function removeRun(file: SqliteFile, thread: number, runId: string): void {
  const run = toKey(runId);
  const [later] = file.rows<{ checkpoint_id: string }>(
    `select child.checkpoint_id from checkpoints child join checkpoints parent
      on parent.thread = child.thread and parent.checkpoint_ns = child.checkpoint_ns
      and parent.checkpoint_id = child.parent_id
    where child.thread = ? and parent.run_id = ? and child.run_id is not parent.run_id limit 1`,
    thread,
    run,
  );
  if (later !== undefined) {
    const id = fromKey(later.checkpoint_id);
    throw new ConflictError(`Run ${runId} cannot be undone: the checkpoint ${id} was built on it`);
  }
  file.run(
    `delete from writes where thread = ? and (run_id = ? or (checkpoint_ns, checkpoint_id) in
      (select checkpoint_ns, checkpoint_id from checkpoints where thread = ? and run_id = ?))`,
    thread,
    run,
    thread,
    run,
  );
  file.run('delete from checkpoints where thread = ? and run_id = ?', thread, run);
  sweepValues(file, thread);
}

/** Within a transaction, of the thread with this number. */
export function removeCheckpoints(file: SqliteFile, thread: number, checkpoints: readonly CheckpointKey[]): void {
  const parents = new Map<string, string | null>();
  for (const id of checkpoints) {
    const key = { checkpoint_ns: toKey(id.checkpoint_ns), checkpoint_id: toKey(id.checkpoint_id) };
    const [gone] = file.rows<{ parent_id: string | null }>(
      'delete from checkpoints where thread = ? and checkpoint_ns = ? and checkpoint_id = ? returning parent_id',
      thread,
      key.checkpoint_ns,
      key.checkpoint_id,
    );
    if (gone !== undefined) parents.set(placeOf(key), gone.parent_id);
    file.run(
      'delete from writes where thread = ? and checkpoint_ns = ? and checkpoint_id = ?',
      thread,
      key.checkpoint_ns,
      key.checkpoint_id,
    );
  }
  const kept = file.rows<Kept>(
    'select seq, checkpoint_ns, checkpoint_id, parent_id from checkpoints where thread = ?',
    thread,
  );
  for (const row of kept) {
    const parent = nearestKept(row, parents);
    if (parent !== row.parent_id) file.run('update checkpoints set parent_id = ? where seq = ?', parent, row.seq);
  }
  sweepValues(file, thread);
}

interface Kept extends CheckpointPlace {
  seq: number;
  parent_id: string | null;
}

/** Removes the values that nothing in the thread refers to any more. */
function sweepValues(file: SqliteFile, thread: number): void {
  file.run(
    `delete from big_values where thread = ? and id not in (
      select value from checkpoints, json_each(value_ids) where thread = ?
      union select value from writes, json_each(value_ids) where thread = ?
    )`,
    thread,
    thread,
    thread,
  );
}
