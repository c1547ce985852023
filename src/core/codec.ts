import { contentName } from './content-name.ts';
import { keyIdOf } from './envelope.ts';
import { ServiceError } from './errors.ts';

/** What bytes are stored for: a codec that seals them can bind them to their place. */
export interface CodecContext {
  thread_id: string;
  /** '' of a `value`, since one content may stand in several namespaces. */
  checkpoint_ns: string;
  kind: 'checkpoint' | 'writes' | 'value' | 'effect';
  /** The checkpoint of a `checkpoint` or of `writes`; the content's id of a `value`; an effect's. */
  id: string;
  /** The task, of `writes`. */
  task_id?: string;
}

/** Decodes bytes of one place at once. */
export type Opener = (bytes: Uint8Array) => string;

/** A text that is kept far away, for when somebody wants it. */
export interface FarText {
  /** For who cannot wait: blocks the thread. */
  now(): string;
  soon(): Promise<string>;
}

/**
 * Between text and stored bytes: the place for compression, encryption and offloading. All ways may be asynchronous
 * and are called once for each row or big value; order is kept by the caller.
 */
export interface Codec {
  encode(text: string, context: CodecContext): Uint8Array | Promise<Uint8Array>;
  decode(bytes: Uint8Array, context: CodecContext): string | Promise<string>;
  /** All that decoding there has to wait for, waited for: to decode later without. */
  opener(context: CodecContext): Opener | Promise<Opener>;
  /** Of a codec that reads some values from far away: such a value, unread. Undefined: it is here. */
  readonly far?: ((bytes: Uint8Array, context: CodecContext) => Promise<FarText | undefined>) | undefined;
  /**
   * The id of a content within its thread, for good: the same content has the same id, whichever branch, channel or
   * write it stands in, and two contents never share one. At most 43 characters of base64url.
   */
  idOf(text: string, threadId: string): string | Promise<string>;
  /** Of a codec that seals: which keys of a checkpoint's metadata may stand in clear beside it, for filters. Absent: all. */
  readonly clearMetadata?: ReadonlySet<string>;
}

/** As the plain codec stores it. */
export const plainText: Opener = (bytes) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');

/** @throws ServiceError `unavailable`: nothing is wrong with what is stored, and what wants it waits for the right setting. */
const unsealedText: Opener = (bytes) => {
  if (keyIdOf(bytes) === null) return plainText(bytes);
  throw new ServiceError(
    'unavailable',
    'What is stored there is sealed, and the store was opened as a plain one: write "encrypted+" before its address (STATE_URL, the state of a graph, --from), and set BATON_KEYS',
  );
};

export const plainCodec: Codec = {
  encode: (text) => Buffer.from(text, 'utf8'),
  decode: unsealedText,
  opener: () => unsealedText,
  idOf: contentName,
};
