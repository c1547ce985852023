import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a folder and those that it is in. Returns the first that was not there, as `mkdirSync` with `recursive` does, which
 * Node 20 never ends where a folder is there and nothing can be made in it, as in /proc.
 * @throws Error of the file system.
 */
export function makeFolder(path: string, mode?: number): string | undefined {
  const parent = dirname(path);
  const first = parent === path || existsSync(parent) ? undefined : makeFolder(parent, mode);
  try {
    mkdirSync(path, mode);
    return first ?? path;
  } catch (error) {
    // It was there, or somebody else has made it.
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return first;
    throw error;
  }
}
