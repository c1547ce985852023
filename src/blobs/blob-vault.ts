import { type BlobKey, blobName, type BlobStore, OWNER_NAME } from '../core/blob.ts';
import { ServiceError } from '../core/errors.ts';
import type { Blobs, NewBlobRef } from '../database/blobs.ts';

export interface BlobVaultOptions {
  store: BlobStore;
  blobs: Blobs;
  /** How long an upload may take before it may have to be done again. */
  leaseMs?: number;
}

export interface NewObject extends Omit<NewBlobRef, 'gen'> {
  bytes: Uint8Array;
}

/**
 * Objects and the references to them, kept in step across a store and a database that know nothing of each other:
 * the row of an object comes before the object and goes after it, and no reference is made to an object that goes. A crash
 * at any moment leaves at most a row or an object that nobody uses, which the collector finds.
 */
export class BlobVault {
  readonly blobs: Blobs;
  readonly store: BlobStore;
  /** What this process has uploaded. */
  readonly put = { count: 0, bytes: 0 };
  readonly #leaseMs: number;
  /** By name. The same content often comes twice at once: as what a node wrote, and as what its channel has then. */
  readonly #uploads = new Map<string, Promise<void>>();

  constructor({ store, blobs, leaseMs = 60_000 }: BlobVaultOptions) {
    this.store = store;
    this.blobs = blobs;
    this.#leaseMs = leaseMs;
  }

  /** Stores a content, unless it is there, and has the thread refer to it. */
  async keep(threadId: string, { bytes, ...ref }: NewObject): Promise<BlobKey> {
    for (let leaseMs = this.#leaseMs; ; leaseMs *= 2) {
      const { hash, gen, is_live } = await this.blobs.claim(ref.hash, bytes.byteLength, leaseMs);
      const name = blobName({ hash, gen });
      if (!is_live) await (this.#uploads.get(name) ?? this.#upload(name, bytes));
      if (await this.blobs.refer(threadId, { ...ref, gen })) return { hash, gen };
      // It took longer than the lease, and was collected: maybe before the object was there, so nobody else would remove it.
      await this.store.delete(name);
    }
  }

  #upload(name: string, bytes: Uint8Array): Promise<void> {
    const count = (): void => {
      this.put.count += 1;
      this.put.bytes += bytes.byteLength;
    };
    const upload = this.store.put(name, bytes).then(count);
    const over = (): boolean => this.#uploads.delete(name);
    upload.then(over, over);
    this.#uploads.set(name, upload);
    return upload;
  }

  async load(key: BlobKey): Promise<Uint8Array> {
    return (await this.store.get(blobName(key))) ?? missing(key, await this.store.get(OWNER_NAME));
  }

  /** As `load`; blocks the thread. */
  loadSync(key: BlobKey): Uint8Array {
    return this.store.getSync(blobName(key)) ?? missing(key, this.store.getSync(OWNER_NAME));
  }
}

/** @param owner What says whose store it is; null: there is nothing there at all, as of a volume that is not mounted. */
function missing(key: BlobKey, owner: Uint8Array | null): never {
  if (owner === null) {
    throw new ServiceError(
      'unavailable',
      'What BLOB_URL names is empty, and is no store of blobs: see that its volume is mounted, or name the store that has the blobs',
    );
  }
  throw new ServiceError(
    'unreadable_value',
    `The blob ${blobName(key)} is not in the store that BLOB_URL names: name the store that has it, or delete the thread`,
  );
}
