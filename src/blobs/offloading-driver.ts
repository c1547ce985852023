import { FILE_MARK } from '../core/blob.ts';
import { ServiceError } from '../core/errors.ts';
import type { BlobRef } from '../database/blobs.ts';
import type {
  CheckpointDriver,
  CheckpointKey,
  CheckpointQuery,
  PutCheckpoint,
  PutWrites,
  Values,
} from '../state/drivers/checkpoint-driver.ts';
import { toKey } from '../state/drivers/text-key.ts';
import type { BlobVault } from './blob-vault.ts';
import { MAX_STUB_BYTES, readStub, stubOf } from './stub.ts';

export interface OffloadingDriverOptions {
  driver: CheckpointDriver;
  vault: BlobVault;
  /** Longer values leave for the blob store. */
  limitBytes: number;
}

/**
 * A driver before the driver: big values go to the blob store, and what is stored of them says where they are. They are
 * handed out so, too: `offloadCodec` reads them when somebody wants them.
 *
 * A reference is made before the value is stored and released after it is gone, so that at no moment a stored value lacks
 * its object. What is released is what was seen before the removal and was not made again since; writers of a thread are
 * kept out by its turn or its fence, as all removals ask for.
 */
export class OffloadingDriver implements CheckpointDriver {
  readonly #driver: CheckpointDriver;
  readonly #vault: BlobVault;
  readonly #limitBytes: number;
  /** By thread, the last change that waits for an upload, or for one that does. */
  readonly #waiting = new Map<string, Promise<unknown>>();

  constructor({ driver, vault, limitBytes }: OffloadingDriverOptions) {
    this.#driver = driver;
    this.#vault = vault;
    this.#limitBytes = limitBytes;
  }

  put(change: PutCheckpoint): Promise<void> {
    return this.#change(change, (offloaded) => this.#driver.put(offloaded));
  }

  putWrites(change: PutWrites): Promise<void> {
    return this.#change(change, (offloaded) => this.#driver.putWrites(offloaded));
  }

  get(threadId: string, checkpointNs: string, checkpointId?: string) {
    return this.#driver.get(threadId, checkpointNs, checkpointId);
  }

  list(query: CheckpointQuery, limit: number, after?: CheckpointKey) {
    return this.#driver.list(query, limit, after);
  }

  chain(threadId: string, checkpointNs: string, checkpointId: string | undefined, limit: number) {
    return this.#driver.chain(threadId, checkpointNs, checkpointId, limit);
  }

  values(threadId: string, ids: readonly string[]): Promise<Values> {
    return this.#driver.values(threadId, ids);
  }

  async sizes(threadId: string) {
    const [sizes, blobs] = await Promise.all([this.#driver.sizes(threadId), this.#vault.blobs.totals(toKey(threadId))]);
    return { ...sizes, blobs };
  }

  async outline(threadId: string) {
    const [outline, refs] = await Promise.all([
      this.#driver.outline(threadId),
      this.#vault.blobs.refsOf(toKey(threadId)),
    ]);
    const blobs = new Map(refs.map(({ value_id, bytes }) => [value_id, bytes]));
    // One that is longer than a stub lies in the store itself.
    const sizeOf = ({ id, bytes }: { id: string; bytes: number }): number =>
      bytes > MAX_STUB_BYTES ? bytes : bytes + (blobs.get(id) ?? 0);
    return { ...outline, values: outline.values.map((value) => ({ id: value.id, bytes: sizeOf(value) })) };
  }

  threads(limit: number, after?: string) {
    return this.#driver.threads(limit, after);
  }

  fence(threadId: string, token: number): Promise<void> {
    return this.#driver.fence(threadId, token);
  }

  deleteThread(threadId: string): Promise<void> {
    return this.#removal(threadId, () => this.#driver.deleteThread(threadId), { files: true });
  }

  deleteRun(threadId: string, runId: string): Promise<void> {
    return this.#removal(threadId, () => this.#driver.deleteRun(threadId, runId));
  }

  remove(threadId: string, checkpoints: readonly CheckpointKey[], token?: number): Promise<void> {
    return this.#removal(threadId, () => this.#driver.remove(threadId, checkpoints, token));
  }

  async copyThread(fromThreadId: string, toThreadId: string): Promise<void> {
    const { blobs } = this.#vault;
    const [from, to] = [toKey(fromThreadId), toKey(toThreadId)];
    await blobs.copy(from, to);
    await this.#driver.copyThread(fromThreadId, toThreadId);
    await this.#referToCopied(toThreadId);
  }

  close(): Promise<void> {
    return this.#driver.close();
  }

  /** As the driver makes it, in order: what comes after a change that waits for an upload waits for it, and fails with it. */
  #change<C extends PutCheckpoint | PutWrites>(change: C, make: (change: C) => Promise<void>): Promise<void> {
    const { thread_id } = change.row;
    const big = [...change.values].filter(([, bytes]) => bytes.byteLength > this.#limitBytes);
    const before = this.#waiting.get(thread_id);
    if (big.length === 0 && before === undefined) return make(change);
    const uploads = Promise.all(big.map(([id, bytes]) => this.#offload(thread_id, id, bytes)));
    const made = Promise.all([uploads, before]).then(([stubs]) => ({
      done: make({ ...change, values: new Map([...change.values, ...stubs]) }),
    }));
    this.#waiting.set(thread_id, made);
    const settled = (): void => {
      if (this.#waiting.get(thread_id) === made) this.#waiting.delete(thread_id);
    };
    made.then(settled, settled);
    return made.then(({ done }) => done);
  }

  async #offload(threadId: string, id: string, bytes: Uint8Array): Promise<[string, Uint8Array]> {
    const key = await this.#vault.keep(toKey(threadId), { value_id: id, hash: id, bytes });
    return [id, stubOf({ ...key, bytes: bytes.byteLength })];
  }

  async #removal(threadId: string, remove: () => Promise<void>, { files = false } = {}): Promise<void> {
    const { blobs } = this.#vault;
    const refs = await blobs.refsOf(toKey(threadId));
    await remove();
    const kept = refs.filter(({ value_id }) => files || !value_id.startsWith(FILE_MARK));
    await blobs.release(toKey(threadId), await this.#unnamed(threadId, kept));
  }

  async #unnamed(threadId: string, refs: readonly BlobRef[]): Promise<BlobRef[]> {
    const values =
      refs.length === 0
        ? new Map()
        : await this.#driver.values(
            threadId,
            refs.map((ref) => ref.value_id),
          );
    return refs.filter(({ value_id }) => !values.has(value_id));
  }

  /** What the source got while it was copied came with the copy, and has no reference yet. */
  async #referToCopied(threadId: string): Promise<void> {
    const known = new Set((await this.#vault.blobs.refsOf(toKey(threadId))).map(({ value_id }) => value_id));
    const { values } = await this.#driver.outline(threadId);
    const small = values.filter(({ id, bytes }) => bytes <= MAX_STUB_BYTES && !known.has(id)).map(({ id }) => id);
    if (small.length === 0) return;
    for (const [value_id, stored] of await this.#driver.values(threadId, small)) {
      const stub = known.has(value_id) ? undefined : readStub(stored);
      if (stub === undefined || (await this.#vault.blobs.refer(toKey(threadId), { value_id, ...stub }))) continue;
      await this.deleteThread(threadId);
      throw new ServiceError('unavailable', 'The thread was pruned while it was copied: copy it again');
    }
  }
}
