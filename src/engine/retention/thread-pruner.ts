import type { Logger } from 'pino';
import { Access } from '../../core/access.ts';
import { FencedError } from '../../core/errors.ts';
import type { RetentionRule } from '../../core/retention.ts';
import type { Bookmarks } from '../../database/bookmarks.ts';
import type { BranchNote, Effects } from '../../database/effects.ts';
import type { Threads } from '../../database/threads.ts';
import type { CheckpointKey } from '../../state/drivers/checkpoint-driver.ts';
import type { PrunePlan } from '../../state/history/prune-plan.ts';
import type { StateSaver, WayTo } from '../../state/state-saver.ts';

/** So many checkpoints at once hold nobody up for long. */
const BATCH = 500;

type Saver = Pick<StateSaver, 'fence' | 'prunePlan' | 'remove' | 'wayTo'>;

interface Begun {
  threadId: string;
  saver: Saver;
  /** Newer than that of whoever had the thread before. */
  token: number;
  rule: RetentionRule;
}

/** What was decided of a thread. */
interface Pruning extends Omit<Begun, 'rule'> {
  plan: PrunePlan;
  /** The ids of the bookmarks that it has regard to. */
  marked: ReadonlySet<string>;
  /** What effects learn before their checkpoints go. */
  notes: readonly BranchNote[];
}

/** What went, or would go. */
export interface Pruned {
  checkpoints: number;
  bytes: number;
}

/**
 * `complete`: false when the thread was changed meanwhile, and there may be more. `busy`: a run waits or runs, or the thread was
 * changed before anything went. Null: no such thread, for the caller.
 */
type PruneEnd = Ended | 'busy' | null;
type Ended = Pruned & { complete: boolean };

export interface ThreadPrunerParts {
  threads: Threads;
  bookmarks: Bookmarks;
  effects: Effects;
  stores: { of(name: string | null): Saver };
  log: Logger;
}

/**
 * Prunes the histories of threads, while nobody else changes them. Where nothing is to go, nothing is written. What is to go
 * is decided beside the thread's lock, under a fence that whoever begins to change the thread raises; it goes in batches,
 * each under the row lock by which runs are queued, checkpoints are marked and state is changed. Who changed the thread in
 * between ends the pruning: what is left of it is decided the next time.
 */
export class ThreadPruner {
  readonly #parts: ThreadPrunerParts;
  /** Of this process: threads pruned, what went, and how often a thread was passed over since it was busy. */
  readonly totals = { threads: 0, checkpoints: 0, bytes: 0, busy: 0 };
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: ThreadPrunerParts) {
    this.#parts = parts;
  }

  /** What would go, by now. Null: no such thread, for the caller. */
  async plan(threadId: string, rule: RetentionRule, access = Access.everything): Promise<Pruned | null> {
    // What users said of the thread is not asked for: it may be sealed by a key that is away, or lost.
    const place = await this.#parts.threads.within(access).place(threadId);
    if (!place) return null;
    const { bookmarks, stores } = this.#parts;
    const saver = stores.of(place.state_store);
    const { checkpoints, bytes } = await saver.prunePlan(threadId, rule, await bookmarks.list(threadId));
    return { checkpoints: checkpoints.length, bytes };
  }

  /** One thread at a time: each batch takes two connections. */
  async prune(threadId: string, rule: RetentionRule, access?: Access): Promise<PruneEnd> {
    const turn = this.#last.then(() => this.#prune(threadId, rule, access));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #prune(threadId: string, rule: RetentionRule, access: Access | undefined): Promise<PruneEnd> {
    const planned = await this.plan(threadId, rule, access);
    if (planned === null) return null;
    if (planned.checkpoints === 0) return { ...planned, complete: true };
    const threads = access ? this.#parts.threads.within(access) : this.#parts.threads;
    const begun = await threads.whileIdle(threadId, async ({ state_store, token }) => {
      const saver = this.#parts.stores.of(state_store);
      await saver.fence(threadId, token);
      return { saver, token };
    });
    if (begun === null) return null;
    if (begun === 'busy') return this.#busy(threadId);
    const pruning = await this.#decide({ ...begun, threadId, rule });
    const { checkpoints: all, bytes } = pruning.plan;
    for (let at = 0; at < all.length; at += BATCH) {
      const batch = all.slice(at, at + BATCH);
      const done = await threads.whileIdle(threadId, () => this.#remove(pruning, batch));
      if (done === true) continue;
      if (at === 0) return done === null ? null : this.#busy(threadId);
      return this.#told(threadId, { checkpoints: at, bytes: Math.round((bytes * at) / all.length), complete: false });
    }
    return this.#told(threadId, { checkpoints: all.length, bytes, complete: true });
  }

  /** What is to go is decided once, by a thread that stands still as long as its fence is the same. */
  async #decide({ threadId, saver, token, rule }: Begun): Promise<Pruning> {
    const bookmarks = await this.#parts.bookmarks.list(threadId);
    const plan = await saver.prunePlan(threadId, rule, bookmarks);
    const marked = new Set(bookmarks.map(({ bookmark_id }) => bookmark_id));
    return { threadId, saver, token, plan, marked, notes: await this.#branchNotes(threadId, saver, plan) };
  }

  /** Under the thread's lock. False: the thread was changed, or marked, since it was decided what is to go. */
  async #remove({ threadId, saver, token, marked, notes }: Pruning, batch: readonly CheckpointKey[]): Promise<boolean> {
    const { bookmarks, effects } = this.#parts;
    if ((await bookmarks.list(threadId)).some(({ bookmark_id }) => !marked.has(bookmark_id))) return false;
    const going = new Set(batch.filter(({ checkpoint_ns }) => checkpoint_ns === '').map((key) => key.checkpoint_id));
    const theirs = notes.filter(({ checkpoint_id, led_to }) => going.has(led_to ?? checkpoint_id));
    try {
      await saver.fence(threadId, token);
      if (theirs.length > 0) await effects.noteBranches(threadId, theirs);
      await saver.remove(threadId, batch, token);
      return true;
    } catch (error) {
      if (error instanceof FencedError) return false;
      throw error;
    }
  }

  #busy(threadId: string): 'busy' {
    this.totals.busy += 1;
    this.#parts.log.debug({ thread_id: threadId }, 'did not prune a thread that is busy');
    return 'busy';
  }

  #told(threadId: string, pruned: Ended): Ended {
    if (pruned.checkpoints === 0) return pruned;
    this.totals.threads += 1;
    this.totals.checkpoints += pruned.checkpoints;
    this.totals.bytes += pruned.bytes;
    this.#parts.log.info({ thread_id: threadId, ...pruned }, 'pruned the history of a thread');
    return pruned;
  }

  /**
   * Effects know their branch by the checkpoint at which they were done. Before it goes, they learn where it led to. A crash
   * in between does no harm: who has that on his way has the checkpoint, too.
   */
  async #branchNotes(threadId: string, saver: Saver, plan: PrunePlan): Promise<BranchNote[]> {
    const notes: BranchNote[] = [];
    const ways = new Map<string, WayTo>();
    for (const { checkpoint_id, led_to } of await this.#parts.effects.checkpoints(threadId)) {
      const left = plan.led_to.get(led_to ?? checkpoint_id);
      if (left === undefined) continue;
      const way = ways.get(left) ?? (await saver.wayTo(threadId, left));
      ways.set(left, way);
      // What was left by a change by hand, or a new input, was not executed on that way.
      if (led_to !== null || way.executed.has(checkpoint_id)) notes.push({ checkpoint_id, led_to, left });
    }
    return notes;
  }
}
