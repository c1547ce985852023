import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobStore, ListedBlob } from '../core/blob.ts';
import { messageOf, ServiceError } from '../core/errors.ts';
import { makeFolder } from '../core/make-folder.ts';

/** The generation in a name, also of a file that was not finished; it chooses one of 256 folders. */
const GEN = /^~?[\w-]+\.(\d+)(?:\.part-[0-9a-f]+)?$/;

/** Objects as files of a folder: written beside their place, forced to the disk, then renamed. */
export class DiskStore implements BlobStore {
  readonly #root: string;
  readonly #folders = new Set<string>();

  constructor(root: string) {
    this.#root = root;
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    const path = this.#pathOf(name);
    const part = `${path}.part-${randomBytes(8).toString('hex')}`;
    try {
      await this.#makeFolder(folderOf(name));
      const file = await open(part, 'wx');
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(part, path);
      await syncFolder(join(this.#root, folderOf(name)));
    } catch (error) {
      await rm(part, { force: true }).catch(() => undefined); // else the sweep finds it
      throw this.#unavailable('written', error);
    }
  }

  async get(name: string): Promise<Uint8Array | null> {
    try {
      return await readFile(this.#pathOf(name));
    } catch (error) {
      if (isMissing(error)) return null;
      throw this.#unavailable('read', error);
    }
  }

  getSync(name: string): Uint8Array | null {
    try {
      return readFileSync(this.#pathOf(name));
    } catch (error) {
      if (isMissing(error)) return null;
      throw this.#unavailable('read', error);
    }
  }

  async delete(name: string): Promise<void> {
    try {
      await rm(this.#pathOf(name), { force: true });
    } catch (error) {
      throw this.#unavailable('written', error);
    }
  }

  async list(after: string | undefined, limit: number): Promise<ListedBlob[]> {
    const found: ListedBlob[] = [];
    try {
      const folders = (await readdir(this.#root)).filter((folder) => /^[0-9a-f]{2}$/.test(folder)).sort();
      const first = after === undefined ? '' : folderOf(after);
      for (const folder of folders.filter((name) => name >= first)) {
        const names = (await readdir(join(this.#root, folder))).filter((name) => GEN.test(name)).sort();
        for (const name of names) {
          if (folder === first && after !== undefined && name <= after) continue;
          if (found.length === limit) return found;
          const file = await stat(join(this.#root, folder, name)).catch(() => undefined); // it may just have gone
          if (file) found.push({ name, bytes: file.size, stored_at: file.mtime });
        }
      }
    } catch (error) {
      throw this.#unavailable('read', error);
    }
    return found;
  }

  async close(): Promise<void> {}

  #pathOf(name: string): string {
    return join(this.#root, folderOf(name), name);
  }

  /** A folder is durable when the one that it is in was forced to the disk. */
  async #makeFolder(folder: string): Promise<void> {
    if (this.#folders.has(folder)) return;
    const made = makeFolder(join(this.#root, folder));
    if (made !== undefined) await syncFolder(this.#root);
    this.#folders.add(folder);
  }

  #unavailable(done: 'read' | 'written', error: unknown): ServiceError {
    this.#folders.clear(); // somebody may have removed them
    const advice = `The blob folder ${this.#root} cannot be ${done} (${messageOf(error)}): see BLOB_URL`;
    return new ServiceError('unavailable', advice, { cause: error });
  }
}

/** By the generation and not by the hash, whose letters a file system may not tell from capital ones. */
function folderOf(name: string): string {
  const gen = GEN.exec(name)?.[1];
  if (gen === undefined) throw new TypeError(`"${name}" is no blob's name`);
  return (Number(gen) % 256).toString(16).padStart(2, '0');
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } catch (error) {
    // Windows cannot, and need not: its rename is journalled.
    if (!['EPERM', 'EISDIR', 'EINVAL'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    await folder.close();
  }
}
