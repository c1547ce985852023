import type { Logger } from 'pino';
import type { KeptCron } from '../../core/cron.ts';
import { ServiceError } from '../../core/errors.ts';
import { CHANNELS } from '../../database/channels.ts';
import type { Crons } from '../../database/crons.ts';
import type { Listener } from '../../database/listener.ts';
import type { RunPlan } from '../../database/runs.ts';
import { nextRunDate } from './cron-schedule.ts';

const AT_ONCE = 10;
/** After something failed. */
const RETRY_MS = 1000;
/** The net under the notifications. */
const MAX_SLEEP_MS = 30_000;

/** Is told what happens to crons on this process. Must neither throw nor take long. */
export interface CronObserver {
  /** `lateMs`: since the time that the schedule says. */
  cronRun(lateMs: number): void;
  cronRefused(): void;
}

export interface CronSchedulerParts {
  crons: Crons;
  listener: Listener;
  /** Only crons of these graphs are run. */
  graphIds: readonly string[];
  /** The run that a cron asks for, as its maker would ask for it now. Throws a ServiceError when he could not. */
  plan: (cron: KeptCron) => Promise<RunPlan>;
  observer: CronObserver;
  log: Logger;
}

/**
 * Queues the runs of crons when they are due, by the database's clock. Any number of schedulers share the crons. A cron that
 * was due several times while nobody was there runs once, and goes on with its schedule.
 */
export class CronScheduler {
  readonly #parts: CronSchedulerParts;
  #unlisten: (() => void) | null = null;
  #timer: NodeJS.Timeout | null = null;
  #round: Promise<void> | null = null;
  #again = false;
  #stopped = false;

  constructor(parts: CronSchedulerParts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    this.#unlisten = await this.#parts.listener.listen(CHANNELS.crons, () => this.#wake());
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unlisten?.();
    if (this.#timer) clearTimeout(this.#timer);
    await this.#round;
  }

  /** Runs all that is due. Returns how many runs it queued. */
  async tick(): Promise<number> {
    const { crons, graphIds } = this.#parts;
    const tried: string[] = [];
    let queued = 0;
    for (;;) {
      const due = await crons.due(graphIds, { limit: AT_ONCE, except: tried });
      if (due.length === 0 || this.#stopped) return queued;
      tried.push(...due.map(({ cron }) => cron.cron_id));
      const results = await Promise.all(due.map((kept) => this.#run(kept)));
      queued += results.filter(Boolean).length;
    }
  }

  /** Whether it queued a run. What fails, and is no refusal, stays due. */
  async #run(kept: KeptCron): Promise<boolean> {
    try {
      return await this.#queue(kept);
    } catch (err) {
      this.#parts.log.error({ err, cron_id: kept.cron.cron_id }, 'a cron failed; will try again');
      return false;
    }
  }

  async #queue(kept: KeptCron): Promise<boolean> {
    const { crons, plan, observer, log } = this.#parts;
    const { cron_id, next_run_date, end_time } = kept.cron;
    const now = new Date(kept.now);
    const next = nextRunDate(kept.cron, now);
    if (end_time !== null && now >= new Date(end_time)) {
      await crons.skip(kept, null);
      return false;
    }
    try {
      if (kept.fault) throw kept.fault;
      const run = await crons.run(kept, await plan(kept), next);
      if (run) observer.cronRun(now.getTime() - Date.parse(next_run_date ?? kept.now));
      return run !== null;
    } catch (error) {
      if (!(error instanceof ServiceError) || error.code === 'unavailable') throw error;
      log.warn({ cron_id, reason: error.message }, 'a cron could not run this time');
      observer.cronRefused();
      await crons.skip(kept, next);
      return false;
    }
  }

  /** A hint that a cron may be due, or due earlier than was known. */
  #wake(): void {
    if (this.#stopped) return;
    if (this.#round) this.#again = true;
    else this.#round = this.#goRound();
  }

  async #goRound(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    this.#again = false;
    const sleepMs = await this.#tickAndLookAhead();
    this.#round = null;
    if (this.#stopped) return;
    if (this.#again) this.#wake();
    else this.#timer = setTimeout(() => this.#wake(), sleepMs).unref();
  }

  async #tickAndLookAhead(): Promise<number> {
    const { crons, graphIds, log } = this.#parts;
    try {
      await this.tick();
      const ms = (await crons.msToNext(graphIds)) ?? MAX_SLEEP_MS;
      return ms > 0 ? Math.min(Math.ceil(ms), MAX_SLEEP_MS) : RETRY_MS;
    } catch (error) {
      log.warn({ err: error }, 'could not look for crons; will look again');
      return RETRY_MS;
    }
  }
}
