import type { Pool, QueryConfig, QueryResult } from 'pg';
import type { CheckpointKey, CheckpointRow, LoadedCheckpoint, WritesRow } from '../checkpoint-driver.ts';
import { outliveConnections } from '../../../core/connection-loss.ts';
import { unfoldWrites } from './folded-writes.ts';
import { fromKey } from '../text-key.ts';
import { fromWire } from './wire-bytes.ts';

/** A row of any of the reading statements; `kind` says of what: checkpoint, writes, folded writes, value. */
interface StoredRow {
  kind: 'c' | 'w' | 'f' | 'v';
  thread_id: string;
  checkpoint_ns: string;
  id: string;
  ref: string | null;
  task_path: string | null;
  run_id: string | null;
  /** Of a checkpoint its place in the answer, of writes the order of their storing. */
  seq: string;
  body: Buffer;
}

/**
 * The end of a reading statement: everything stored of the checkpoints in the CTE `hit`, in one answer.
 * @param withValues The big values they refer to as well, each once.
 */
export function storedOf(withValues: boolean): string {
  return `
select 'c' as kind, c.thread_id, c.checkpoint_ns, c.checkpoint_id as id, c.parent_id as ref, null as task_path, c.run_id, c.at::text as seq, c.body
from hit c
union all
select case when w.folded then 'f' else 'w' end, w.thread_id, w.checkpoint_ns, w.checkpoint_id, w.task_id, w.task_path, w.run_id, w.seq::text, w.body
from hit join baton_state.writes w using (thread_id, checkpoint_ns, checkpoint_id)
union all
select 'f', f.thread_id, f.checkpoint_ns, f.parent_id, null, null, null, f.seq::text, f.parent_writes
from hit join baton_state.checkpoints f
  on f.thread_id = hit.thread_id and f.checkpoint_ns = hit.checkpoint_ns and f.parent_id = hit.checkpoint_id
where f.parent_writes is not null
${
  withValues
    ? `union all
select 'v', v.thread_id, '', v.id, null, null, null, '', v.body
from (
  select thread_id, unnest(value_ids) as id from hit
  union
  select w.thread_id, unnest(w.value_ids) from hit join baton_state.writes w using (thread_id, checkpoint_ns, checkpoint_id)
  union
  select f.thread_id, unnest(coalesce(f.parent_value_ids, f.value_ids)) from hit join baton_state.checkpoints f
    on f.thread_id = hit.thread_id and f.checkpoint_ns = hit.checkpoint_ns and f.parent_id = hit.checkpoint_id
  where f.parent_writes is not null
) needed join baton_state.values v using (thread_id, id)`
    : ''
}`;
}

/** Binary results: a megabyte of `bytea` comes as it is instead of as two megabytes of hex. All else is selected as text. */
const BINARY = {
  binary: true,
  types: {
    getTypeParser: (oid: number) => (value: Buffer) => (oid === BYTEA ? fromWire(value) : value.toString('utf8')),
  },
};
const BYTEA = 17;

export async function readRows(pool: Pool, name: string, text: string, values: unknown[]): Promise<StoredRow[]> {
  const query = { ...BINARY, name, text, values } as unknown as QueryConfig;
  const { rows }: QueryResult<StoredRow> = await outliveConnections(() => pool.query<StoredRow>(query));
  return rows;
}

/** The checkpoints of an answer, in the order of the CTE's `at`. */
export function checkpointsOf(rows: readonly StoredRow[]): LoadedCheckpoint[] {
  const values = new Map<string, Map<string, Uint8Array>>();
  const writes = new Map<string, StoredRow[]>();
  const found: StoredRow[] = [];
  for (const row of rows) {
    if (row.kind === 'c') found.push(row);
    else if (row.kind === 'v')
      groupOf(values, row.thread_id, () => new Map<string, Uint8Array>()).set(row.id, row.body);
    else groupOf(writes, placeOf(row), () => []).push(row);
  }
  return found.toSorted(inOrder).map((row) => ({
    row: checkpointOf(row),
    writes: (writes.get(placeOf(row)) ?? []).toSorted(inOrder).flatMap(writesOf),
    values: values.get(row.thread_id) ?? new Map<string, Uint8Array>(),
  }));
}

function inOrder(a: StoredRow, b: StoredRow): number {
  return Number(a.seq) - Number(b.seq);
}

function checkpointOf({ id, ref, run_id, body, ...row }: StoredRow): CheckpointRow {
  return {
    ...keyOf({ ...row, id }),
    parent_id: ref === null ? null : fromKey(ref),
    run_id: run_id === null ? null : fromKey(run_id),
    body,
  };
}

function writesOf(row: StoredRow): WritesRow[] {
  const key = keyOf(row);
  if (row.kind === 'f') return unfoldWrites(key, row.body);
  const { ref, task_path, run_id, body } = row;
  return [
    {
      ...key,
      task_id: fromKey(ref ?? ''),
      task_path: fromKey(task_path ?? ''),
      run_id: run_id === null ? null : fromKey(run_id),
      body,
    },
  ];
}

function keyOf({ thread_id, checkpoint_ns, id }: Pick<StoredRow, 'thread_id' | 'checkpoint_ns' | 'id'>): CheckpointKey {
  return { thread_id: fromKey(thread_id), checkpoint_ns: fromKey(checkpoint_ns), checkpoint_id: fromKey(id) };
}

function placeOf({ thread_id, checkpoint_ns, id }: StoredRow): string {
  return `${thread_id}\0${checkpoint_ns}\0${id}`;
}

function groupOf<T>(groups: Map<string, T>, key: string, make: () => T): T {
  const known = groups.get(key);
  if (known !== undefined) return known;
  const made = make();
  groups.set(key, made);
  return made;
}
