import { join } from 'node:path';
import type { Logger } from 'pino';
import { messageOf } from '../../../core/errors.ts';
import type { GraphSource } from '../../../core/graph-source.ts';
import { findCompiler } from './find-compiler.ts';
import type { GraphTypes, TypedSchemas } from './graph-types.ts';
import { SchemaCache } from './schema-cache.ts';
import { TypeReader } from './type-reader.ts';

export interface TypeSchemasOptions {
  /** Where the project's packages are, a compiler among them. */
  projectDir: string;
  /** What was read is kept below it. */
  dataDir: string;
  log: Logger;
  /** How long somebody who asks is kept waiting for what is not known yet. Default 30 s, as the official server. */
  waitMs?: number;
  /** How long the reading of one graph may take. Default 2 minutes. */
  limitMs?: number;
  /** What the thread that reads may use. Default 2 GB. */
  heapMb?: number;
}

/**
 * What TypeScript says about graphs whose state only the compiler knows, as `Annotation<Invoice>()` does. It is read once a
 * process, in a thread, by the project's own compiler, and kept on disk.
 */
export class TypeSchemas {
  readonly #options: Required<TypeSchemasOptions>;
  readonly #cache: SchemaCache;
  readonly #found = new Map<string, Promise<TypedSchemas>>();
  #reader: TypeReader | null | undefined;
  #stopped = false;

  constructor(options: TypeSchemasOptions) {
    this.#options = { waitMs: 30_000, limitMs: 120_000, heapMb: 2048, ...options };
    this.#cache = new SchemaCache(join(options.dataDir, 'schemas'));
  }

  /** Empty when nothing can be known, or not in time: who asks again later may get more. */
  async of(source: GraphSource): Promise<TypedSchemas> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<TypedSchemas>((resolve) => {
      timer = setTimeout(resolve, this.#options.waitMs, {});
    });
    return Promise.race([this.read(source), late]).finally(() => clearTimeout(timer));
  }

  /** The same, however long it takes. Never rejects. */
  async read(source: GraphSource): Promise<TypedSchemas> {
    const key = `${source.file}:${source.exportName}`;
    const reading = this.#found.get(key) ?? this.#find(source);
    this.#found.set(key, reading);
    return reading;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#reader?.stop();
  }

  async #find(source: GraphSource): Promise<TypedSchemas> {
    if (!/\.[cm]?tsx?$/.test(source.file)) return {};
    const cached = await this.#cache.read(source);
    if (cached || this.#stopped) return cached ?? {};
    this.#reader = this.#reader === undefined ? this.#openReader() : this.#reader;
    const answer = await this.#reader?.read(source);
    if (answer === undefined || this.#stopped) return {};
    const { log } = this.#options;
    if ('error' in answer) {
      log.warn(
        { file: source.file, reason: answer.error },
        'the types of a graph cannot be read: its schemas stay open',
      );
      return {};
    }
    await this.#keep(source, answer);
    return answer.schemas;
  }

  #openReader(): TypeReader | null {
    const { projectDir, log } = this.#options;
    const compiler = findCompiler(projectDir);
    if (compiler !== null) return new TypeReader({ ...this.#options, compiler });
    log.info(
      'schemas of graphs name their keys, not their types: for those, add typescript 5 or 6 to the project, or @typescript/typescript6 beside typescript 7',
    );
    return null;
  }

  async #keep(source: GraphSource, types: GraphTypes): Promise<void> {
    if (types.hashes === null) return;
    try {
      await this.#cache.write(source, types);
    } catch (error) {
      this.#options.log.debug({ reason: messageOf(error) }, 'schemas could not be kept on disk: they are read anew');
    }
  }
}
