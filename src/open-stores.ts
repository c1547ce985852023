import type { Logger } from 'pino';
import type { Offload } from './blobs/blob-offload.ts';
import { openNoBlobs } from './blobs/no-blobs.ts';
import { openBlobs, type OpenBlobs } from './blobs/open-blobs.ts';
import type { BatonConfig } from './config/config.ts';
import { plainCodec } from './core/codec.ts';
import { OF_NO_THREAD } from './core/data-key.ts';
import { bareUrl } from './core/sealed-url.ts';
import type { Database } from './database/database.ts';
import type { Threads } from './database/threads.ts';
import { LongTermStore } from './database/store/long-term-store.ts';
import { loadEmbedder } from './engine/store/load-embedder.ts';
import { type Encryption, openEncryption } from './open-encryption.ts';
import { openSaver } from './state/open-saver.ts';
import type { StateSaver } from './state/state-saver.ts';
import { StateStores } from './state/state-stores.ts';

interface OpenStoresOptions {
  config: BatonConfig;
  database: Database;
  threads: Threads;
  log: Logger;
  /** For tests that make a part fail where it stands. */
  decorate: ((saver: StateSaver) => StateSaver) | undefined;
}

interface Stores {
  encryption: Encryption | null;
  store: LongTermStore;
  stores: StateStores;
  /** Null without a blob store. */
  blobs: OpenBlobs | null;
  offload: Offload;
}

/** Opens all that keeps what graphs hand over. What cannot be opened leaves no connection behind. */
export async function openStores(options: OpenStoresOptions): Promise<Stores> {
  try {
    return await open(options);
  } catch (error) {
    await options.database.close();
    throw error;
  }
}

async function open({ config, database, threads, log, decorate }: OpenStoresOptions): Promise<Stores> {
  const { index, ttl } = config.store;
  const embedded = index && { ...index, embedder: await loadEmbedder(index.embed, config.projectDir) };
  const encryption = await openEncryption(config, database.url, log);
  database.sealing = encryption?.sealing ?? null;
  await database.requireReadable();
  const blobs = await openBlobs(config, database, encryption?.codec ?? plainCodec);
  const offload = blobs?.offload ?? (await openNoBlobs(database));
  const store = await LongTermStore.open({ database, log, index: embedded, ttl });
  const openOne = saverOpener({ config, database, threads, log, encryption, offload });
  let stores: StateStores | undefined;
  try {
    stores = await StateStores.open({
      url: config.stateUrl ?? database.url,
      graphs: config.graphs,
      open: async (url, setting) => {
        const saver = await openOne(url, setting);
        return decorate?.(saver) ?? saver;
      },
    });
    // The first key seals the control plane for good: a start that fails must not have made it.
    await encryption?.sealing.cells(OF_NO_THREAD);
    return { encryption, store, stores, blobs, offload };
  } catch (error) {
    await stores?.close();
    await store.stop();
    await encryption?.close();
    await blobs?.store.close();
    throw error;
  }
}

export type SaverOpenerParts = Pick<OpenStoresOptions, 'config' | 'database' | 'threads' | 'log'> & {
  encryption: Encryption | null;
  offload: Offload;
};

/** How any one store is opened, in this project. */
export function saverOpener({ database, threads, log, encryption, offload }: SaverOpenerParts) {
  const mayWrite = (threadId: string, token: number) => threads.isHeldBy(threadId, token);
  return (url: string, setting: string): Promise<StateSaver> => {
    const pool = bareUrl(url) === database.url ? { pool: database.pool } : {};
    return openSaver({ url, setting, log, mayWrite, ...pool, sealing: encryption?.codecOf(url), offload });
  };
}
