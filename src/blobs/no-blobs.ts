import type { BlobStore } from '../core/blob.ts';
import { ServiceError } from '../core/errors.ts';
import { Blobs } from '../database/blobs.ts';
import type { Database } from '../database/database.ts';
import { BlobOffload, type Offload, readingOnly } from './blob-offload.ts';
import { BlobVault } from './blob-vault.ts';

/**
 * What a server has that names no blob store: nothing leaves for one. But its database may be that of a server which has, or
 * had, one: values that lie there are told from others, and references to them are kept in step by copies and removals.
 */
export async function openNoBlobs(database: Database): Promise<Offload> {
  const blobs = new Blobs(database);
  const offload = new BlobOffload(new BlobVault({ store: new NoBlobStore(), blobs }), Infinity);
  const reading = readingOnly(offload);
  return (await blobs.isReferredTo()) ? { ...reading, driver: (driver) => offload.driver(driver) } : reading;
}

class NoBlobStore implements BlobStore {
  async put(): Promise<never> {
    throw missing();
  }

  async get(): Promise<never> {
    throw missing();
  }

  getSync(): never {
    throw missing();
  }

  async delete(): Promise<never> {
    throw missing();
  }

  async list(): Promise<never> {
    throw missing();
  }

  async close(): Promise<void> {}
}

/** Another server may have it, so that a run waits instead of being lost. */
function missing(): ServiceError {
  return new ServiceError(
    'unavailable',
    'A value of this thread lies in a blob store, and BLOB_URL is not set: set it to the store that it was put into, then start again',
  );
}
