import type { Logger } from 'pino';
import type { Access } from '../core/access.ts';
import { entryPlace, type RetentionRule } from '../core/retention.ts';
import type { Bookmarks } from '../database/bookmarks.ts';
import type { BranchNote, Effects } from '../database/effects.ts';
import type { Threads } from '../database/threads.ts';
import type { PrunePlan } from '../state/prune-plan.ts';
import type { StateSaver } from '../state/state-saver.ts';

/** So many checkpoints at once hold nobody up for long. */
const BATCH = 500;

/** What went, or would go. */
export interface Pruned {
  checkpoints: number;
  bytes: number;
}

export interface ThreadPrunerParts {
  threads: Threads;
  bookmarks: Bookmarks;
  effects: Effects;
  stores: { of(name: string | null): Pick<StateSaver, 'fence' | 'prunePlan' | 'remove' | 'wayTo'> };
  log: Logger;
}

/**
 * Prunes the histories of threads, while nobody else changes them: under the thread's row lock, by which runs are queued and
 * state is changed, with a fencing token that is newer than that of whoever had the thread before. Each batch is decided
 * anew, so whatever happened in between is regarded.
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
  async plan(threadId: string, rule: RetentionRule, access: Access): Promise<Pruned | null> {
    const thread = await this.#parts.threads.within(access).get(threadId);
    if (!thread) return null;
    const { checkpoints, bytes } = await this.#planOf(threadId, thread.state_store, rule);
    return { checkpoints: checkpoints.length, bytes };
  }

  /**
   * `busy`: a run waits or runs, and nothing, or no more, was removed. Null: no such thread, for the caller. One thread at a
   * time: each batch takes two connections.
   */
  async prune(threadId: string, rule: RetentionRule, access?: Access): Promise<Pruned | 'busy' | null> {
    const turn = this.#last.then(() => this.#prune(threadId, rule, access));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #prune(threadId: string, rule: RetentionRule, access: Access | undefined): Promise<Pruned | 'busy' | null> {
    const threads = access ? this.#parts.threads.within(access) : this.#parts.threads;
    const pruned: Pruned = { checkpoints: 0, bytes: 0 };
    /** A checkpoint that only a branch made a fork point stays now, though that branch goes. */
    let going: ReadonlySet<string> | null = null;
    for (;;) {
      const done = await threads.whileIdle(threadId, async ({ state_store, token }) => {
        const plan = await this.#planOf(threadId, state_store, rule);
        const decided = going ?? new Set(plan.checkpoints.map(entryPlace));
        going = decided;
        const left = plan.checkpoints.filter((key) => decided.has(entryPlace(key)));
        if (left.length === 0) return null;
        pruned.bytes = Math.max(pruned.bytes, plan.bytes);
        const batch = left.slice(0, BATCH);
        const saver = this.#parts.stores.of(state_store);
        await saver.fence(threadId, token);
        await this.#noteBranches(threadId, saver, plan);
        await saver.remove(threadId, batch, token);
        return { removed: batch.length, isAll: batch.length === left.length };
      });
      if (done === 'busy') {
        this.totals.busy += 1;
        this.#parts.log.debug({ thread_id: threadId }, 'did not prune a thread that is busy');
        return pruned.checkpoints > 0 ? this.#told(threadId, pruned) : 'busy';
      }
      if (done === null) return pruned.checkpoints > 0 || going ? this.#told(threadId, pruned) : null;
      pruned.checkpoints += done.removed;
      if (done.isAll) return this.#told(threadId, pruned);
    }
  }

  #told(threadId: string, pruned: Pruned): Pruned {
    if (pruned.checkpoints === 0) return pruned;
    this.totals.threads += 1;
    this.totals.checkpoints += pruned.checkpoints;
    this.totals.bytes += pruned.bytes;
    this.#parts.log.info({ thread_id: threadId, ...pruned }, 'pruned the history of a thread');
    return pruned;
  }

  async #planOf(threadId: string, store: string | null, rule: RetentionRule): Promise<PrunePlan> {
    const { bookmarks, stores } = this.#parts;
    return stores.of(store).prunePlan(threadId, rule, await bookmarks.list(threadId));
  }

  /**
   * Effects know their branch by the checkpoint at which they were done. Before it goes, they learn where it led to. A crash
   * in between does no harm: who has that on his way has the checkpoint, too.
   */
  async #noteBranches(threadId: string, saver: Pick<StateSaver, 'wayTo'>, plan: PrunePlan): Promise<void> {
    const notes: BranchNote[] = [];
    for (const { checkpoint_id, led_to } of await this.#parts.effects.checkpoints(threadId)) {
      const left = plan.led_to.get(led_to ?? checkpoint_id);
      if (left === undefined) continue;
      // What was left by a change by hand, or a new input, was not executed on that way.
      const { executed } = await saver.wayTo(threadId, left);
      if (led_to !== null || executed.has(checkpoint_id)) notes.push({ checkpoint_id, led_to, left });
    }
    if (notes.length > 0) await this.#parts.effects.noteBranches(threadId, notes);
  }
}
