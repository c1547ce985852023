import type { BlobFiles, BlobRef } from '../core/blob-files.ts';
import { type Duration, durationMs } from '../core/duration.ts';
import { InvalidInputError } from '../core/errors.ts';
import { MemoryFiles } from './memory-files.ts';
import { nodePlace } from './node-place.ts';

export interface BlobOptions {
  /** Under which it is downloaded. Default: `blob`. */
  name?: string;
  /** Its media type. Default: `text/plain; charset=utf-8` of a text, else `application/octet-stream`. */
  type?: string;
}

type BlobSource = Uint8Array | string | AsyncIterable<Uint8Array | string>;

const MAX_SECONDS = 7 * 24 * 3600;
// eslint-disable-next-line no-control-regex -- these are what is looked for
const CONTROL = /[\u0000-\u001f\u007f]/;

/**
 * Files that a node makes: kept in the blob store (`BLOB_URL`), named in the state by a small reference, gone with the thread.
 *
 *     const invoice = await blob.put(pdf, { name: 'invoice.pdf', type: 'application/pdf' });
 *     return { invoice };                                    // { blob_id, name, type, bytes }
 *     const bytes = await blob.get(state.invoice);           // in a later node, or in a copy of the thread
 *     const link = await blob.url(state.invoice, { expires: '1h' });
 *
 * Clients download one from `GET /threads/:thread_id/blobs/:blob_id`. Without a Baton server they are kept in memory, beside
 * the graph's checkpointer.
 */
export const blob = {
  /** Durable when it returns. A node that is executed again puts the same content once. @throws InvalidInputError without a blob store. */
  async put(source: BlobSource, { name = 'blob', type }: BlobOptions = {}): Promise<BlobRef> {
    const isText = typeof source === 'string';
    const media = type ?? (isText ? 'text/plain; charset=utf-8' : 'application/octet-stream');
    requireText(name, 'name');
    requireText(media, 'type');
    return files().put(await bytesOf(source), { name, type: media });
  },

  /** @throws NotFoundError when the thread has no such file: a reference is good in its own thread, and in copies of that. */
  async get(ref: Pick<BlobRef, 'blob_id'>): Promise<Uint8Array> {
    return files().get(ref.blob_id);
  },

  /**
   * Where the store has addresses of its own (S3, state not encrypted): one under which anybody can download it until it
   * expires (default: an hour; a week at most). Else the path of the download in the API, which asks who is there.
   */
  async url(ref: Pick<BlobRef, 'blob_id'>, { expires = '1h' }: { expires?: Duration } = {}): Promise<string> {
    const seconds = Math.ceil(durationMs(expires) / 1000);
    if (seconds < 1 || seconds > MAX_SECONDS) {
      throw new InvalidInputError('An address expires after a second at the earliest and a week at the latest');
    }
    return files().url(ref.blob_id, seconds);
  },
};

/** What is kept without a server goes with the graph's checkpointer. */
const KEPT = new WeakMap<object, MemoryFiles>();
/** For code that no graph executes. */
const OUTSIDE = {};

function files(): BlobFiles {
  const place = nodePlace();
  if (place?.execution) return place.execution.files;
  const owner = place?.checkpointer ?? OUTSIDE;
  const kept = KEPT.get(owner) ?? new MemoryFiles();
  KEPT.set(owner, kept);
  return kept;
}

async function bytesOf(source: BlobSource): Promise<Uint8Array> {
  if (typeof source === 'string') return Buffer.from(source, 'utf8');
  if (source instanceof Uint8Array) return source;
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(typeof chunk === 'string' ? Buffer.from(chunk, 'utf8') : chunk);
  return Buffer.concat(chunks);
}

function requireText(text: string, what: string): void {
  if (text.length > 0 && text.length <= 255 && !CONTROL.test(text)) return;
  throw new InvalidInputError(
    `The ${what} of a blob must be a text of 1 to 255 characters, none of them a control character`,
  );
}
