import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { ServiceError } from '../../core/errors.ts';
import { giveTo } from './account.ts';
import type { Binaries } from './binaries.ts';
import { accessFiles, passwordOptions } from './connection.ts';
import type { Home } from './home.ts';

const DRAFT = 'data.draft-';

/** Refuses a cluster that these binaries cannot run, before anything in its directory is touched. */
export function checkCluster({ data, account }: Home, binaries: Binaries): void {
  if (!existsSync(data)) return;
  const { uid } = statSync(data);
  const own = account?.uid ?? process.getuid?.() ?? uid;
  if (uid !== own) {
    throw new ServiceError(
      'unavailable',
      `The database in ${data} belongs to uid ${uid} and this process runs as uid ${own}: ` +
        'start as the user who made it (root, if that is nobody), or move the directory away to begin with an empty one',
    );
  }
  const major = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim();
  if (major === binaries.version.split(/\D/, 1)[0]) return;
  throw new ServiceError(
    'unavailable',
    `The database in ${data} was made by Postgres ${major} and this is Postgres ${binaries.version} (${binaries.postgres}), ` +
      `which cannot read it. Nothing was changed. Run the Baton that made it, or start a Postgres ${major} on it and set ` +
      'DATABASE_URL; or move the directory away to begin with an empty database',
  );
}

/** Makes the cluster and its database `baton`. It gets its name when it is complete, so a crash on the way leaves only a draft. */
export async function createCluster(home: Home, binaries: Binaries, durable: boolean): Promise<void> {
  removeDrafts(home);
  const draft = mkdtempSync(join(home.directory, DRAFT));
  giveTo(home.account, draft);
  const options = ['--username=baton', '--encoding=UTF8', '--locale=C', '--data-checksums', '--wal-segsize=4'];
  await run(home, binaries.initdb, ['-D', draft, ...options, '--no-sync', '--auth=reject', ...passwordOptions(home)]);
  for (const [name, content] of Object.entries(accessFiles())) writeFileSync(join(draft, name), content);
  await run(home, binaries.postgres, ['--single', '-F', '-D', draft, 'postgres'], 'CREATE DATABASE baton;\n');
  if (durable) await run(home, binaries.initdb, ['-D', draft, '--sync-only']);
  renameSync(draft, home.data);
}

/** Of starts that were killed. An initdb that outlived its parent may still write into one: then a later start removes it. */
function removeDrafts({ directory }: Home): void {
  for (const name of readdirSync(directory).filter((entry) => entry.startsWith(DRAFT))) {
    try {
      rmSync(join(directory, name), { recursive: true });
    } catch {
      continue;
    }
  }
}

async function run(home: Home, program: string, args: string[], input = ''): Promise<void> {
  const child = spawn(program, args, { ...home.account, cwd: home.directory });
  const exit = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  child.stdin.end(input);
  const [code, output, errors] = await Promise.all([exit, text(child.stdout), text(child.stderr)]);
  if (code === 0 && !/\b(ERROR|FATAL|PANIC): /.test(errors)) return;
  throw new ServiceError(
    'unavailable',
    `${program} ended with ${code} and Postgres cannot start: ${(errors || output).trim().slice(-2000)}`,
  );
}
