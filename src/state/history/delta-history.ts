import type { CheckpointPendingWrite, DeltaChannelHistory } from '@langchain/langgraph-checkpoint';
import type { Address } from '../checkpoints/checkpoint-address.ts';
import type { StoredCheckpoint } from '../drivers/checkpoint-driver.ts';
import type { CheckpointReader } from '../checkpoints/checkpoint-reader.ts';
import { contentIds, type Ref } from '../values/cut-values.ts';
import type { CheckpointBody } from '../values/packed-values.ts';
import { pendingWrites, type TaskWrite } from '../checkpoints/pending-writes.ts';
import type { PathReader } from './shared-path.ts';

const FIRST_PAGE = 64;
const MAX_PAGE = 2048;

/**
 * For each channel the writes on the path to a checkpoint, oldest first, back to the nearest ancestor that stores its
 * value (the seed). Walks the parent chain page by page, pages growing, so a chain of thousands takes a few queries.
 */
export async function deltaHistory(
  driver: PathReader,
  reader: CheckpointReader,
  { thread_id, checkpoint_ns, checkpoint_id }: Address,
  channels: string[],
): Promise<Record<string, DeltaChannelHistory>> {
  const walk = new DeltaWalk(driver, reader, channels);
  let next = checkpoint_id;
  for (let size = FIRST_PAGE; walk.open.size > 0; size = Math.min(size * 4, MAX_PAGE)) {
    const page = await driver.chain(thread_id, checkpoint_ns, next, size);
    // The target's own writes belong to the step after it.
    await walk.take(size === FIRST_PAGE ? page.slice(1) : page);
    next = page.at(-1)?.row.parent_id ?? undefined;
    if (next === undefined) break;
  }
  return walk.result();
}

/** What one ancestor has for the channels that are still without a seed. */
interface Ancestor {
  stored: StoredCheckpoint;
  body: CheckpointBody;
  writes: TaskWrite[];
  /** The channels whose value is stored here. */
  seeded: string[];
}

class DeltaWalk {
  /** The channels whose seed was not met yet. */
  readonly open: Set<string>;
  readonly #driver: PathReader;
  readonly #reader: CheckpointReader;
  readonly #seeds = new Map<string, unknown>();
  readonly #newestFirst: Map<string, CheckpointPendingWrite[]>;

  constructor(driver: PathReader, reader: CheckpointReader, channels: string[]) {
    this.#driver = driver;
    this.#reader = reader;
    this.open = new Set(channels);
    this.#newestFirst = new Map(channels.map((channel) => [channel, []]));
  }

  /** Goes on with ancestors, the youngest first. */
  async take(page: StoredCheckpoint[]): Promise<void> {
    const path = await this.#path(page);
    const ids = new Set(
      path.flatMap(({ body, writes, seeded }) => [
        ...writes.flatMap(({ ref }) => contentIds(ref)),
        ...seeded.flatMap((channel) => contentIds(refOf(body, channel))),
      ]),
    );
    const threadId = page[0]?.row.thread_id ?? '';
    const values = ids.size > 0 ? await this.#driver.values(threadId, [...ids]) : new Map<string, Uint8Array>();
    for (const { stored, body, writes, seeded } of path) {
      const contents = this.#reader.contents(stored.row, values);
      for (const write of pendingWrites(await contents.load(writes)).toReversed()) {
        this.#newestFirst.get(write[1])?.push(write);
      }
      for (const channel of seeded) this.#seeds.set(channel, await contents.channel(body, channel));
    }
  }

  /** The part of a page that has something for the open channels. */
  async #path(page: StoredCheckpoint[]): Promise<Ancestor[]> {
    const path: Ancestor[] = [];
    for (const stored of page) {
      if (this.open.size === 0) break;
      const body = JSON.parse(await this.#reader.body(stored.row)) as CheckpointBody;
      const writes = (await this.#reader.standingWrites(stored)).filter(({ channel }) => this.open.has(channel));
      const seeded = [...this.open].filter((channel) => Object.hasOwn(body.values, channel) || refOf(body, channel));
      for (const channel of seeded) this.open.delete(channel);
      path.push({ stored, body, writes, seeded });
    }
    return path;
  }

  result(): Record<string, DeltaChannelHistory> {
    return Object.fromEntries(
      [...this.#newestFirst].map(([channel, newestFirst]) => {
        const writes = newestFirst.toReversed();
        return [channel, this.#seeds.has(channel) ? { writes, seed: this.#seeds.get(channel) } : { writes }];
      }),
    );
  }
}

function refOf({ refs }: CheckpointBody, channel: string): Ref | undefined {
  return Object.hasOwn(refs, channel) ? refs[channel] : undefined;
}
