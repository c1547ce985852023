import { type CheckpointPlace, placeOf } from '../../core/checkpoint-place.ts';
import { contains } from '../../core/json-contains.ts';
import type { CheckpointKey, CheckpointQuery } from '../drivers/checkpoint-driver.ts';

/** The parent of a checkpoint when others are removed. `gone`: the parent of each that is, by its place. */
export function nearestKept(
  row: CheckpointPlace & { parent_id: string | null },
  gone: ReadonlyMap<string, string | null>,
): string | null {
  let parent = row.parent_id;
  while (parent !== null) {
    const above = gone.get(placeOf({ ...row, checkpoint_id: parent }));
    if (above === undefined) return parent;
    parent = above;
  }
  return null;
}

/** What a query means, but for its `before`, for rows that are in memory. `search`: the row's metadata. */
export function matches(query: CheckpointQuery, row: CheckpointKey, search: unknown): boolean {
  return (
    (query.thread_id === undefined || query.thread_id === row.thread_id) &&
    (query.checkpoint_ns === undefined || query.checkpoint_ns === row.checkpoint_ns) &&
    (query.checkpoint_id === undefined || query.checkpoint_id === row.checkpoint_id) &&
    (query.filter === undefined || contains(search, query.filter))
  );
}

/**
 * How many rows of a list, the last stored first, come before those that follow a checkpoint. Of one that is not there:
 * those whose ids are greater, up to the first that is not.
 */
export function placeAfter(
  rows: readonly { row: CheckpointKey }[],
  { thread_id, checkpoint_ns, checkpoint_id }: Partial<Record<keyof CheckpointKey, string | undefined>>,
): number {
  if (checkpoint_id === undefined) return 0;
  const at = rows.findIndex(
    ({ row }) =>
      row.checkpoint_id === checkpoint_id &&
      row.thread_id === (thread_id ?? row.thread_id) &&
      row.checkpoint_ns === (checkpoint_ns ?? row.checkpoint_ns),
  );
  if (at >= 0) return at + 1;
  const smaller = rows.findIndex(({ row }) => row.checkpoint_id < checkpoint_id);
  return smaller >= 0 ? smaller : rows.length;
}

/** By ids, so by the clocks of their writers: good enough between threads. */
export function newestFirst(a: CheckpointKey, b: CheckpointKey): number {
  return (
    compare(b.checkpoint_id, a.checkpoint_id) ||
    compare(b.thread_id, a.thread_id) ||
    compare(b.checkpoint_ns, a.checkpoint_ns)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
