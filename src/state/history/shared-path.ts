import type { CheckpointDriver, StoredCheckpoint, Values } from '../drivers/checkpoint-driver.ts';

/** What a walk along the parents of a checkpoint asks for. */
export type PathReader = Pick<CheckpointDriver, 'chain' | 'values'>;

/**
 * The ancestors that the checkpoints of one list have in common, read once for all of them. What leads to a listed
 * checkpoint is there when it is listed, so nothing here grows stale for it.
 */
export class SharedPath implements PathReader {
  readonly #driver: PathReader;
  readonly #known = new Map<string, StoredCheckpoint>();
  readonly #values = new Map<string, Uint8Array>();

  constructor(driver: PathReader) {
    this.#driver = driver;
  }

  /** May answer with fewer than there are; then those that follow the last one can be asked for. */
  async chain(threadId: string, ns: string, id: string | undefined, limit: number): Promise<StoredCheckpoint[]> {
    const path: StoredCheckpoint[] = [];
    const knownAt = (next: string | null | undefined): StoredCheckpoint | undefined =>
      this.#known.get(JSON.stringify([threadId, ns, next]));
    for (let at = knownAt(id); at !== undefined && path.length < limit; at = knownAt(at.row.parent_id)) path.push(at);
    if (path.length > 0) return path;
    const read = await this.#driver.chain(threadId, ns, id, limit);
    for (const stored of read) this.#known.set(JSON.stringify([threadId, ns, stored.row.checkpoint_id]), stored);
    return read;
  }

  async values(threadId: string, ids: readonly string[]): Promise<Values> {
    const key = (id: string): string => JSON.stringify([threadId, id]);
    const missing = ids.filter((id) => !this.#values.has(key(id)));
    const read = missing.length > 0 ? await this.#driver.values(threadId, missing) : new Map<string, Uint8Array>();
    for (const id of missing) {
      const bytes = read.get(id);
      if (bytes !== undefined) this.#values.set(key(id), bytes);
    }
    return new Map(
      ids.flatMap((id) => (this.#values.has(key(id)) ? [[id, this.#values.get(key(id)) as Uint8Array]] : [])),
    );
  }

  /** Gives back the memory. What is asked for later is read anew. */
  forget(): void {
    this.#known.clear();
    this.#values.clear();
  }
}
