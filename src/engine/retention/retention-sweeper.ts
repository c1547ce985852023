import type { Logger } from 'pino';
import type { RetentionSettings } from '../../core/retention-settings.ts';
import type { Retention } from '../../database/retention.ts';
import type { Threads } from '../../database/threads.ts';
import type { ThreadPruner } from './thread-pruner.ts';
import { removeThread, type StateRemoval } from './thread-sweeper.ts';

/** Rows at once: what is removed with them holds nobody up for long. */
const BATCH = 500;
/** Runs whose logs are cut at once: each may have thousands of events. */
const LOGS_BATCH = 20;
/** Threads that are passed over at most. */
const MAX_PASSED = 10_000;

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
  readonly totals: { sweeps: number; failed: number; removed: Removed } = { sweeps: 0, failed: 0, removed: {} };
  /** For whom it was not done, until a look comes to the end: those after them have their turn first. */
  readonly #passed = { idle: new Set<string>(), expired: new Set<string>() };
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(parts: RetentionSweeperParts) {
    this.#parts = parts;
  }

  start(): void {
    const { settings, log } = this.#parts;
    this.#timer = setTimeout(() => {
      this.tick()
        .catch((error: unknown) => {
          this.totals.failed += 1;
          log.warn({ err: error }, 'could not sweep what is old; will try again');
        })
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
    const chores: [string, number | null, (olderThanMs: number, limit: number) => Promise<number>, batch?: number][] = [
      ['logs', settings.logsMs, (ms, limit) => retention.cutLogs(ms, limit), LOGS_BATCH],
      ['runs', settings.runsMs, (ms, limit) => retention.forgetRuns(ms, limit)],
      ['changes', settings.changesMs, (ms, limit) => retention.forgetChanges(ms, limit)],
      ['events', settings.takenEventsMs, (ms, limit) => retention.forgetTakenEvents(ms, limit)],
      ['usage', settings.usageMs, (ms, limit) => retention.forgetUsage(ms, limit)],
      ['effects', settings.globalEffectsMs, (ms, limit) => retention.forgetGlobalEffects(ms, limit)],
    ];
    for (const [name, olderThanMs, forget, batch = BATCH] of chores) {
      if (olderThanMs !== null) removed[name] = await this.#all((limit) => forget(olderThanMs, limit), batch);
    }
    this.totals.sweeps += 1;
    for (const [name, count] of Object.entries(removed)) {
      this.totals.removed[name] = (this.totals.removed[name] ?? 0) + count;
    }
    if (Object.values(removed).some((count) => count > 0)) log.info({ removed }, 'forgot what is old');
    return removed;
  }

  async #all(forget: (limit: number) => Promise<number>, batch: number): Promise<number> {
    for (let removed = 0; ;) {
      const count = await forget(batch);
      removed += count;
      if (count < batch || this.#stopped) return removed;
    }
  }

  /** Threads that nothing happened on for so long. */
  async #threads(): Promise<number> {
    const { threads, stores, settings } = this.#parts;
    if (settings.threads?.strategy !== 'delete') return 0;
    const { minutes } = settings.threads;
    return this.#each('idle', (threadId) => removeThread(threads, stores, threadId, { ifIdleMinutes: minutes }));
  }

  /** Histories whose time is over, by the thread's own time to live or by that of all others. */
  async #histories(): Promise<number> {
    const { threads, pruner, settings } = this.#parts;
    const prune = async (threadId: string): Promise<boolean> => {
      const pruned = await pruner.prune(threadId, { keep_last: 1 });
      if (pruned === 'busy' || !pruned?.complete) return false;
      await threads.pruned(threadId);
      return true;
    };
    const expired = await this.#each('expired', prune);
    return settings.threads?.strategy === 'keep_latest' ? expired + (await this.#each('idle', prune)) : expired;
  }

  /** Returns for how many it was done. One that fails, as its store is out of reach, holds up nobody else. */
  async #each(which: 'idle' | 'expired', work: (threadId: string) => Promise<boolean>): Promise<number> {
    const passed = this.#passed[which];
    const limit = this.#parts.settings.threadLimit;
    const due = await this.#due(which, limit, [...passed]);
    let done = 0;
    for (const threadId of due) {
      if (this.#stopped) return done;
      passed.add(threadId);
      try {
        if (!(await work(threadId))) continue;
        passed.delete(threadId);
        done += 1;
      } catch (error) {
        this.totals.failed += 1;
        this.#parts.log.warn({ err: error, thread_id: threadId }, 'could not sweep a thread; will try again');
      }
    }
    if (due.length < limit || passed.size > MAX_PASSED) passed.clear();
    return done;
  }

  async #due(which: 'idle' | 'expired', limit: number, except: string[]): Promise<string[]> {
    const { threads, settings } = this.#parts;
    if (which === 'expired') return threads.prunable(limit, except);
    return settings.threads ? threads.idleSince(settings.threads.minutes, limit, except) : [];
  }
}
