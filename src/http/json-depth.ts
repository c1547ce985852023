import { InvalidInputError } from '../core/errors.ts';

/** Deeper than any state; everything that walks a value recursively stays far from the end of its stack. */
export const MAX_DEPTH = 500;

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = Buffer.from('"\\[]{}');

/**
 * Looked at before JSON is parsed: a body of 20 MB can have ten million levels, on which the parser works for many seconds.
 * @throws InvalidInputError
 */
export function assertShallow(text: Buffer): void {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const byte = text[at];
    if (byte === QUOTE) at = endOfString(text, at);
    else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth -= 1;
    else if ((byte === OPEN_LIST || byte === OPEN_OBJECT) && ++depth > MAX_DEPTH) throw tooDeep('body');
  }
}

export function tooDeep(place: string): InvalidInputError {
  return new InvalidInputError(`The ${place} is nested more than ${MAX_DEPTH} levels deep`);
}

/** Where the string ends that begins there: texts are most of what is large, and searching is much faster than looking. */
function endOfString(text: Buffer, begin: number): number {
  for (let at = begin; ;) {
    at = text.indexOf('"', at + 1);
    if (at === -1) return text.length;
    let before = at;
    while (text[before - 1] === BACKSLASH) before -= 1;
    if ((at - before) % 2 === 0) return at;
  }
}
