import { createHash } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { uuidv7 } from '../../../core/ids.ts';
import { makeFolder } from '../../../core/make-folder.ts';
import type { GraphSource } from '../../../core/graph-source.ts';
import type { GraphTypes, TypedSchemas } from './graph-types.ts';

/** Entries that were written before the schemas took their present form are read no more. */
const FORMAT = 1;

/** Schemas on disk, good for as long as the files stay what they were made of. Any number of processes may use one folder. */
export class SchemaCache {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async read(source: GraphSource): Promise<TypedSchemas | null> {
    try {
      const entry = JSON.parse(await readFile(this.#path(source), 'utf8')) as Required<GraphTypes> & { format: number };
      const hashes = Object.entries(entry.hashes ?? {});
      const isSame = await Promise.all(hashes.map(async ([path, hash]) => hashOf(await readFile(path)) === hash));
      return entry.format === FORMAT && hashes.length > 0 && isSame.every(Boolean) ? entry.schemas : null;
    } catch {
      return null;
    }
  }

  async write(source: GraphSource, types: GraphTypes): Promise<void> {
    const path = this.#path(source);
    const whole = `${path}.${uuidv7()}`;
    makeFolder(this.#dir);
    await writeFile(whole, JSON.stringify({ format: FORMAT, ...types }));
    await rename(whole, path);
  }

  #path({ file, exportName }: GraphSource): string {
    return join(this.#dir, `${hashOf(`${file}:${exportName}`).slice(0, 24)}.json`);
  }
}

function hashOf(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
