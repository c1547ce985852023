/** A file in the blob store: small, and at home in the state. */
export interface BlobRef {
  /** Of its content, within its thread. */
  blob_id: string;
  /** As a browser saves it. */
  name: string;
  /** Its media type. */
  type: string;
  bytes: number;
}

export type BlobAbout = Pick<BlobRef, 'name' | 'type'>;

/** What the sdk asks of whoever keeps the files of a thread: Baton's worker, or the sdk's own memory outside of a server. */
export interface BlobFiles {
  /** Durable when it returns. The same content is kept once. */
  put(bytes: Uint8Array, about: BlobAbout): Promise<BlobRef>;
  /** @throws NotFoundError when the thread has no such file. */
  get(blobId: string): Promise<Uint8Array>;
  /** @throws NotFoundError when the thread has no such file. */
  url(blobId: string, seconds: number): Promise<string>;
}
