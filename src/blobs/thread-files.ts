import { createHash } from 'node:crypto';
import { blobName, FILE_MARK } from '../core/blob.ts';
import type { BlobAbout, BlobRef } from '../core/blob-files.ts';
import { type Codec, plainCodec } from '../core/codec.ts';
import { keyIdOf } from '../core/envelope.ts';
import { NotFoundError } from '../core/errors.ts';
import type { BlobRef as BlobRow } from '../database/blobs.ts';
import type { BlobVault } from './blob-vault.ts';

/** The files of threads: objects like those of big values, that go with their thread. */
export class ThreadFiles {
  readonly #vault: BlobVault;
  readonly #codec: Codec;

  constructor(vault: BlobVault, codec: Codec) {
    this.#vault = vault;
    this.#codec = codec;
  }

  async put(threadId: string, bytes: Uint8Array, { name, type }: BlobAbout): Promise<BlobRef> {
    const ref: BlobRef = { blob_id: await this.#idOf(bytes, threadId), name, type, bytes: bytes.byteLength };
    await this.#keep(threadId, bytes, ref);
    return ref;
  }

  async #keep(threadId: string, bytes: Uint8Array, ref: BlobRef): Promise<void> {
    const value_id = FILE_MARK + ref.blob_id;
    await this.#vault.keep(threadId, {
      value_id,
      hash: FILE_MARK + (await this.#idOf(bytes, threadId)),
      // A file that is not sealed lies there as it is, for whoever is given its address.
      bytes: this.#isPlain ? bytes : await this.#codec.encode(base64(bytes), placeOf(threadId, value_id)),
      about: await this.#codec.encode(JSON.stringify(ref), placeOf(threadId, `${value_id}.about`)),
    });
  }

  async #idOf(bytes: Uint8Array, threadId: string): Promise<string> {
    return this.#codec.idOf(`file:${createHash('sha256').update(bytes).digest('hex')}`, threadId);
  }

  /** What is known of a file. @throws NotFoundError */
  async about(threadId: string, blobId: string): Promise<BlobRef> {
    return this.#about(threadId, await this.#row(threadId, blobId));
  }

  /** @throws NotFoundError */
  async get(threadId: string, blobId: string): Promise<Uint8Array> {
    const row = await this.#row(threadId, blobId);
    const [stored] = await Promise.all([this.#vault.load(row), this.#about(threadId, row)]);
    // Refused above, unless what was put before anything was encrypted may be read.
    if (this.#isPlain || keyIdOf(row.about ?? stored) === null) return stored;
    return Buffer.from(await this.#codec.decode(stored, placeOf(threadId, row.value_id)), 'base64');
  }

  /** An address for anybody, for so long; where the store has none, or only sealed bytes, the path in the API. @throws NotFoundError */
  async url(threadId: string, blobId: string, seconds: number): Promise<string> {
    const row = await this.#row(threadId, blobId);
    const { store } = this.#vault;
    if (!this.#isPlain || !store.url) return `/threads/${threadId}/blobs/${blobId}`;
    const { name: filename, type } = await this.#about(threadId, row);
    return store.url(blobName(row), { seconds, type, filename });
  }

  /** For a copy of a thread whose files are sealed: under the copy's key. Others come with the copied references. */
  async copy(fromThreadId: string, toThreadId: string): Promise<void> {
    if (this.#isPlain) return;
    for (const { value_id } of await this.#vault.blobs.refsOf(fromThreadId)) {
      if (!value_id.startsWith(FILE_MARK)) continue;
      const blobId = value_id.slice(FILE_MARK.length);
      const bytes = await this.get(fromThreadId, blobId);
      // The copied state names it as the original does.
      await this.#keep(toThreadId, bytes, await this.about(fromThreadId, blobId));
    }
  }

  get #isPlain(): boolean {
    return this.#codec === plainCodec;
  }

  async #row(threadId: string, blobId: string): Promise<BlobRow> {
    const row = await this.#vault.blobs.ref(threadId, FILE_MARK + blobId);
    if (row === null) throw new NotFoundError('Blob', blobId);
    return row;
  }

  async #about(threadId: string, { value_id, about }: BlobRow): Promise<BlobRef> {
    const text = await this.#codec.decode(about ?? Buffer.from('{}'), placeOf(threadId, `${value_id}.about`));
    return JSON.parse(text) as BlobRef;
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

function placeOf(threadId: string, id: string) {
  return { thread_id: threadId, checkpoint_ns: '', kind: 'value', id } as const;
}
