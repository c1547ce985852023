import { INTERRUPT } from '@langchain/langgraph-checkpoint';
import { placeOf } from '../../core/checkpoint-place.ts';
import { type History, keptEntries, type RetentionRule, taskOf } from '../../core/retention.ts';
import { ancestry } from './ancestry.ts';
import type {
  CheckpointDriver,
  CheckpointKey,
  CheckpointOutline,
  ThreadOutline,
} from '../drivers/checkpoint-driver.ts';
import type { CheckpointReader } from '../checkpoints/checkpoint-reader.ts';
import { deltaChannelsOf } from './delta-channels.ts';
import type { CheckpointBody } from '../values/packed-values.ts';

/** What a rule would have go of a thread. */
export interface PrunePlan {
  /** The last stored one first: what is left at any moment can be read. */
  checkpoints: CheckpointKey[];
  /** What goes with them, as far as nothing else refers to it. */
  bytes: number;
  /** By the ids of the graph's own checkpoints that go, the nearest of their descendants that stays. */
  led_to: ReadonlyMap<string, string>;
}

/** From what is stored of a thread to what may go. */
export class PrunePlanner {
  readonly #driver: CheckpointDriver;
  readonly #reader: CheckpointReader;
  readonly #outline: ThreadOutline;
  readonly #threadId: string;

  constructor(
    { driver, reader }: { driver: CheckpointDriver; reader: CheckpointReader },
    threadId: string,
    outline: ThreadOutline,
  ) {
    this.#driver = driver;
    this.#reader = reader;
    this.#threadId = threadId;
    this.#outline = outline;
  }

  /** @param bookmarks What stays, besides what is needed. */
  async plan(rule: RetentionRule, bookmarks: readonly CheckpointKey[]): Promise<PrunePlan> {
    const { checkpoints } = this.#outline;
    const grounds = new Map<string, string | null>();
    const pinned = [...bookmarks];
    const history: History = {
      entries: checkpoints,
      owners: await this.#owners(),
      pinned,
      grounds,
      now: new Date(),
    };
    const looked = new Set<string>();
    for (;;) {
      const kept = keptEntries(history, rule);
      const questions = await this.#questions(kept, looked);
      pinned.push(...questions);
      const isGrounded = await this.#ground(kept, grounds);
      if (questions.length === 0 && isGrounded) return this.#planOf(kept);
    }
  }

