import type { Pool } from 'pg';
import { FencedError, ServiceError } from '../../../core/errors.ts';
import { type Change, changedRow, statementOf } from './batch.ts';
import { outliveConnections } from '../../../core/connection-loss.ts';

/** Two: while Postgres waits for the disk with one, the next is on its way. More would only make them smaller. */
const MAX_IN_FLIGHT = 2;
const MAX_CHANGES = 64;
const MAX_BYTES = 4 * 1024 * 1024;
/** A statement can have 65,535 parameters, and a row takes 13. */
const MAX_VALUES = 2000;

/**
 * Makes the changes of all threads of the process in common statements: what is asked for while one is on its way goes
 * into the next. The changes of a thread are never in two statements at a time, so they become visible in their order.
 */
export class GroupCommit {
  readonly #pool: Pool;
  #waiting: Change[] = [];
  readonly #threads = new Set<string>();
  #inFlight = 0;
  #scheduled = false;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Resolves when the change is durable. @throws FencedError when the thread's fence refused it. */
  make(change: Pick<Change, 'put' | 'putWrites'>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...change, resolve, reject });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled || this.#inFlight >= MAX_IN_FLIGHT || this.#waiting.length === 0) return;
    this.#scheduled = true;
    // After the callbacks of this turn: the writes of a step and the checkpoint they lead to come in one turn.
    setImmediate(() => {
      this.#scheduled = false;
      void this.#commit(this.#nextBatch());
    });
  }

  #nextBatch(): Change[] {
    const batch: Change[] = [];
    const later: Change[] = [];
    const blocked = new Set<string>();
    const places = new Set<string>();
    let bytes = 0;
    let brought = 0;
    for (const change of this.#waiting) {
      const { row, values } = changedRow(change);
      const place = change.put && `${row.thread_id}\0${row.checkpoint_ns}\0${row.checkpoint_id}`;
      const isFull =
        batch.length > 0 && (batch.length >= MAX_CHANGES || bytes > MAX_BYTES || brought + values.size > MAX_VALUES);
      // One statement cannot change one row twice.
      if (isFull || this.#threads.has(row.thread_id) || blocked.has(row.thread_id) || (place && places.has(place))) {
        blocked.add(row.thread_id);
        later.push(change);
        continue;
      }
      if (place) places.add(place);
      for (const value of values.values()) bytes += value.length;
      bytes += row.body.length;
      brought += values.size;
      batch.push(change);
    }
    this.#waiting = later;
    return batch;
  }

  async #commit(batch: Change[]): Promise<void> {
    if (batch.length === 0) return;
    const threads = batch.map((change) => changedRow(change).row.thread_id);
    for (const thread of threads) this.#threads.add(thread);
    this.#inFlight += 1;
    this.#schedule();
    try {
      await this.#send(batch);
    } catch (error) {
      if (batch.length === 1 || error instanceof ServiceError) for (const change of batch) change.reject(error);
      else await this.#sendSingly(batch);
    }
    for (const thread of threads) this.#threads.delete(thread);
    this.#inFlight -= 1;
    this.#schedule();
  }

  /** One of them is at fault, and the statement left nothing behind: each for itself. What a refused change led to is refused too. */
  async #sendSingly(batch: Change[]): Promise<void> {
    const faults = new Map<string, unknown>();
    for (const change of batch) {
      const { thread_id } = changedRow(change).row;
      if (faults.has(thread_id)) change.reject(faults.get(thread_id));
      else {
        await this.#send([change]).catch((error: unknown) => {
          faults.set(thread_id, error);
          change.reject(error);
        });
      }
    }
  }

  async #send(batch: Change[]): Promise<void> {
    const { query, made } = statementOf(batch);
    const { rows } = await outliveConnections(() => this.#pool.query<{ n?: unknown }>(query));
    const isMade = made(rows);
    for (const change of batch) {
      if (isMade(change)) change.resolve();
      else change.reject(new FencedError(changedRow(change).row.thread_id));
    }
  }
}
