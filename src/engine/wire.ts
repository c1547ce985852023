import { messageOf } from '../core/errors.ts';
import type { Json, JsonObject } from '../core/json.ts';

/** Deeper than any state that a person could read, and far from what a parser on the other side would refuse. */
const MAX_DEPTH = 500;

/**
 * Any value of a graph as the JSON that clients get. LangChain messages are flat (`{content, type, id, …}`), instants ISO text,
 * bytes base64, big integers decimal text, sets lists, maps objects (lists of pairs when a key is no text), errors `{error, message}`.
 * What JSON cannot say is left out, as `JSON.stringify` does; a cycle is cut. Never throws.
 */
export function toWire(value: unknown): Json {
  return convert(value, []) ?? null;
}

function convert(value: unknown, ancestors: readonly object[]): Json | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : null;
    case 'bigint':
      return value.toString();
    case 'object':
      return value === null ? null : convertObject(value, ancestors);
    case 'undefined':
    case 'function':
    case 'symbol':
      return undefined;
  }
}

function convertObject(value: object, ancestors: readonly object[]): Json | undefined {
  if (ancestors.includes(value)) return '[circular]';
  if (ancestors.length >= MAX_DEPTH) return '[too deep]';
  try {
    const within = [...ancestors, value];
    const known = builtIn(value, within);
    return known === undefined ? (fromOwnForm(value, within) ?? fields(Object.entries(value), within)) : known;
  } catch (error) {
    // A getter, a proxy or a toJSON of the user's own threw.
    return `[unreadable: ${messageOf(error)}]`;
  }
}

function builtIn(value: object, within: readonly object[]): Json | undefined {
  if (Array.isArray(value)) return list(value, within);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Map) return fromMap(value, within);
  if (value instanceof Set) return list(value, within);
  if (value instanceof Error) return { error: value.name, message: value.message };
  if (value instanceof RegExp) return String(value);
  if (value instanceof ArrayBuffer) return Buffer.from(value).toString('base64');
  if (ArrayBuffer.isView(value)) return fromView(value, within);
  return undefined;
}

function fromOwnForm(value: object, within: readonly object[]): Json | undefined {
  if (isMessage(value)) return { ...fields(messageFields(value), within), type: value.getType() };
  if ('toJSON' in value && typeof value.toJSON === 'function') return convert(value.toJSON(), within);
  return undefined;
}

interface Message {
  /** What it was made with; later changes stand on the message itself. */
  lc_kwargs: object;
  getType(): string;
}

/** By what it can do and not by its class: the project may have a copy of LangChain of its own. */
function isMessage(value: object): value is Message {
  return (
    'getType' in value &&
    typeof value.getType === 'function' &&
    'lc_kwargs' in value &&
    typeof value.lc_kwargs === 'object'
  );
}

/** Not by `toDict()`: that empties instants and wraps data that has an `lc` key. */
function messageFields(message: Message): [string, unknown][] {
  return Object.entries(message.lc_kwargs).map(([key, given]) => [
    // The one name that LangChain spells in another way when it writes a message down.
    key === 'contentBlocks' ? 'content_blocks' : key,
    key in message ? Reflect.get(message, key) : given,
  ]);
}

function fromMap(map: Map<unknown, unknown>, within: readonly object[]): Json {
  const entries = [...map];
  const texts = entries.every((entry): entry is [string, unknown] => typeof entry[0] === 'string');
  return texts ? fields(entries, within) : list(entries, within);
}

function fromView(view: ArrayBufferView, within: readonly object[]): Json {
  const isBytes = view instanceof Uint8Array || view instanceof Uint8ClampedArray || view instanceof DataView;
  if (isBytes) return Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('base64');
  return list(view as unknown as Iterable<number | bigint>, within);
}

function list(items: Iterable<unknown>, within: readonly object[]): Json[] {
  return Array.from(items, (item) => convert(item, within) ?? null);
}

function fields(entries: [string, unknown][], within: readonly object[]): JsonObject {
  const converted: [string, Json][] = [];
  for (const [key, item] of entries) {
    const json = convert(item, within);
    if (json !== undefined) converted.push([key, json]);
  }
  // Not by assignment: a key may be `__proto__`.
  return Object.fromEntries(converted);
}
