import type { Codec } from '../core/codec.ts';
import type { BlobStore } from '../core/blob.ts';
import { Blobs } from '../database/blobs.ts';
import type { Database } from '../database/database.ts';
import { BlobCollector } from './blob-collector.ts';
import { BlobOffload } from './blob-offload.ts';
import { BlobVault } from './blob-vault.ts';
import { openBlobStore } from './open-blob-store.ts';
import { ThreadFiles } from './thread-files.ts';
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
  files: ThreadFiles;
  collector: BlobCollector;
}

/** @param codec Seals files. @returns null when none is configured. @throws InvalidInputError in one line when it cannot be used. */
export async function openBlobs({ blobs: settings, projectDir }: BlobsConfig, database: Database, codec: Codec) {
  if (settings.url === null) return null;
  const blobs = new Blobs(database);
  const { url, credentials, limitBytes } = settings;
  const store = await openBlobStore({ url, baseDir: projectDir, credentials, ownerId: await blobs.ownerId() });
  const vault = new BlobVault({ store, blobs });
  const offload = new BlobOffload(vault, limitBytes);
  const files = new ThreadFiles(vault, codec);
  return { store, blobs, vault, offload, files, collector: new BlobCollector({ store, blobs }) } satisfies OpenBlobs;
}
