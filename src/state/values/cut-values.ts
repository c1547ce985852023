import type { Codec } from '../../core/codec.ts';
import { TAG } from '../codec/tags.ts';

/** By default longer texts (in characters of JSON) are contents of their own: stored once in a thread, and named where they stand. */
export const INLINE_CHARS = 768;
/** So many contents make an array at most: what a read has to fetch. */
export const MAX_PIECES = 8;
/** Of an object as many fields become contents. */
const MAX_FIELDS = 16;
/** An object with more keys is stored as a whole: it is data, not a state. */
const MAX_KEYS = 64;
const MAX_DEPTH = 4;
/** Of what stands in stored JSON for a class, those whose fields are worth a look: a Send, a Command, a Document. */
const OPEN_TAGS: ReadonlySet<unknown> = new Set([undefined, 'class', 'object']);

/**
 * What completes a value that does not stand in its row, or not as a whole:
 * - the id of a content, which is the JSON text of the value;
 * - of an array its pieces, each an id and how many characters it has. A piece is the text of some items, without the
 *   brackets. What stands in the row, if anything, is the array of the last items;
 * - of an object the fields that were taken out, with null in their place. What is left stands in the row or is `rest`.
 */
export type Ref = string | (string | number)[] | FieldRefs;

interface FieldRefs {
  rest?: string;
  fields: Record<string, Ref>;
}

/** The JSON text of a value, with null where a field was taken out. Its contents have no ids yet. */
export interface Cut {
  text: string;
  isArray: boolean;
  fields: ReadonlyMap<string, Cut>;
}

/** A value as it is stored. */
export interface NamedValue {
  /** What stands in the row. */
  inline: string | undefined;
  ref: Ref | undefined;
  /** The texts of the contents, by id. */
  contents: Map<string, string>;
}

const NO_FIELDS: ReadonlyMap<string, Cut> = new Map();

/** Takes stored JSON apart: fields whose text is longer than `inlineChars`. */
export function cut(stored: unknown, inlineChars: number, depth = 0): Cut {
  const object = depth < MAX_DEPTH ? openObject(stored) : undefined;
  if (object === undefined) {
    return { text: JSON.stringify(stored), isArray: Array.isArray(stored), fields: NO_FIELDS };
  }
  const fields = new Map<string, Cut>();
  const texts: string[] = [];
  for (const [key, value] of Object.entries(object)) {
    const part = cut(value, inlineChars, depth + 1);
    const isBig = part.text.length > inlineChars;
    const isTaken = (isBig || part.fields.size > 0) && fields.size < MAX_FIELDS;
    if (isTaken) fields.set(key, part);
    const text = isBig && isTaken ? 'null' : part.fields.size > 0 && !isTaken ? JSON.stringify(value) : part.text;
    texts.push(`${JSON.stringify(key)}:${text}`);
  }
  return { text: `{${texts.join(',')}}`, isArray: false, fields };
}

function openObject(stored: unknown): object | undefined {
  if (typeof stored !== 'object' || stored === null || Array.isArray(stored)) return undefined;
  if (!OPEN_TAGS.has(Reflect.get(stored, TAG)) || Object.keys(stored).length > MAX_KEYS) return undefined;
  return stored;
}

export interface ContentNamesOptions {
  codec: Codec;
  threadId: string;
  /** Texts up to this length stand in the row. */
  inlineChars: number;
}

/** Gives contents their ids. */
export class ContentNames {
  readonly #codec: Codec;
  readonly #threadId: string;
  readonly #inlineChars: number;

  constructor({ codec, threadId, inlineChars }: ContentNamesOptions) {
    this.#codec = codec;
    this.#threadId = threadId;
    this.#inlineChars = inlineChars;
  }

  /** Whether the value stands in the row as a whole. */
  isInline({ text, fields }: Cut): boolean {
    return text.length <= this.#inlineChars && fields.size === 0;
  }

