import { promisify } from 'node:util';
import { constants, deflateRaw, deflateRawSync, inflateRaw, inflateRawSync } from 'node:zlib';
import { type DataKey, whenThere } from './data-key.ts';
import { seal, type SealedPlace, unseal } from './envelope.ts';

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);
const FAST = { level: constants.Z_BEST_SPEED };

const DEFLATED = 1;
/** Shorter ones gain less than it costs. */
const DEFLATE_BYTES = 1024;
/** Longer ones would hold the event loop up: another thread packs them. */
const ALOUD_BYTES = 64 * 1024;

/**
 * Packed before it is sealed, since nothing packs it afterwards; its size then says a little of what repeats in it, to those
 * who see the store anyway.
 */
export function sealText(key: DataKey, text: string, place: SealedPlace): Buffer | Promise<Buffer> {
  const plain = Buffer.from(text, 'utf8');
  return whenThere(packed(plain), (small) =>
    small.length < plain.length ? seal(key, small, place, DEFLATED) : seal(key, plain, place),
  );
}

/** Null: it does not open; see `unseal`. */
export function unsealText(key: DataKey, bytes: Uint8Array, place: SealedPlace): string | null | Promise<string> {
  const opened = unseal(key, bytes, place);
  if (opened === null) return null;
  if ((opened.flags & DEFLATED) === 0) return opened.bytes.toString('utf8');
  if (opened.bytes.length <= ALOUD_BYTES / 4) return inflateRawSync(opened.bytes).toString('utf8');
  return inflate(opened.bytes).then((text) => text.toString('utf8'));
}

/** As `unsealText`, for who cannot wait. */
export function unsealTextNow(key: DataKey, bytes: Uint8Array, place: SealedPlace): string | null {
  const opened = unseal(key, bytes, place);
  if (opened === null) return null;
  return ((opened.flags & DEFLATED) === 0 ? opened.bytes : inflateRawSync(opened.bytes)).toString('utf8');
}

function packed(plain: Buffer): Buffer | Promise<Buffer> {
  if (plain.length < DEFLATE_BYTES) return plain;
  return plain.length > ALOUD_BYTES ? deflate(plain, FAST) : deflateRawSync(plain, FAST);
}
