/** One stored object. `gen` comes from a sequence and is never used again, so that no late deletion meets a newer object. */
export interface BlobKey {
  /** The name of the content: the id of a value, or of a file with `~` before it. */
  hash: string;
  gen: number;
}

/** The object's name in every store: letters, digits and `_~-.` only. */
export function blobName({ hash, gen }: BlobKey): string {
  return `${hash}.${gen}`;
}

/** Stands before the id of a file, a blob that a node made: no value's id begins so. */
export const FILE_MARK = '~';

const NAME = /^(~?[\w-]+)\.(\d{1,16})$/;

/** Null for what is no name of ours. */
export function parseBlobName(name: string): BlobKey | null {
  const [, hash, gen] = NAME.exec(name) ?? [];
  return hash === undefined ? null : { hash, gen: Number(gen) };
}

/** What every store of ours has: it says whose the store is. Its generation is never given to an object. */
export const OWNER_NAME = blobName({ hash: `${FILE_MARK}owner`, gen: 0 });

export interface ListedBlob {
  name: string;
  bytes: number;
  /** By the clock of the store. */
  stored_at: Date;
}

/**
 * Objects by name. What cannot be reached or written throws ServiceError `unavailable`. All of it may safely be done twice.
 */
export interface BlobStore {
  /** Resolves when it is durable. */
  put(name: string, bytes: Uint8Array): Promise<void>;
  /** Null when there is none of that name. */
  get(name: string): Promise<Uint8Array | null>;
  /** As `get`, for who cannot wait: blocks the thread. */
  getSync(name: string): Uint8Array | null;
  delete(name: string): Promise<void>;
  /** A page of what comes after `after` in the store's own order; what a broken upload left is among them. Empty at the end. */
  list(after: string | undefined, limit: number): Promise<ListedBlob[]>;
  /** An address under which anybody can fetch it for that long, where the store has such a thing. */
  url?(name: string, request: BlobUrlRequest): Promise<string>;
  close(): Promise<void>;
}

export interface BlobUrlRequest {
  seconds: number;
  type: string;
  /** Under which a browser saves it. */
  filename: string;
}
