import type { Logger } from 'pino';
import type { RetentionSettings } from '../../core/retention-settings.ts';
import { Bookmarks } from '../../database/bookmarks.ts';
import type { Database } from '../../database/database.ts';
import type { Effects } from '../../database/effects.ts';
import { Retention } from '../../database/retention.ts';
import { ThreadSizes } from '../../database/thread-sizes.ts';
import type { Threads } from '../../database/threads.ts';
import type { StateStores } from '../../state/state-stores.ts';
import { RetentionSweeper } from './retention-sweeper.ts';
import { ThreadPruner } from './thread-pruner.ts';

interface RetentionOptions {
  database: Database;
  threads: Threads;
  effects: Effects;
  stores: StateStores;
  settings: RetentionSettings;
  log: Logger;
}

/** What sees to it that nothing grows for ever. */
export interface RetentionParts {
  bookmarks: Bookmarks;
  sizes: ThreadSizes;
  pruner: ThreadPruner;
  retention: RetentionSweeper;
}

export function openRetention(options: RetentionOptions): RetentionParts {
  const { database } = options;
  const bookmarks = new Bookmarks(database);
  const pruner = new ThreadPruner({ ...options, bookmarks });
  const retention = new RetentionSweeper({ ...options, retention: new Retention(database), pruner });
  return { bookmarks, sizes: new ThreadSizes(database), pruner, retention };
}
