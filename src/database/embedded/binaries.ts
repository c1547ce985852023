import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Logger } from 'pino';
import { ServiceError, messageOf } from '../../core/errors.ts';
import type { Account } from './account.ts';
import { PACKAGE_NAME, addLinks, copyInto, nativeDirectory } from './npm-package.ts';

export interface Binaries {
  initdb: string;
  postgres: string;
  /** As `postgres --version` says, such as `18.4`. */
  version: string;
  origin: 'embedded' | 'system';
}

/** Where binaries may be, and where a copy of them may go. */
export interface BinaryPlaces {
  /** `native/` of the npm package for this platform; `null`: it is not installed. */
  nativeDir: string | null;
  /** Directories that may hold `initdb` and `postgres`; `''` means by name, through PATH. */
  systemDirs: string[];
  cacheDirs: string[];
}

interface Search {
  places: BinaryPlaces;
  account: Account | undefined;
  log: Logger;
}

export function defaultBinaryPlaces(): BinaryPlaces {
  const uid = process.getuid?.();
  const cacheDir = uid === 0 ? '/var/cache/baton' : join(homedir(), '.cache', 'baton');
  return {
    nativeDir: nativeDirectory(),
    systemDirs: ['', ...debianDirectories()],
    cacheDirs: [cacheDir, join(tmpdir(), `baton-cache-${uid}`)],
  };
}

/** The npm package's Postgres, else the system's, else an error that says what to do. */
export async function findBinaries(search: Search): Promise<Binaries> {
  const { places, account, log } = search;
  const { nativeDir, systemDirs } = places;
  const packaged = nativeDir === null ? new Error('is not installed') : await fromPackage(nativeDir, search);
  if (!(packaged instanceof Error)) return packaged;
  for (const directory of systemDirs) {
    const found = await probe(directory, 'system', account);
    if (found instanceof Error) continue;
    if (nativeDir !== null)
      log.warn(`Using ${found.postgres}, since the npm package ${PACKAGE_NAME} ${packaged.message}`);
    return found;
  }
  throw new ServiceError(
    'unavailable',
    `No Postgres to start: the npm package ${PACKAGE_NAME} ${packaged.message}, and no "postgres" with an "initdb" ` +
      'beside it was found on the system. Set DATABASE_URL to a Postgres server, or run `npm ci` with optional dependencies',
  );
}

/** The package's binaries where they are, else in a copy that the server's user can reach. */
async function fromPackage(nativeDir: string, { places, account, log }: Search): Promise<Binaries | Error> {
  const linked = addLinks(nativeDir);
  const inPlace = await probe(join(nativeDir, 'bin'), 'embedded', account);
  if (linked && !(inPlace instanceof Error)) return inPlace;
  const unreachable = inPlace instanceof Error && 'code' in inPlace && inPlace.code === 'EACCES';
  if (linked && !unreachable) return new Error(`does not run here (${messageOf(inPlace)})`);

  const reason = linked ? 'the user that Postgres runs as cannot reach it' : 'it lacks links and cannot be written';
  for (const cacheDir of places.cacheDirs) {
    const result = await copyInto(cacheDir, nativeDir, account);
    const found = result && (await probe(join(result.copy, 'bin'), 'embedded', account));
    if (result === null || found === null || found instanceof Error) continue;
    if (result.made) log.warn(`Postgres runs from ${result.copy}, a copy of ${nativeDir}: ${reason}`);
    return found;
  }
  return new Error(`in ${nativeDir} cannot be used (${reason}), nor can ${places.cacheDirs.join(' or ')} take a copy`);
}

/** Runs both programs as the user who will run them: what they answer is the only proof that they can. */
async function probe(
  directory: string,
  origin: Binaries['origin'],
  account: Account | undefined,
): Promise<Binaries | Error> {
  const initdb = join(directory, 'initdb');
  const postgres = join(directory, 'postgres');
  try {
    const [version, ofInitdb] = await Promise.all([versionOf(postgres, account), versionOf(initdb, account)]);
    return version === ofInitdb ? { initdb, postgres, version, origin } : new Error(`holds ${version} and ${ofInitdb}`);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

async function versionOf(program: string, account: Account | undefined): Promise<string> {
  const { stdout } = await promisify(execFile)(program, ['--version'], { ...account });
  const version = /\(PostgreSQL\) (\S+)/.exec(stdout)?.[1];
  if (version === undefined) throw new Error(`${program} is not Postgres: it says ${stdout.trim()}`);
  return version;
}

/** Debian keeps the programs of each major version out of PATH. Newest first. */
function debianDirectories(): string[] {
  const root = '/usr/lib/postgresql';
  if (!existsSync(root)) return [];
  const majors = readdirSync(root).map(Number).filter(Number.isFinite);
  return majors.sort((a, b) => b - a).map((major) => join(root, String(major), 'bin'));
}
