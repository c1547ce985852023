import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { BlobCollector, SweepReport, SweepRequest } from '../../blobs/blob-collector.ts';
import { FILE_MARK } from '../../core/blob.ts';
import { BusyError, NotFoundError } from '../../core/errors.ts';
import { isUuid } from '../../core/ids.ts';
import type { BlobRef, Blobs, BlobTotals } from '../../database/blobs.ts';
import type { Threads } from '../../database/threads.ts';
import type { BlobVault } from '../../blobs/blob-vault.ts';
import type { StateSaver } from '../../state/state-saver.ts';
import type { StateStores } from '../../state/state-stores.ts';

const EVERY_MS = 5 * 60_000;
const DAY_MS = 24 * 60 * 60_000;
const THREADS = 100;
/** To count all objects takes a while where there are millions. */
const COUNT_EVERY_MS = 60_000;
/** Who watches waits no longer for it. */
const COUNT_WAIT_MS = 1000;

interface BlobSweeperParts {
  collector: BlobCollector;
  blobs: Blobs;
  vault: Pick<BlobVault, 'put'>;
  threads: Pick<Threads, 'place' | 'reserve'>;
  stores: Pick<StateStores, 'of'>;
  log: Logger;
}

export interface FullSweepReport extends SweepReport {
  /** References to values that their threads no longer have. */
  stale: number;
}

/** `stored`: in the whole deployment, as it was last counted, every minute if that can be; the others: by this process. */
export interface BlobCounts {
  /** Null: not counted yet. */
  stored: BlobTotals | null;
  put: BlobTotals;
  swept: BlobTotals;
  sweeps: number;
  failed: number;
}

/** Keeps the blob store free of what nobody uses: of released objects often, of what crashes left once a day. */
export class BlobSweeper {
  readonly #parts: BlobSweeperParts;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | null = null;
  #sweptAtMs = performance.now();
  #sweeps = { sweeps: 0, failed: 0 };
  /** Null: not counted yet. */
  #stored: BlobTotals | null = null;
  #countedAtMs = -Infinity;
  #counting: Promise<void> | null = null;

  constructor(parts: BlobSweeperParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.tick()
        .catch((error: unknown) => this.#parts.log.warn({ err: error }, 'could not sweep blobs'))
        .finally(() => this.#stopping.signal.aborted || this.start());
    }, EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    this.#stopping.abort();
    if (this.#timer) clearTimeout(this.#timer);
  }

  /** For who watches. */
  async counts(): Promise<BlobCounts> {
    const { vault, collector } = this.#parts;
    if (performance.now() - this.#countedAtMs > COUNT_EVERY_MS) {
      this.#counting ??= this.#count().finally(() => (this.#counting = null));
    }
    if (this.#counting) await Promise.race([this.#counting, sleep(COUNT_WAIT_MS, undefined, { ref: false })]);
    return { stored: this.#stored, put: vault.put, swept: collector.swept, ...this.#sweeps };
  }

  /** Also when it fails: it is tried again after as long. A sweep that ends meanwhile has it counted anew. */
  async #count(): Promise<void> {
    const { blobs, log } = this.#parts;
    this.#countedAtMs = performance.now();
    try {
      this.#stored = await blobs.stored();
    } catch (error) {
      log.warn({ err: error }, 'could not count the blobs');
    }
  }

  async tick(): Promise<void> {
    await this.#counted(() => this.#tick());
  }

  async #tick(): Promise<void> {
    const { collector, log } = this.#parts;
    const { signal } = this.#stopping;
    const stale = await this.#releaseStale({ olderThanMs: DAY_MS });
    const unused = await collector.collect(signal);
    const isDaily = performance.now() - this.#sweptAtMs > DAY_MS;
    const unknown = isDaily ? await collector.sweepUnknown({ olderThanMs: DAY_MS, signal }) : NONE;
    if (isDaily) this.#sweptAtMs = performance.now();
    if (stale + unused.count + unknown.count > 0) log.info({ stale, unused, unknown }, 'blobs were swept');
  }

  /** All at once, as far as it is older than asked. */
  async sweep(request: SweepRequest): Promise<FullSweepReport> {
    return this.#counted(async () => {
      const stale = await this.#releaseStale(request);
      return { stale, ...(await this.#parts.collector.sweep(request)) };
    });
  }

  async #counted<T>(sweep: () => Promise<T>): Promise<T> {
    this.#sweeps.sweeps += 1;
    try {
      return await sweep();
    } catch (error) {
      this.#sweeps.failed += 1;
      throw error;
    } finally {
      this.#countedAtMs = -Infinity;
    }
  }

  async #releaseStale({ olderThanMs, dryRun = false }: SweepRequest): Promise<number> {
    let released = 0;
    for (let after: string | undefined = ''; after !== undefined && !this.#stopping.signal.aborted;) {
      const page: string[] = await this.#parts.blobs.unseen(olderThanMs, THREADS, after);
      for (const threadId of page) released += await this.#releaseStaleOf(threadId, dryRun);
      after = page.at(-1);
    }
    return released;
  }

  async #releaseStaleOf(threadId: string, dryRun: boolean): Promise<number> {
    const { blobs, threads, stores } = this.#parts;
    const refs = await blobs.refsOf(threadId);
    const place = isUuid(threadId) ? await threads.place(threadId) : null;
    if (place === null) return dryRun ? refs.length : blobs.release(threadId, refs);
    const saver = stores.of(place.state_store);
    const stale = await missingIn(saver, threadId, refs);
    if (dryRun) return stale.length;
    await blobs.seen(threadId);
    if (stale.length === 0) return 0;
    try {
      // A writer makes its references first: none may be on its way. Who comes later makes them anew.
      const { token } = await threads.reserve(threadId);
      await saver.fence(threadId, token);
    } catch (error) {
      if (error instanceof BusyError || error instanceof NotFoundError) return 0; // another day
      throw error;
    }
    return blobs.release(threadId, await missingIn(saver, threadId, stale));
  }
}

/** Files go with their thread only. */
async function missingIn(saver: StateSaver, threadId: string, refs: readonly BlobRef[]): Promise<BlobRef[]> {
  const ofValues = refs.filter(({ value_id }) => !value_id.startsWith(FILE_MARK));
  const ids = ofValues.map(({ value_id }) => value_id);
  const missing = await saver.missingValues(threadId, ids);
  return ofValues.filter(({ value_id }) => missing.has(value_id));
}

const NONE = { count: 0, bytes: 0 };
