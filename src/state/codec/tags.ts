/**
 * The key that marks an object of stored JSON as something that JSON has no form for: `{"$baton": kind, …}`.
 * A user's own object that has the key is wrapped as kind `object`, so data is never taken for a mark.
 */
export const TAG = '$baton';

/** Stored text without this holds plain JSON: nothing in it needs reviving. */
export const TAG_MARK = `"${TAG}":`;

/** An object of stored JSON that stands for a value of a class. `c` narrows the kind, `v` is its content. */
export interface Tagged {
  [TAG]: string;
  c?: string;
  v?: unknown;
}

/** The views of bytes that are stored as base64 and come back as themselves. */
export const BYTE_VIEWS = {
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
};
