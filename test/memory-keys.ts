import { randomBytes } from 'node:crypto';
import { dataKey, type DataKey, type DataKeys } from '../src/core/data-key.ts';

/** Keys of threads that are kept nowhere. `shred` does what deleting a thread does. */
export class MemoryKeys implements DataKeys {
  readonly #keys = new Map<string, DataKey>();

  of(threadId: string): DataKey {
    const known = this.#keys.get(threadId);
    if (known) return known;
    const made = dataKey(threadId, randomBytes(16), randomBytes(32));
    this.#keys.set(threadId, made);
    return made;
  }

  find(threadId: string): DataKey | null {
    return this.#keys.get(threadId) ?? null;
  }

  byId(id: Buffer): DataKey | null {
    return [...this.#keys.values()].find((key) => key.id.equals(id)) ?? null;
  }

  shred(threadId: string): void {
    this.#keys.delete(threadId);
  }
}
