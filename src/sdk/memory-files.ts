import type { BlobAbout, BlobFiles, BlobRef } from '../core/blob-files.ts';
import { contentName } from '../core/content-name.ts';
import { NotFoundError } from '../core/errors.ts';

/** Files where no server keeps them: for tests of a graph. */
export class MemoryFiles implements BlobFiles {
  readonly #files = new Map<string, { bytes: Uint8Array; type: string }>();

  async put(bytes: Uint8Array, { name, type }: BlobAbout): Promise<BlobRef> {
    const blob_id = contentName(bytes);
    this.#files.set(blob_id, { bytes: Uint8Array.from(bytes), type });
    return { blob_id, name, type, bytes: bytes.byteLength };
  }

  async get(blobId: string): Promise<Uint8Array> {
    return Uint8Array.from(this.#file(blobId).bytes);
  }

  async url(blobId: string): Promise<string> {
    const { bytes, type } = this.#file(blobId);
    return `data:${type};base64,${Buffer.from(bytes).toString('base64')}`;
  }

  #file(blobId: string): { bytes: Uint8Array; type: string } {
    const file = this.#files.get(blobId);
    if (file === undefined) throw new NotFoundError('Blob', blobId);
    return file;
  }
}
