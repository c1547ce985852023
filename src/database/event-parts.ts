import { createHash } from 'node:crypto';
import { contentName } from '../core/content-name.ts';

/** Shorter texts are stored as they are. */
const WHOLE_CHARS = 16_384;
/** What stands in the row of an event that is stored in parts: enough to tell what kind it is. */
const HEAD_CHARS = 64;
const MIN_CHARS = 2048;
const MAX_CHARS = 65_536;
/** Of a hash, those bits that must be 0 where a part ends: every 8,192 characters or so. */
const END_BITS = 0xfff8_0000;

/** By the low byte of a character. Any numbers that look like chance do, but for good: whoever reads does not need them. */
const GEAR = Int32Array.from({ length: 256 }, (_, byte) =>
  createHash('sha256').update(`${byte}`).digest().readInt32BE(),
);

/** A long text: how it begins, and what comes then, by id. */
export interface Parted {
  head: string;
  ids: string[];
  parts: Map<string, string>;
}

/**
 * Takes a text apart so that what it shares with others becomes parts that it shares with them: it ends a part where the last
 * 32 characters say so, whatever stands before them. Null: it is too short for that.
 */
export function parted(text: string, idOf: (hash: string) => string): Parted | null {
  if (text.length < WHOLE_CHARS) return null;
  const result: Parted = { head: text.slice(0, endAfter(text, HEAD_CHARS)), ids: [], parts: new Map() };
  for (let start = result.head.length; start < text.length;) {
    const part = text.slice(start, endOf(text, start));
    const id = idOf(contentName(part));
    result.ids.push(id);
    result.parts.set(id, part);
    start += part.length;
  }
  return result;
}

function endOf(text: string, start: number): number {
  const last = Math.min(start + MAX_CHARS, text.length);
  let hash = 0;
  for (let at = start; at < last; at += 1) {
    hash = ((hash << 1) + (GEAR[text.charCodeAt(at) & 0xff] ?? 0)) | 0;
    if ((hash & END_BITS) === 0 && at - start >= MIN_CHARS) return endAfter(text, at + 1);
  }
  return endAfter(text, last);
}

/** A pair of surrogates stays together: half of one is no text. */
function endAfter(text: string, end: number): number {
  const code = text.charCodeAt(end - 1);
  return code >= 0xd800 && code < 0xdc00 ? end + 1 : end;
}
