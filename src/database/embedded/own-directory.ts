import { chmodSync, lstatSync } from 'node:fs';
import { makeFolder } from '../../core/make-folder.ts';

/**
 * Makes a directory that all may pass through and only we may write. False when there is one that another user made or may change:
 * programs that we run, and data, must not lie there.
 */
export function ownDirectory(path: string): boolean {
  try {
    const made = makeFolder(path);
    if (made !== undefined) chmodSync(path, 0o755);
    const entry = lstatSync(path);
    return entry.isDirectory() && entry.uid === (process.getuid?.() ?? entry.uid) && (entry.mode & 0o022) === 0;
  } catch {
    return false;
  }
}
