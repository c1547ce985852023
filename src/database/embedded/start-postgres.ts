import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { BinaryPlaces, Binaries } from './binaries.ts';
import { defaultBinaryPlaces, findBinaries } from './binaries.ts';
import { checkCluster, createCluster } from './cluster.ts';
import { urlOf } from './connection.ts';
import { withDirectoryLock } from './directory-lock.ts';
import { SPARE_DIRS, findHome } from './home.ts';
import { launchPostmaster, runningPostmaster, stopPostmaster } from './postmaster.ts';
import { ServerUsers } from './server-users.ts';

export interface PostgresServer {
  /** Of its database `baton`, in the form that `pg` understands. */
  readonly url: string;
  /** Whose programs these are: the npm package's or the system's. */
  readonly origin: Binaries['origin'];
  /** True for the one that has used the server longest: ownership passes on when the owner leaves or dies. */
  readonly owned: boolean;
  /** Gives the server up and, when no other process uses it, stops it. Call it last: nothing can be queried afterwards. */
  stop(): Promise<void>;
}

export interface StartOptions {
  /** Such as `<project>/.baton/postgres`. Made if need be. */
  dataDir: string;
  log: Logger;
  /** Further settings of the server. Tests turn fsync off. */
  settings?: Record<string, string>;
  /** Where programs are looked for, and where what the server's user cannot reach is kept. Tests bring their own. */
  places?: Partial<BinaryPlaces & { spareDirs: string[] }>;
}

/**
 * Starts the Postgres of a directory, or joins the one that runs there: of another process, or left over from one that was killed.
 *
 * @throws ServiceError `unavailable`, with what to do, when there is no Postgres to start or it cannot use the directory.
 */
export async function startPostgres({
  dataDir,
  log,
  settings = {},
  places = {},
}: StartOptions): Promise<PostgresServer> {
  const home = findHome(dataDir, places.spareDirs ?? SPARE_DIRS, log);
  const binaries = await findBinaries({
    places: { ...defaultBinaryPlaces(), ...places },
    account: home.account,
    log,
  });
  checkCluster(home, binaries);
  const locked = <T>(work: () => Promise<T>): Promise<T> => withDirectoryLock(join(home.directory, 'lock'), work);
  const users = new ServerUsers(home.directory);

  const { postmaster, user } = await locked(async () => {
    let postmaster = await runningPostmaster(home);
    if (postmaster === undefined) {
      if (!existsSync(home.data)) await createCluster(home, binaries, settings.fsync !== 'off');
      postmaster = await launchPostmaster(home, binaries, settings);
    } else {
      log.info(`Using the Postgres that runs on ${home.data} already (process ${postmaster.pid})`);
    }
    return { postmaster, user: users.join() };
  });

  const leave = (): Promise<void> =>
    locked(async () => {
      if (users.leave(user)) await stopPostmaster(home, postmaster, log);
    });
  let left: Promise<void> | undefined;
  return {
    url: urlOf(home, postmaster),
    origin: binaries.origin,
    get owned() {
      return users.isOwner(user);
    },
    stop: () => (left ??= leave()),
  };
}
