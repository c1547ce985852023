import { setImmediate } from 'node:timers/promises';
import type {
  CheckpointDriver,
  CheckpointKey,
  CheckpointQuery,
  LoadedCheckpoint,
  PutCheckpoint,
  PutWrites,
  StoredCheckpoint,
  StoredSizes,
  ThreadOutline,
  Values,
} from '../drivers/checkpoint-driver.ts';
import { placeOf } from '../../core/checkpoint-place.ts';
import { newestFirst } from '../checkpoints/checkpoint-query.ts';
import { type HeldChange, HeldView, isCheckpoint } from './held-view.ts';
import { HeldWork } from './held-work.ts';
import { Underway } from './underway.ts';
import type { WorkMeter } from './work-meter.ts';

/**
 * A driver before the driver: it holds what a run saves in memory until somebody has it saved. Whoever reads through it
 * sees held work as if it were stored. Threads for which nothing is held pass through.
 */
export class UnsavedWork implements CheckpointDriver {
  readonly #driver: CheckpointDriver;
  readonly #held = new Map<string, HeldWork>();
  /** What the driver has been asked for and has not answered, by thread. */
  readonly #underway = new Underway();
  #written = 0;

  constructor(driver: CheckpointDriver) {
    this.#driver = driver;
  }

  /** How many checkpoints were stored. */
  get checkpointsWritten(): number {
    return this.#written;
  }

  /** From now on the changes that carry this token are held. */
  hold(threadId: string, token: number, meter: WorkMeter): void {
    this.#held.set(threadId, new HeldWork(token, meter));
  }

  /** Ends the holding. Returns whether work was lost that was not saved. */
  release(threadId: string, token: number): boolean {
    const work = this.#workOf(threadId, token);
    if (work !== undefined) this.#held.delete(threadId);
    return work !== undefined && work.contents().changes.length > 0;
  }

  /** The meter of the work that is held for a writer, if it is held. */
  meterOf(threadId: string, token: number | undefined): WorkMeter | undefined {
    return this.#workOf(threadId, token)?.meter;
  }

  /** All that was weighed so far will be in the next `save`. */
  weighed(threadId: string): void {
    this.#held.get(threadId)?.meter.saved();
  }

  /** Resolves when all that was asked for the thread so far is durable. @throws FencedError, and what the driver throws. */
  async save(threadId: string): Promise<void> {
    const work = this.#held.get(threadId);
    const taken = work?.take() ?? [];
    if (work !== undefined && taken.length > 0) void this.#underway.track(threadId, this.#send(work, taken));
    await this.#underway.settled(threadId);
    work?.throwFault();
  }

  async put(change: PutCheckpoint): Promise<void> {
    const work = this.#workOf(change.row.thread_id, change.token);
    if (work === undefined) return this.#underway.track(change.row.thread_id, this.#store(change));
    work.add(change);
    // Otherwise a graph of synchronous nodes would starve timers and sockets.
    await setImmediate();
  }

  async putWrites(change: PutWrites): Promise<void> {
    const work = this.#workOf(change.row.thread_id, change.token);
    if (work === undefined) return this.#underway.track(change.row.thread_id, this.#store(change));
    work.add(change);
  }

  async get(threadId: string, checkpointNs: string, checkpointId?: string): Promise<LoadedCheckpoint | undefined> {
    const view = this.#view(threadId);
    return view ? view.get(checkpointNs, checkpointId) : this.#driver.get(threadId, checkpointNs, checkpointId);
  }

  async list(query: CheckpointQuery, limit: number, after?: CheckpointKey): Promise<LoadedCheckpoint[]> {
    const threads = query.thread_id === undefined ? [...this.#held.keys()] : [query.thread_id];
    const views = new Map(
      threads.flatMap((threadId) => this.#view(threadId) ?? []).map((view) => [view.threadId, view]),
    );
    const stored = await this.#driver.list(query, limit, after);
    if (views.size === 0) return stored;
    const found = new Map<string, { row: CheckpointKey; load: () => Promise<LoadedCheckpoint> }>();
    for (const [threadId, view] of views) {
      for (const held of view.matching(query, after)) {
        found.set(`${threadId}\0${placeOf(held.row)}`, { row: held.row, load: () => view.load(held) });
      }
    }
    for (const loaded of stored) {
      const key = `${loaded.row.thread_id}\0${placeOf(loaded.row)}`;
      const load = async () => views.get(loaded.row.thread_id)?.withWrites(loaded) ?? loaded;
      if (!found.has(key)) found.set(key, { row: loaded.row, load });
    }
    const page = [...found.values()];
    if (query.thread_id === undefined) page.sort((a, b) => newestFirst(a.row, b.row));
    return Promise.all(page.slice(0, limit).map(({ load }) => load()));
  }

  async chain(
    threadId: string,
    checkpointNs: string,
    checkpointId: string | undefined,
    limit: number,
  ): Promise<StoredCheckpoint[]> {
    const view = this.#view(threadId);
    if (view) return view.chain(checkpointNs, checkpointId, limit);
    return this.#driver.chain(threadId, checkpointNs, checkpointId, limit);
  }

  async values(threadId: string, ids: readonly string[]): Promise<Values> {
    return this.#view(threadId)?.values(ids) ?? this.#driver.values(threadId, ids);
  }

  /** Of what is stored. */
  sizes(threadId: string): Promise<StoredSizes> {
    return this.#driver.sizes(threadId);
  }

  /** Of what is stored. */
  threads(limit: number, after?: string): Promise<string[]> {
    return this.#driver.threads(limit, after);
  }

  async fence(threadId: string, token: number): Promise<void> {
    await this.#driver.fence(threadId, token);
    // What is held would be refused from now on.
    this.#held.delete(threadId);
  }

  async deleteThread(threadId: string): Promise<void> {
    this.#held.delete(threadId);
    await this.#driver.deleteThread(threadId);
  }

  async copyThread(fromThreadId: string, toThreadId: string): Promise<void> {
    await this.save(fromThreadId);
    await this.#driver.copyThread(fromThreadId, toThreadId);
  }

  async deleteRun(threadId: string, runId: string): Promise<void> {
    this.#held.delete(threadId);
    await this.#driver.deleteRun(threadId, runId);
  }

  /** Of what is stored. */
  outline(threadId: string): Promise<ThreadOutline> {
    return this.#driver.outline(threadId);
  }

  remove(threadId: string, checkpoints: readonly CheckpointKey[], token?: number): Promise<void> {
    return this.#driver.remove(threadId, checkpoints, token);
  }

  async close(): Promise<void> {
    await this.#driver.close();
  }

  #workOf(threadId: string, token: number | undefined): HeldWork | undefined {
    const work = this.#held.get(threadId);
    return work?.token === token ? work : undefined;
  }

  async #send(work: HeldWork, taken: HeldChange[]): Promise<void> {
    try {
      // All at once: a driver makes them visible in this order, and in one statement if it can.
      await Promise.all(taken.map((change) => this.#store(change)));
      work.saved(taken);
    } catch (error) {
      work.failed(error as Error);
      throw error;
    }
  }

  async #store(change: HeldChange): Promise<void> {
    if (!isCheckpoint(change)) return this.#driver.putWrites(change);
    await this.#driver.put(change);
    this.#written += 1;
  }

  #view(threadId: string): HeldView | undefined {
    const work = this.#held.get(threadId);
    return work && new HeldView({ driver: this.#driver, threadId, ...work.contents() });
  }
}