  #planOf(kept: ReadonlySet<string>): PrunePlan {
    const { checkpoints, writes, values } = this.#outline;
    const stays = (key: CheckpointKey): boolean => kept.has(placeOf(key));
    const gone = checkpoints.filter((key) => !stays(key));
    const goes = new Set(gone.map(placeOf));
    const goneWrites = writes.filter((key) => goes.has(placeOf(key)));
    const left = [...checkpoints, ...writes].filter((row) => !goes.has(placeOf(row)));
    const used = new Set(left.flatMap(({ value_ids }) => value_ids));
    const bytes = [...gone, ...goneWrites, ...values.filter(({ id }) => !used.has(id))].map((row) => row.bytes);
    return {
      checkpoints: gone
        .map(({ thread_id, checkpoint_ns, checkpoint_id }) => ({ thread_id, checkpoint_ns, checkpoint_id }))
        .toReversed(),
      bytes: gone.length === 0 ? 0 : bytes.reduce((sum, size) => sum + size, 0),
      led_to: this.#ledTo(kept),
    };
  }

  /** Of those that go at most one line leads to what stays: where several do, a fork point stays. */
  #ledTo(kept: ReadonlySet<string>): Map<string, string> {
    const own = new Map(
      this.#outline.checkpoints.flatMap((row) => (row.checkpoint_ns === '' ? [[row.checkpoint_id, row]] : [])),
    );
    const ledTo = new Map<string, string>();
    for (const [id, row] of own) {
      if (!kept.has(placeOf(row))) continue;
      for (let parent = own.get(row.parent_id ?? ''); parent; parent = own.get(parent.parent_id ?? '')) {
        if (kept.has(placeOf(parent))) break;
        ledTo.set(parent.checkpoint_id, id);
      }
    }
    return ledTo;
  }

  /** The checkpoint that a task belongs to wrote down what the task did; of one that did nothing, its namespace tells. */
  async #owners(): Promise<Map<string, string>> {
    const tasks = new Map(
      this.#outline.writes.map((row) => [`${row.task_id}\0${row.checkpoint_ns}`, row.checkpoint_id]),
    );
    const owners = new Map<string, string>();
    for (const { checkpoint_ns } of this.#outline.checkpoints) {
      const task = taskOf(checkpoint_ns);
      if (task === null || owners.has(checkpoint_ns)) continue;
      const owner = tasks.get(`${task.task_id}\0${task.above}`) ?? (await this.#parentOf(checkpoint_ns, task.above));
      if (owner !== undefined) owners.set(checkpoint_ns, owner);
    }
    return owners;
  }

  async #parentOf(checkpointNs: string, above: string): Promise<string | undefined> {
    const [latest] = await this.#driver.chain(this.#threadId, checkpointNs, undefined, 1);
    if (latest === undefined) return undefined;
    const { metadata } = await this.#bodyOf(latest.row);
    return (metadata as { parents?: Record<string, string> }).parents?.[above];
  }

  /** Of those that would go: where a node still waits for an answer, and nothing was built on it. */
  async #questions(kept: ReadonlySet<string>, looked: Set<string>): Promise<CheckpointKey[]> {
    const { checkpoints, writes } = this.#outline;
    const parents = new Set(checkpoints.map((row) => placeOf({ ...row, checkpoint_id: row.parent_id ?? '' })));
    const written = new Set(writes.map(placeOf));
    const found: CheckpointKey[] = [];
    for (const row of checkpoints) {
      const place = placeOf(row);
      if (kept.has(place) || looked.has(place) || parents.has(place) || !written.has(place)) continue;
      looked.add(place);
      // A question of a task's subgraph is put in the graph above as well.
      if (taskOf(row.checkpoint_ns) === null && (await this.#asks(row))) found.push(row);
    }
    return found;
  }

  async #asks({ checkpoint_ns, checkpoint_id }: CheckpointKey): Promise<boolean> {
    const [stored] = await this.#driver.chain(this.#threadId, checkpoint_ns, checkpoint_id, 1);
    if (stored === undefined) return false;
    return (await this.#reader.standingWrites(stored)).some(({ channel }) => channel === INTERRUPT);
  }

  /** Finds the ancestors that those which stay are built on. True when all were known. */
  async #ground(kept: ReadonlySet<string>, grounds: Map<string, string | null>): Promise<boolean> {
    let isKnown = true;
    for (const row of this.#outline.checkpoints.toReversed()) {
      const place = placeOf(row);
      if (!row.deltas || !kept.has(place) || grounds.has(place)) continue;
      isKnown = false;
      const line = await this.#lineOf(row);
      for (const [index, id] of line.entries()) {
        // What one of them is built on is part of the same line.
        grounds.set(placeOf({ ...row, checkpoint_id: id }), line[index + 1] ?? null);
      }
    }
    return isKnown;
  }

  /** A checkpoint and its ancestors, as far up as one of them has no channel whose value is further up. */
  async #lineOf(key: CheckpointOutline): Promise<string[]> {
    const line: string[] = [];
    let open = new Set<string>();
    for await (const row of ancestry(this.#driver, key)) {
      const body = await this.#bodyOf(row);
      line.push(row.checkpoint_id);
      open = new Set([...open, ...deltaChannelsOf(body.metadata)].filter((channel) => !isStoredIn(body, channel)));
      if (open.size === 0) return line;
    }
    return line;
  }

  async #bodyOf(row: Parameters<CheckpointReader['body']>[0]): Promise<CheckpointBody> {
    return JSON.parse(await this.#reader.body(row)) as CheckpointBody;
  }
}

function isStoredIn({ values, refs }: CheckpointBody, channel: string): boolean {
  return Object.hasOwn(values, channel) || Object.hasOwn(refs, channel);
}
