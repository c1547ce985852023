import { isUtf8 } from 'node:buffer';

/** Begins bytes that stand in base64. No JSON text begins with it. */
const ARMOUR = 0x01;

/**
 * Bytes as a `bytea` that can be read in the binary format. node-postgres decodes every field as UTF-8, also a binary one
 * (`parseDataRowMessage` in pg-protocol), so what is not UTF-8 (compressed, encrypted) is stored in base64.
 */
export function toWire(bytes: Uint8Array): Uint8Array {
  if (bytes[0] !== ARMOUR && isUtf8(bytes)) return bytes;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
  return Buffer.from(String.fromCharCode(ARMOUR) + text, 'latin1');
}

export function fromWire(bytes: Buffer): Buffer {
  return bytes[0] === ARMOUR ? Buffer.from(bytes.toString('latin1', 1), 'base64') : bytes;
}
