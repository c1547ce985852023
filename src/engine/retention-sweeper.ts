import type { Logger } from 'pino';
import type { RetentionSettings } from '../core/retention-settings.ts';
import type { Retention } from '../database/retention.ts';
import type { Threads } from '../database/threads.ts';
import type { ThreadPruner } from './thread-pruner.ts';
import { removeThread, type StateRemoval } from './thread-sweeper.ts';

/** Rows at once: what is removed with them holds nobody up for long. */
const BATCH = 500;

interface RetentionSweeperParts {
  settings: RetentionSettings;
  retention: Retention;
  threads: Threads;
  stores: StateRemoval;
  pruner: ThreadPruner;
  log: Logger;
}

/** What one look removed, by what it was. */
type Removed = Record<string, number>;

/** Forgets what is old, in bounded batches. Any number of servers may do it at once. */
export class RetentionSweeper {
  readonly #parts: RetentionSweeperParts;
  /** Of this process. */
  readonly totals: { sweeps: number; removed: Removed } = { sweeps: 0, removed: {} };
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(parts: RetentionSweeperParts) {
    this.#parts = parts;
  }

  start(): void {
    const { settings, log } = this.#parts;
    this.#timer = setTimeout(() => {
      this.tick()
        .catch((error: unknown) => log.warn({ err: error }, 'could not sweep what is old; will try again'))
        .finally(() => this.#stopped || this.start());
    }, settings.everyMs);
    this.#timer.unref();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
  }

  /** One look. Returns what it removed. */
  async tick(): Promise<Removed> {
    const { retention, settings, log } = this.#parts;
    const removed: Removed = { threads: await this.#threads(), histories: await this.#histories() };
    const chores: [string, number | null, (olderThanMs: number, limit: number) => Promise<number>][] = [
      ['logs', settings.logsMs, (ms, limit) => retention.cutLogs(ms, limit)],
      ['runs', settings.runsMs, (ms, limit) => retention.forgetRuns(ms, limit)],
      ['changes', settings.changesMs, (ms, limit) => retention.forgetChanges(ms, limit)],
      ['events', settings.takenEventsMs, (ms, limit) => retention.forgetTakenEvents(ms, limit)],
      ['usage', settings.usageMs, (ms, limit) => retention.forgetUsage(ms, limit)],
      ['effects', settings.globalEffectsMs, (ms, limit) => retention.forgetGlobalEffects(ms, limit)],
    ];
    for (const [name, olderThanMs, forget] of chores) {
      if (olderThanMs !== null) removed[name] = await this.#all((limit) => forget(olderThanMs, limit));
    }
    this.totals.sweeps += 1;
    for (const [name, count] of Object.entries(removed)) {
      this.totals.removed[name] = (this.totals.removed[name] ?? 0) + count;
    }
    if (Object.values(removed).some((count) => count > 0)) log.info({ removed }, 'forgot what is old');
    return removed;
  }

  async #all(forget: (limit: number) => Promise<number>): Promise<number> {
    for (let removed = 0; ;) {
      const count = await forget(BATCH);
      removed += count;
      if (count < BATCH || this.#stopped) return removed;
    }
  }

  /** Threads that nothing happened on for so long. */
  async #threads(): Promise<number> {
    const { threads, stores, settings } = this.#parts;
    if (settings.threads?.strategy !== 'delete') return 0;
    const { minutes } = settings.threads;
    return this.#each(await threads.idleSince(minutes, settings.threadLimit), (threadId) =>
      removeThread(threads, stores, threadId, { ifIdleMinutes: minutes }),
    );
  }

  /** Histories whose time is over, by the thread's own time to live or by that of all others. */
  async #histories(): Promise<number> {
    const { threads, pruner, settings } = this.#parts;
    const due = await threads.prunable(settings.threadLimit);
    if (settings.threads?.strategy === 'keep_latest') {
      due.push(...(await threads.idleSince(settings.threads.minutes, settings.threadLimit)));
    }
    return this.#each(due, async (threadId) => {
      const pruned = await pruner.prune(threadId, { keep_last: 1 });
      if (pruned === 'busy' || pruned === null) return false;
      await threads.pruned(threadId);
      return true;
    });
  }

  /** Returns for how many it was done. One that fails, as its store is out of reach, holds up nobody else. */
  async #each(threadIds: string[], work: (threadId: string) => Promise<boolean>): Promise<number> {
    let done = 0;
    for (const threadId of threadIds) {
      if (this.#stopped) return done;
      try {
        if (await work(threadId)) done += 1;
      } catch (error) {
        this.#parts.log.warn({ err: error, thread_id: threadId }, 'could not sweep a thread; will try again');
      }
    }
    return done;
  }
}
