import { resolve } from 'node:path';
import { type BlobStore, OWNER_NAME } from '../core/blob.ts';
import { InvalidInputError, messageOf } from '../core/errors.ts';
import { DiskStore } from './disk-store.ts';
import { parseS3Url, type S3Credentials } from './s3-location.ts';

export interface OpenBlobStoreOptions {
  /** `disk:./folder` or `s3://bucket/prefix?endpoint=…&region=…` */
  url: string;
  /** Where relative folders begin. */
  baseDir: string;
  /** For a bucket whose URL has none. */
  credentials?: S3Credentials;
  /** Whose objects are in it. */
  ownerId: string;
}

/** @throws InvalidInputError in one line when the store cannot be read and written, or belongs to another database. */
export async function openBlobStore(options: OpenBlobStoreOptions): Promise<BlobStore> {
  const store = await open(options);
  try {
    await claimStore(store, options.ownerId);
    return store;
  } catch (error) {
    await store.close();
    throw new InvalidInputError(messageOf(error));
  }
}

async function open({ url, baseDir, credentials }: OpenBlobStoreOptions): Promise<BlobStore> {
  const scheme = url.slice(0, url.indexOf(':'));
  const rest = url.slice(scheme.length + 1).replace(/^\/\/(?=\/)/, '');
  if (scheme === 'disk' && rest !== '') return new DiskStore(resolve(baseDir, rest));
  if (scheme === 's3') {
    const location = parseS3Url(url, credentials);
    // Loaded only by who uses it.
    const { S3Store } = await import('./s3-store.ts');
    return new S3Store(location);
  }
  throw new InvalidInputError('BLOB_URL is not understood: write it as disk:./blobs or s3://bucket/prefix');
}

/** Two databases on one store would each take the other's objects for garbage. */
async function claimStore(store: BlobStore, ownerId: string): Promise<void> {
  const written = await store.get(OWNER_NAME);
  // Written each time: whether it can be is the other thing to know.
  if (written === null || sameOwner(written, ownerId)) return store.put(OWNER_NAME, Buffer.from(ownerId));
  throw new InvalidInputError(
    `What BLOB_URL names has the blobs of another database: name another folder or prefix. If that database is gone, remove ${OWNER_NAME} there`,
  );
}

function sameOwner(written: Uint8Array, ownerId: string): boolean {
  return Buffer.from(written).toString('utf8') === ownerId;
}
