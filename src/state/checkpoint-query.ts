import type { CheckpointKey, CheckpointQuery, CheckpointRow } from './checkpoint-driver.ts';
import { contains } from './drivers/metadata-filter.ts';

/** The key of a checkpoint within its thread. */
export function placeOf({ checkpoint_ns, checkpoint_id }: CheckpointKey): string {
  return `${checkpoint_id}\0${checkpoint_ns}`;
}

/** What a query means, for rows that are in memory. `search`: the row's metadata. */
export function matches(query: CheckpointQuery, row: CheckpointRow, search: unknown): boolean {
  return (
    (query.thread_id === undefined || query.thread_id === row.thread_id) &&
    (query.checkpoint_ns === undefined || query.checkpoint_ns === row.checkpoint_ns) &&
    (query.checkpoint_id === undefined || query.checkpoint_id === row.checkpoint_id) &&
    (query.before === undefined || row.checkpoint_id < query.before) &&
    (query.filter === undefined || contains(search, query.filter))
  );
}

/** The order of a list, for `sort`. */
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