  /** @param base How a value was stored that this one may go on from, or not: it only tells where to look for what is known. */
  async name(value: Cut, base: Ref | undefined): Promise<NamedValue> {
    const named: NamedValue = { inline: undefined, ref: undefined, contents: new Map() };
    if (value.text.length <= this.#inlineChars) named.inline = value.text;
    if (value.fields.size > 0) named.ref = await this.#object(value, base, named);
    else if (named.inline === undefined && value.isArray) named.ref = await this.#pieces(value.text, base, named, true);
    else if (named.inline === undefined) named.ref = await this.#content(value.text, named);
    return named;
  }

  async #object(value: Cut, base: Ref | undefined, named: NamedValue): Promise<FieldRefs> {
    const fields: [string, Ref][] = [];
    for (const [key, part] of value.fields) {
      const before = fieldOf(base, key);
      const isWhole = part.fields.size === 0;
      const ref = !isWhole
        ? await this.#object(part, before, named)
        : part.isArray
          ? await this.#pieces(part.text, before, named, false)
          : await this.#content(part.text, named);
      fields.push([key, ref]);
    }
    // Object.fromEntries, since a field may have the name __proto__.
    const refs: FieldRefs = { fields: Object.fromEntries(fields) };
    if (value.text.length > this.#inlineChars) refs.rest = await this.#content(value.text, named);
    return refs;
  }

  /** An array along the pieces that it begins with; the rest is a new one, with as many of the last as must be joined. */
  async #pieces(text: string, base: Ref | undefined, named: NamedValue, keepsTail: boolean): Promise<Ref> {
    const ids: string[] = [];
    const lengths: number[] = [];
    const starts: number[] = [];
    let at = 1;
    for (const { id, chars } of piecesOf(base)) {
      const end = at + chars;
      if (end >= text.length || (end < text.length - 1 && text[end] !== ',')) break;
      const segment = text.slice(at, end);
      if ((await this.#idOf(segment)) !== id) break;
      named.contents.set(id, segment);
      ids.push(id);
      lengths.push(chars);
      starts.push(at);
      at = end + 1;
    }
    const rest = text.length - 1 - at;
    if (rest > 0 && keepsTail && ids.length > 0 && rest <= this.#inlineChars) named.inline = `[${text.slice(at)}`;
    else if (rest > 0) {
      const kept = keptPieces(lengths, rest);
      const segment = text.slice(starts[kept] ?? at, -1);
      ids.splice(kept, ids.length, await this.#content(segment, named));
      lengths.splice(kept, lengths.length, segment.length);
    }
    return ids.flatMap((id, index) => [id, lengths[index] ?? 0]);
  }

  async #content(text: string, { contents }: NamedValue): Promise<string> {
    const id = await this.#idOf(text);
    contents.set(id, text);
    return id;
  }

  #idOf(text: string): string | Promise<string> {
    return this.#codec.idOf(text, this.#threadId);
  }
}

/**
 * How many pieces stay as they are when one is added. None is joined while there is room. Then the last are, as many as
 * are cheapest for the room that they make: the steps for which it lasts grow as about the third power of the places. The
 * exponent and the 3 are those with which simulated lists of 15 to 700 items, equal and unequal, took the fewest bytes.
 */
export function keptPieces(lengths: readonly number[], added: number): number {
  if (lengths.length < MAX_PIECES) return lengths.length;
  let best = { price: Infinity, kept: 0 };
  let joined = added;
  for (let kept = lengths.length - 1; kept >= 0; kept -= 1) {
    joined += lengths[kept] ?? 0;
    const free = MAX_PIECES - 1 - kept;
    const price = joined / (free + 3) ** 3;
    if (price < best.price) best = { price, kept };
  }
  return best.kept;
}

/** The ids of all contents that a ref names. */
export function contentIds(ref: Ref | undefined): string[] {
  if (ref === undefined) return [];
  if (typeof ref === 'string') return [ref];
  if (Array.isArray(ref)) return ref.filter((item) => typeof item === 'string');
  const fields = Object.values(ref.fields).flatMap(contentIds);
  return ref.rest === undefined ? fields : [ref.rest, ...fields];
}

/** The same ref to contents that have other ids. */
export function renamed(ref: Ref, nameOf: (id: string) => string): Ref {
  if (typeof ref === 'string') return nameOf(ref);
  if (Array.isArray(ref)) return ref.map((item) => (typeof item === 'string' ? nameOf(item) : item));
  const fields = Object.entries(ref.fields).map(([key, part]): [string, Ref] => [key, renamed(part, nameOf)]);
  return {
    ...(ref.rest === undefined ? {} : { rest: nameOf(ref.rest) }),
    fields: Object.fromEntries(fields),
  };
}

/** The parsed JSON of a value, made anew at every call. */
export function joined(ref: Ref, inline: unknown, textOf: (id: string) => string): unknown {
  if (typeof ref === 'string') return JSON.parse(textOf(ref));
  if (Array.isArray(ref)) {
    const texts = piecesOf(ref).map(({ id }) => textOf(id));
    const items = JSON.parse(`[${texts.join(',')}]`) as unknown[];
    if (Array.isArray(inline)) for (const item of inline) items.push(item);
    return items;
  }
  const object = (ref.rest === undefined ? inline : JSON.parse(textOf(ref.rest))) as Record<string, unknown>;
  for (const [key, part] of Object.entries(ref.fields)) {
    const value = joined(part, object[key], textOf);
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
  }
  return object;
}

function piecesOf(ref: Ref | undefined): { id: string; chars: number }[] {
  if (typeof ref === 'string' || !Array.isArray(ref)) return [];
  const pieces: { id: string; chars: number }[] = [];
  for (let at = 0; at < ref.length; at += 2) pieces.push({ id: String(ref[at]), chars: Number(ref[at + 1]) });
  return pieces;
}

function fieldOf(ref: Ref | undefined, key: string): Ref | undefined {
  if (ref === undefined || typeof ref === 'string' || Array.isArray(ref)) return undefined;
  return Object.hasOwn(ref.fields, key) ? ref.fields[key] : undefined;
}
