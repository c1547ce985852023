import { readFile, realpath } from 'node:fs/promises';
import { isAbsolute, join, relative, sep } from 'node:path';

const SCHEME = 'disk:';

/**
 * Reads documents by reference (`disk:2026/scan-014.pdf`) from one folder. A reference that leads out of the folder, by
 * `..`, as an absolute path or through a symbolic link, is refused.
 */
export function diskBucket(root: string): (reference: string) => Promise<Uint8Array> {
  return async (reference) => {
    if (!reference.startsWith(SCHEME)) {
      throw new Error(
        `"${reference}" is not a document reference: write "disk:" and a file name, as in "disk:scan.pdf".`,
      );
    }
    const path = await resolveInside(root, reference.slice(SCHEME.length), reference);
    return readFile(path);
  };
}

async function resolveInside(root: string, name: string, reference: string): Promise<string> {
  const outside = new Error(`"${reference}" leads out of the bucket: name a file inside it, without "..".`);
  if (isAbsolute(name) || !isInside(root, join(root, name))) throw outside;
  const [realRoot, path] = await Promise.all([realpath(root), realpath(join(root, name))]).catch((error: unknown) => {
    throw new Error(`"${reference}" is not in the bucket ${root}: put the file there or correct the name.`, {
      cause: error,
    });
  });
  if (!isInside(realRoot, path)) throw outside;
  return path;
}

function isInside(root: string, path: string): boolean {
  const way = relative(root, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}
