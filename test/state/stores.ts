import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { MemoryDriver } from '../../src/state/drivers/memory/memory-driver.ts';
import { DurableSaver } from '../../src/state/durable-saver.ts';
import { clearMetadata } from '../../src/core/clear-metadata.ts';
import { SealingCodec } from '../../src/state/codec/sealing-codec.ts';
import { MemoryKeys } from '../memory-keys.ts';
import { openState } from '../../src/state/open-state.ts';
import { testDatabase } from '../postgres.ts';
import { offloadingStore } from './offloading-store.ts';

export const log = pino({ level: 'silent' });

/** A state store of a test, with a way to be rid of it. */
export interface TestStore {
  saver: DurableSaver;
  url: string;
  close(): Promise<void>;
}

/** Of an encrypted store whose keys are in memory. */
function sealing(): SealingCodec {
  return new SealingCodec({ keys: new MemoryKeys(), readsPlain: false, clearMetadata: clearMetadata([]) });
}

async function sqliteStore(codec?: SealingCodec): Promise<TestStore> {
  const directory = await mkdtemp(join(tmpdir(), 'baton-sqlite-'));
  const url = `${codec === undefined ? '' : 'encrypted+'}sqlite:${join(directory, 'state.db')}`;
  const saver = await openState({ url, log, sealing: codec });
  const close = async (): Promise<void> => {
    await saver.close();
    await rm(directory, { recursive: true });
  };
  return { saver, url, close };
}

/** Every driver that exists: what is tested on one is tested on all. */
export const STORES: Record<string, () => Promise<TestStore>> = {
  memory: async () => {
    const saver = await openState({ url: 'memory:', log });
    return { saver, url: 'memory:', close: () => saver.close() };
  },
  /** Everything that can be taken apart is. */
  'memory, in pieces': async () => {
    const saver = new DurableSaver({ driver: new MemoryDriver(), inlineChars: 3 });
    return { saver, url: 'memory:', close: () => saver.close() };
  },
  sqlite: () => sqliteStore(),
  'encrypted+memory': async () => {
    const saver = await openState({ url: 'encrypted+memory:', log, sealing: sealing() });
    return { saver, url: 'encrypted+memory:', close: () => saver.close() };
  },
  postgres: async () => {
    const database = await testDatabase();
    const saver = await openState({ url: database.url, log });
    const close = async (): Promise<void> => {
      await saver.close();
      await database.drop();
    };
    return { saver, url: database.url, close };
  },
  'encrypted+postgres': async () => {
    const database = await testDatabase();
    const url = `encrypted+${database.url}`;
    const saver = await openState({ url, log, sealing: sealing() });
    const close = async (): Promise<void> => {
      await saver.close();
      await database.drop();
    };
    return { saver, url, close };
  },
  'blobs+postgres': offloadingStore,
};

/** Not one of STORES, whose suites take long enough: what is its own is how the two go together. */
export const sealedSqlite = (): Promise<TestStore> => sqliteStore(sealing());

/** A Redis for the tests; undefined where there is none. `global-setup.ts` provides it. */
export const REDIS_URL = process.env['BATON_TEST_REDIS_URL'];

if (REDIS_URL !== undefined) {
  // Each has keys of its own, which go by themselves should the server be there for longer than the tests.
  STORES['redis'] = async () => {
    const url = `${REDIS_URL}?prefix=${randomUUID()}&ttl=1h`;
    const saver = await openState({ url, log });
    return { saver, url, close: () => saver.close() };
  };
}
