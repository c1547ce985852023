import { blobName, type BlobKey, parseBlobName } from '../core/blob.ts';

/** Where an object is, and how long. */
export interface Stub extends BlobKey {
  bytes: number;
}

/** No text of JSON and no sealed value begins so. */
const MARK = Buffer.from('\0blob:');
/** Longer than any stub. */
export const MAX_STUB_BYTES = 128;

/** What stands in a store of state for a value that lies in the blob store. */
export function stubOf(stub: Stub): Uint8Array {
  return Buffer.concat([MARK, Buffer.from(`${blobName(stub)}:${stub.bytes}`)]);
}

/** Undefined for a value that stands there itself. */
export function readStub(stored: Uint8Array): Stub | undefined {
  if (stored[0] !== 0 || stored.byteLength > MAX_STUB_BYTES) return undefined;
  const text = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength).toString('latin1');
  if (!text.startsWith(MARK.toString('latin1'))) return undefined;
  const [name = '', bytes] = text.slice(MARK.length).split(':');
  const key = parseBlobName(name);
  return key === null ? undefined : { ...key, bytes: Number(bytes) };
}
