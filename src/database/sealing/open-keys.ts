import type { Logger } from 'pino';
import type { KeyRing } from '../../core/key-ring.ts';
import { Database } from '../database.ts';
import { ThreadKeys } from './thread-keys.ts';

interface OpenKeysOptions {
  url: string;
  log: Logger;
  ring: KeyRing;
}

/**
 * The keys of threads, on connections of their own: whoever waits for a key within a transaction must not wait for the
 * connections that others hold who do the same. @throws ServiceError in one line when BATON_KEYS is not the right one.
 */
export async function openKeys({
  url,
  log,
  ring,
}: OpenKeysOptions): Promise<{ keys: ThreadKeys; close(): Promise<void> }> {
  const database = new Database({ url, log, applicationName: 'baton keys', maxConnections: 2 });
  const keys = new ThreadKeys(database, ring);
  try {
    await keys.check();
  } catch (error) {
    await database.close();
    throw error;
  }
  return { keys, close: () => database.close() };
}
