import { setTimeout as delay } from 'node:timers/promises';
import type { BlobStore, ListedBlob } from '../../src/core/blob.ts';
import { ServiceError } from '../../src/core/errors.ts';
import type { Random } from '../random.ts';

/** Objects in memory; seeded, its calls are slow, fail before they did anything, fail after they did it, or do it later. */
export class FaultyStore implements BlobStore {
  readonly objects = new Map<string, Uint8Array>();
  readonly #random: Random;
  readonly #late = new Set<Promise<void>>();
  /** Off, nothing fails. */
  faulty = true;
  reads = 0;
  /** Those of them that blocked the process. */
  blockingReads = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    await this.#disturbed(() => void this.objects.set(name, Uint8Array.from(bytes)));
  }

  async get(name: string): Promise<Uint8Array | null> {
    this.reads += 1;
    return this.objects.get(name) ?? null;
  }

  getSync(name: string): Uint8Array | null {
    this.reads += 1;
    this.blockingReads += 1;
    return this.objects.get(name) ?? null;
  }

  async delete(name: string): Promise<void> {
    await this.#disturbed(() => void this.objects.delete(name));
  }

  async list(after: string | undefined, limit: number): Promise<ListedBlob[]> {
    return [...this.objects]
      .filter(([name]) => after === undefined || name > after)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .slice(0, limit)
      .map(([name, bytes]) => ({ name, bytes: bytes.byteLength, stored_at: new Date() }));
  }

  async close(): Promise<void> {}

  /** What was to happen later has happened. */
  async settled(): Promise<void> {
    await Promise.all(this.#late);
  }

  async #disturbed(work: () => void): Promise<void> {
    const chance = this.faulty ? this.#random.next() : 1;
    if (chance < 0.4) await delay(this.#random.int(0, 6));
    if (chance < 0.05) throw lost();
    if (chance < 0.08) {
      const late = delay(this.#random.int(1, 20)).then(work);
      this.#late.add(late);
      throw lost();
    }
    work();
    if (chance < 0.12) throw lost();
  }
}

function lost(): ServiceError {
  return new ServiceError('unavailable', 'the store did not answer');
}
