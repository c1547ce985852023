import type { CheckpointDriver, CheckpointKey, CheckpointRow } from '../drivers/checkpoint-driver.ts';

const FIRST_PAGE = 64;
const MAX_PAGE = 1024;

/** A checkpoint and its ancestors, child before parent: read page by page, as a thread may have any number of them. */
export async function* ancestry(
  driver: CheckpointDriver,
  { thread_id, checkpoint_ns, checkpoint_id }: CheckpointKey,
): AsyncGenerator<CheckpointRow> {
  let next: string | null = checkpoint_id;
  for (let size = FIRST_PAGE; next !== null; size = Math.min(size * 4, MAX_PAGE)) {
    const page = await driver.chain(thread_id, checkpoint_ns, next, size);
    for (const { row } of page) yield row;
    next = page.length < size ? null : (page.at(-1)?.row.parent_id ?? null);
  }
}
