import { setImmediate } from 'node:timers/promises';
import type { Logger } from 'pino';
import { outliveConnections } from '../../core/connection-loss.ts';
import type { UsageRow } from '../../core/usage.ts';
import type { Usages } from '../../database/usages.ts';

/** Records the usage of all runs of the process: what gathers while one statement is on its way goes with the next. */
export class UsageLog {
  readonly #usages: Pick<Usages, 'record'>;
  readonly #log: Logger;
  #queue: UsageRow[] = [];
  #underway: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;

  constructor(usages: Pick<Usages, 'record'>, log: Logger) {
    this.#usages = usages;
    this.#log = log;
  }

  /** Resolves when it is recorded, or has been given up: no run fails for that. */
  add(row: UsageRow): Promise<void> {
    this.#queue.push(row);
    this.#next ??= this.#recordAfter(this.#underway);
    return this.#next;
  }

  async #recordAfter(earlier: Promise<void>): Promise<void> {
    await earlier;
    await setImmediate();
    const rows = this.#queue;
    this.#queue = [];
    this.#underway = this.#next ?? earlier;
    this.#next = null;
    try {
      await outliveConnections(() => this.#usages.record(rows));
    } catch (error) {
      const run_ids = [...new Set(rows.map(({ run_id }) => run_id))];
      this.#log.error({ err: error, rows: rows.length, run_ids }, 'usage could not be recorded and is lost');
    }
  }
}
