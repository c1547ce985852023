/** What bytes are stored for: a codec that seals them can bind them to their place. */
export interface CodecContext {
  thread_id: string;
  checkpoint_ns: string;
  kind: 'checkpoint' | 'writes' | 'value' | 'effect';
  /** The checkpoint of a `checkpoint` or of `writes`; the content's id of a `value`; an effect's. */
  id: string;
  /** The task, of `writes`. */
  task_id?: string;
}

/**
 * Between text and stored bytes: the place for compression, encryption and offloading. Both ways may be asynchronous
 * and are called once for each row or big value; order is kept by the caller.
 */
export interface Codec {
  encode(text: string, context: CodecContext): Uint8Array | Promise<Uint8Array>;
  decode(bytes: Uint8Array, context: CodecContext): string | Promise<string>;
}

export const plainCodec: Codec = {
  encode: (text) => Buffer.from(text, 'utf8'),
  decode: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'),
};
