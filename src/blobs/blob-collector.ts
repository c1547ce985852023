import { blobName, type BlobStore, parseBlobName, OWNER_NAME } from '../core/blob.ts';
import type { Blobs, BlobTotals } from '../database/blobs.ts';

const BATCH = 100;
const PAGE = 500;

export interface BlobCollectorOptions {
  store: BlobStore;
  blobs: Blobs;
}

export interface SweepRequest {
  /** Only says what it would do. */
  dryRun?: boolean;
  /** Objects that no row knows are removed when they are older than this. */
  olderThanMs: number;
  signal?: AbortSignal;
}

export interface SweepReport {
  /** Objects that nobody used any more. */
  unused: BlobTotals;
  /** Objects that no row knows: what crashed or late uploads left. */
  unknown: BlobTotals;
}

/** Removes objects that nobody uses. Any number of them may work at once. */
export class BlobCollector {
  /** What this one has removed. */
  readonly swept: BlobTotals = { count: 0, bytes: 0 };
  readonly #store: BlobStore;
  readonly #blobs: Blobs;

  constructor({ store, blobs }: BlobCollectorOptions) {
    this.#store = store;
    this.#blobs = blobs;
  }

  /** All that is to be removed, in bounded batches. */
  async sweep({ dryRun = false, olderThanMs, signal }: SweepRequest): Promise<SweepReport> {
    const unused = dryRun ? await this.#blobs.unused() : await this.collect(signal);
    return { unused, unknown: await this.sweepUnknown({ dryRun, olderThanMs, ...(signal && { signal }) }) };
  }

  /** Objects without a reference: condemned first, so that none can be made, then deleted, then forgotten. */
  async collect(signal?: AbortSignal): Promise<BlobTotals> {
    const total = { count: 0, bytes: 0 };
    for (;;) {
      if (signal?.aborted) break;
      const { condemned, isAll } = await this.#blobs.condemn(BATCH);
      for (const key of condemned) await this.#store.delete(blobName(key));
      const gone = await this.#blobs.forget(condemned);
      for (const sum of [total, this.swept]) add(sum, gone);
      if (isAll) break;
    }
    return total;
  }

  /** A row comes before its object and goes after it, so an object without one is garbage, however new it is. */
  async sweepUnknown({ dryRun = false, olderThanMs, signal }: SweepRequest): Promise<BlobTotals> {
    const total = { count: 0, bytes: 0 };
    let after: string | undefined;
    for (;;) {
      if (signal?.aborted) break;
      const page = await this.#store.list(after, PAGE);
      after = page.at(-1)?.name;
      if (after === undefined) break;
      const before = Date.now() - olderThanMs;
      const old = page.filter(({ name, stored_at }) => name !== OWNER_NAME && stored_at.getTime() <= before);
      const keys = old.flatMap(({ name }) => parseBlobName(name) ?? []);
      const known = new Set((await this.#blobs.known(keys)).map(blobName));
      for (const { name, bytes } of old) {
        // What has no name of ours was put there by somebody else, or is the rest of a file that was not finished.
        if (known.has(name) || !(parseBlobName(name) ?? isPart(name))) continue;
        add(total, { count: 1, bytes });
        if (dryRun) continue;
        await this.#store.delete(name);
        add(this.swept, { count: 1, bytes });
      }
    }
    return total;
  }
}

function isPart(name: string): boolean {
  return name.includes('.part-') && parseBlobName(name.slice(0, name.indexOf('.part-'))) !== null;
}

function add(total: BlobTotals, { count, bytes }: BlobTotals): void {
  total.count += count;
  total.bytes += bytes;
}
