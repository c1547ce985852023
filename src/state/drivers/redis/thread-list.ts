import type { CheckpointKey, CheckpointQuery } from '../checkpoint-driver.ts';
import { matches, newestFirst, placeAfter } from '../../checkpoints/checkpoint-query.ts';
import { parseCheckpointHead } from './heads.ts';
import type { RedisThreads } from './redis-threads.ts';
import { fromPlace, KEY, toPlace } from './thread-keys.ts';

const PAGE = 200;

interface Page {
  query: CheckpointQuery;
  limit: number;
  after: CheckpointKey | undefined;
}

/** The checkpoints that a query means, the last stored one first. */
export async function listKeys(threads: RedisThreads, page: Page): Promise<CheckpointKey[]> {
  const { thread_id } = page.query;
  return thread_id === undefined ? acrossThreads(threads, page) : withinThread(threads, thread_id, page);
}

async function withinThread(threads: RedisThreads, threadId: string, page: Page): Promise<CheckpointKey[]> {
  const { query, limit, after = {} } = page;
  const found: CheckpointKey[] = [];
  let below = Math.min(
    await orderOf(threads, threadId, after),
    await orderOf(threads, threadId, { ...query, checkpoint_id: query.before }),
  );
  while (found.length < limit) {
    const range = [exclusive(below), '-inf', 'WITHSCORES', 'LIMIT', '0', String(PAGE)];
    const entries = entriesOf(threadId, await threads.ask(threadId, 'ZREVRANGEBYSCORE', KEY.order, ...range));
    found.push(...(await matching(threads, threadId, query, entries)));
    const last = entries.at(-1);
    if (last === undefined || entries.length < PAGE) break;
    below = last.order;
  }
  return found.slice(0, limit);
}

/** Each thread has an order of its own, by its server's clock. All of them are looked through: for tools and tests. */
async function acrossThreads(threads: RedisThreads, { query, limit, after }: Page): Promise<CheckpointKey[]> {
  const found: CheckpointKey[] = [];
  const ofAll = await Promise.all((await threads.ids()).map((id) => allOf(threads, id)));
  const entries = ofAll.flat().toSorted((a, b) => b.order - a.order || newestFirst(a.row, b.row));
  const from = Math.max(
    placeAfter(entries, after ?? {}),
    placeAfter(entries, { ...query, checkpoint_id: query.before }),
  );
  for (const entry of entries.slice(from)) {
    if (found.length >= limit) break;
    found.push(...(await matching(threads, entry.row.thread_id, query, [entry])));
  }
  return found;
}

interface Entry {
  row: CheckpointKey;
  place: string;
  order: number;
}

/** The last stored one first. */
async function allOf(threads: RedisThreads, threadId: string): Promise<Entry[]> {
  return entriesOf(threadId, await threads.ask(threadId, 'ZREVRANGE', KEY.order, '0', '-1', 'WITHSCORES'));
}

function entriesOf(threadId: string, reply: unknown): Entry[] {
  const flat = (reply as Buffer[]).map(String);
  return Array.from({ length: flat.length / 2 }, (_, at) => {
    const place = flat[2 * at] ?? '';
    return { row: fromPlace(threadId, place), place, order: Number(flat[2 * at + 1]) };
  });
}

async function matching(
  threads: RedisThreads,
  threadId: string,
  query: CheckpointQuery,
  entries: readonly Entry[],
): Promise<CheckpointKey[]> {
  const { filter, ...rest } = query;
  const near = entries.filter(({ row }) => matches(rest, row, undefined));
  if (filter === undefined || near.length === 0) return near.map(({ row }) => row);
  const heads = (await threads.ask(
    threadId,
    'HMGET',
    KEY.index,
    ...near.map(({ place }) => place),
  )) as (Buffer | null)[];
  return near
    .map(({ row }) => row)
    .filter((row, at) => {
      const head = heads[at];
      return head && matches(query, row, JSON.parse(parseCheckpointHead(String(head)).search));
    });
}

type PartialKey = { [K in keyof CheckpointKey]?: string | undefined };

/** Where a checkpoint stands in the order of its thread: those after it in a list are below. Of none: above all. */
async function orderOf(threads: RedisThreads, threadId: string, key: PartialKey): Promise<number> {
  const { checkpoint_ns, checkpoint_id } = key;
  if (checkpoint_id === undefined) return Infinity;
  if (checkpoint_ns !== undefined) {
    const order = await threads.ask(threadId, 'ZSCORE', KEY.order, toPlace({ checkpoint_ns, checkpoint_id }));
    if (order !== null) return Number(order);
  }
  const all = await allOf(threads, threadId);
  return all[placeAfter(all, { ...key, thread_id: threadId }) - 1]?.order ?? Infinity;
}

function exclusive(order: number): string {
  return order === Infinity ? '+inf' : `(${order}`;
}
