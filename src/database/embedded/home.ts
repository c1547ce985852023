import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { ServiceError, messageOf } from '../../core/errors.ts';
import { makeFolder } from '../../core/make-folder.ts';
import type { Account } from './account.ts';
import { giveTo, obstacle, serverAccount } from './account.ts';
import { ownDirectory } from './own-directory.ts';

/** Where a cluster and all that belongs to it are kept, and who runs it. */
export interface Home {
  directory: string;
  /** The cluster itself (PGDATA). It exists only once it is complete. */
  data: string;
  account: Account | undefined;
}

/** Stands in a `dataDir` whose cluster had to go elsewhere. */
interface Elsewhere {
  /** The `dataDir` it was written for: a copy of that directory must not share the original's database. */
  data_dir: string;
  directory: string;
}

/** Where clusters go whose `dataDir` the server's user cannot use. That happens to root only, so they are root's. */
export const SPARE_DIRS = ['/var/lib/baton', join(tmpdir(), 'baton-data')];

/**
 * The home of the cluster of `dataDir`: that directory, or a spare one that is recorded there when the server's user cannot reach it
 * (such as a project in root's home directory) or cannot own files in it. The modes of what a person made are left alone.
 */
export function findHome(dataDir: string, spareDirs: string[], log: Logger): Home {
  const given = makeDirectory(dataDir);
  const recorded = readRecord(given);
  if (recorded !== undefined && !existsSync(recorded)) {
    log.warn(`The database of ${given} was kept in ${recorded}, which is gone: starting with an empty one`);
  }
  const home = homeAt(recorded === undefined ? given : makeDirectory(recorded));
  const blocked = obstacle(home.directory, home.account);
  if (existsSync(home.data)) {
    if (blocked === undefined) return home;
    throw new ServiceError(
      'unavailable',
      `The database in ${home.data} cannot be reached by its user (uid ${home.account?.uid}) through ${blocked}: ` +
        `move it below a directory that others may pass through, or allow that with \`chmod o+x ${blocked}\``,
    );
  }
  if (blocked === undefined && takesOwner(home)) return home;

  const name = createHash('sha256').update(given).digest('hex').slice(0, 16);
  for (const spareDir of spareDirs) {
    const directory = join(spareDir, name);
    if (!ownDirectory(spareDir) || !ownDirectory(directory)) continue;
    const spare = homeAt(realpathSync(directory));
    if (obstacle(spare.directory, spare.account) !== undefined || !takesOwner(spare)) continue;
    writeRecord({ data_dir: given, directory: spare.directory });
    log.warn(
      `The database is kept in ${spare.directory}: uid ${spare.account?.uid}, which runs Postgres, cannot use ${given}`,
    );
    return spare;
  }
  throw new ServiceError(
    'unavailable',
    `Postgres would run as uid ${home.account?.uid}, which cannot use ${given}, nor ${spareDirs.join(' or ')}: ` +
      'run as another user than root, or set DATABASE_URL',
  );
}

function homeAt(directory: string): Home {
  const data = join(directory, 'data');
  return { directory, data, account: serverAccount(data) };
}

/** Network and shared file systems may refuse to give a file away, or pretend to. */
function takesOwner({ directory, account }: Home): boolean {
  if (account === undefined) return true;
  const trial = mkdtempSync(join(directory, 'trial-'));
  try {
    giveTo(account, trial);
    return statSync(trial).uid === account.uid;
  } catch {
    return false;
  } finally {
    rmdirSync(trial);
  }
}

/** Makes it if need be, and gives its real path: the modes on the way to a symbolic link's target are the ones that count. */
function makeDirectory(path: string): string {
  try {
    makeFolder(path);
    accessSync(path, constants.W_OK);
    return realpathSync(path);
  } catch (error) {
    throw new ServiceError(
      'unavailable',
      `The embedded Postgres needs a directory that it can write (${messageOf(error)}): start as its owner, or set DATABASE_URL`,
    );
  }
}

function readRecord(dataDir: string): string | undefined {
  const file = recordIn(dataDir);
  if (!existsSync(file)) return undefined;
  const record = JSON.parse(readFileSync(file, 'utf8')) as Elsewhere;
  const copied = record.data_dir !== dataDir && existsSync(recordIn(record.data_dir));
  return copied ? undefined : record.directory;
}

function writeRecord(record: Elsewhere): void {
  writeFileSync(recordIn(record.data_dir), `${JSON.stringify(record)}\n`);
}

function recordIn(dataDir: string): string {
  return join(dataDir, 'elsewhere.json');
}
