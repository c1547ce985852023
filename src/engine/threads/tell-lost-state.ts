import type { Logger } from 'pino';
import { messageOf } from '../../core/errors.ts';
import { storeSetting } from '../../core/state-store.ts';
import type { Database } from '../../database/database.ts';
import { KeptThreads } from '../../database/kept-threads.ts';
import type { StateStores } from '../../state/state-stores.ts';

/** Enough: a store that has none of them was lost, or is another one. */
const WITNESSES = 3;

interface LostStateParts {
  database: Database;
  stores: Pick<StateStores, 'lasting'>;
  log: Logger;
}

/**
 * Threads name their store by whose it is, so that one whose address was changed looks as if they all had no state, and the
 * next run of each would begin anew. It is said, and does not keep a server from its start: a store may also be lost.
 */
export async function tellLostState({ database, stores, log }: LostStateParts): Promise<void> {
  const threads = new KeptThreads(database);
  for (const { name, shown, saver } of stores.lasting) {
    try {
      const ids = await threads.someOf(name, WITNESSES);
      const found = await Promise.all(ids.map((id) => saver.latest(id)));
      if (ids.length === 0 || found.some((latest) => latest !== undefined)) continue;
      log.error(
        { threads: ids },
        `${storeSetting(name)} names ${shown}, which has no state of the threads that are kept there: was the address changed? Put it back, or copy them with "baton state copy --from <the old address>" before they are used: they would begin anew`,
      );
    } catch (error) {
      log.warn(`Could not see whether ${shown} has the state of its threads: ${messageOf(error)}`);
    }
  }
}
