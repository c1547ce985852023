import type { BlobStore } from '../core/blob.ts';
import { Blobs } from '../database/blobs.ts';
import type { Database } from '../database/database.ts';
import { BlobCollector } from './blob-collector.ts';
import { BlobOffload } from './blob-offload.ts';
import { BlobVault } from './blob-vault.ts';
import { openBlobStore } from './open-blob-store.ts';
import type { S3Credentials } from './s3-location.ts';

interface BlobsConfig {
  projectDir: string;
  blobs: { url: string | null; limitBytes: number; credentials: S3Credentials };
}

/** The blob store of a server, and what is built on it. */
export interface OpenBlobs {
  store: BlobStore;
  blobs: Blobs;
  vault: BlobVault;
  offload: BlobOffload;
  collector: BlobCollector;
}

/** Null when none is configured. @throws InvalidInputError in one line when it cannot be used. */
export async function openBlobs({ blobs: settings, projectDir }: BlobsConfig, database: Database) {
  if (settings.url === null) return null;
  const blobs = new Blobs(database);
  const { url, credentials, limitBytes } = settings;
  const store = await openBlobStore({ url, baseDir: projectDir, credentials, ownerId: await blobs.ownerId() });
  const vault = new BlobVault({ store, blobs });
  const offload = new BlobOffload(vault, limitBytes);
  return { store, blobs, vault, offload, collector: new BlobCollector({ store, blobs }) } satisfies OpenBlobs;
}
