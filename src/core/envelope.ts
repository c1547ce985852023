import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/**
 * Sealed bytes: version 1, flags 1, key id 16, initialisation vector 12, tag 16, ciphertext. AES-256-GCM; the header and the
 * context are bound to it, so that bytes which were changed, cut, or moved to another place do not open.
 */
const VERSION = 1;
const KEY_ID_AT = 2;
const IV_AT = 18;
const TAG_AT = 30;
const SEALED_AT = 46;

export interface SealingKey {
  /** Of 16 bytes. */
  id: Buffer;
  /** Of 32 bytes. */
  secret: Buffer;
}

/** What sealed bytes stand for and where: a list of texts, of which no two are taken for one another. */
export type SealedPlace = readonly string[];

/** @param flags One byte that is the caller's. */
export function seal(key: SealingKey, bytes: Uint8Array, place: SealedPlace, flags = 0): Buffer {
  const sealed = Buffer.allocUnsafe(SEALED_AT + bytes.length);
  sealed[0] = VERSION;
  sealed[1] = flags;
  key.id.copy(sealed, KEY_ID_AT);
  const iv = randomBytes(TAG_AT - IV_AT);
  iv.copy(sealed, IV_AT);
  const cipher = createCipheriv('aes-256-gcm', key.secret, iv);
  cipher.setAAD(bound(sealed, place));
  cipher.update(bytes).copy(sealed, SEALED_AT);
  cipher.final();
  cipher.getAuthTag().copy(sealed, TAG_AT);
  return sealed;
}

/** Null: not these bytes, not at this place, or not by this key. */
export function unseal(
  key: SealingKey,
  bytes: Uint8Array,
  place: SealedPlace,
): { bytes: Buffer; flags: number } | null {
  const sealed = bufferOf(bytes);
  const id = keyIdOf(sealed);
  if (id === null || !id.equals(key.id)) return null;
  const decipher = createDecipheriv('aes-256-gcm', key.secret, sealed.subarray(IV_AT, TAG_AT), { authTagLength: 16 });
  decipher.setAAD(bound(sealed, place));
  decipher.setAuthTag(sealed.subarray(TAG_AT, SEALED_AT));
  const opened = decipher.update(sealed.subarray(SEALED_AT));
  try {
    decipher.final();
  } catch {
    return null;
  }
  return { bytes: opened, flags: sealed[1] ?? 0 };
}

/** The id of the key that sealed them; null when they are not sealed: no text begins with the byte that sealed ones do. */
export function keyIdOf(bytes: Uint8Array): Buffer | null {
  if (bytes[0] !== VERSION || bytes.length < SEALED_AT) return null;
  return bufferOf(bytes).subarray(KEY_ID_AT, IV_AT);
}

/** The header, then each text after its length: two lists never give the same bytes. */
function bound(sealed: Buffer, place: SealedPlace): Buffer {
  const parts = [sealed.subarray(0, IV_AT)];
  for (const text of place) {
    const utf8 = Buffer.from(text, 'utf8');
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32BE(utf8.length);
    parts.push(length, utf8);
  }
  return Buffer.concat(parts);
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
