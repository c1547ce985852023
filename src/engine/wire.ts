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

/** `above`: the objects that hold the value, the outermost first; as it was when a call returns. */
function convert(value: unknown, above: object[]): Json | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : null;
    case 'bigint':
      return value.toString();
    case 'object':
      return value === null ? null : convertObject(value, above);
    case 'undefined':
    case 'function':
    case 'symbol':
      return undefined;
  }
}

function convertObject(value: object, above: object[]): Json | undefined {
  if (above.includes(value)) return '[circular]';
  if (above.length >= MAX_DEPTH) return '[too deep]';
  above.push(value);
  try {
    const known = isPlain(value) ? undefined : builtIn(value, above);
    return known === undefined ? (fromOwnForm(value, above) ?? ownFields(value, above)) : known;
  } catch (error) {
    // A getter, a proxy or a toJSON of the user's own threw.
    return `[unreadable: ${messageOf(error)}]`;
  } finally {
    above.pop();
  }
}

/** What most of a state is made of: to ask it for all that it is not would take most of the time. */
function isPlain(value: object): boolean {
  return Object.getPrototypeOf(value) === Object.prototype;
}

function builtIn(value: object, above: object[]): Json | undefined {
  if (Array.isArray(value)) return list(value, above);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Map) return fromMap(value, above);
  if (value instanceof Set) return list(value, above);
  if (value instanceof Error) return { error: value.name, message: value.message };
  if (value instanceof RegExp) return String(value);
  if (value instanceof ArrayBuffer) return Buffer.from(value).toString('base64');
  if (ArrayBuffer.isView(value)) return fromView(value, above);
  return undefined;
}

function fromOwnForm(value: object, above: object[]): Json | undefined {
  if (isMessage(value)) return { ...fields(messageFields(value), above), type: value.getType() };
  if ('toJSON' in value && typeof value.toJSON === 'function') return convert(value.toJSON(), above);
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

function fromMap(map: Map<unknown, unknown>, above: object[]): Json {
  const entries = [...map];
  const texts = entries.every((entry): entry is [string, unknown] => typeof entry[0] === 'string');
  return texts ? fields(entries, above) : list(entries, above);
}

function fromView(view: ArrayBufferView, above: object[]): Json {
  const isBytes = view instanceof Uint8Array || view instanceof Uint8ClampedArray || view instanceof DataView;
  if (isBytes) return Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('base64');
  return list(view as unknown as Iterable<number | bigint>, above);
}

function list(items: Iterable<unknown>, above: object[]): Json[] {
  const converted: Json[] = [];
  for (const item of items) converted.push(convert(item, above) ?? null);
  return converted;
}

function ownFields(value: object, above: object[]): JsonObject {
  const converted: JsonObject = {};
  for (const key of Object.keys(value)) set(converted, key, convert(Reflect.get(value, key), above));
  return converted;
}

function fields(entries: Iterable<[string, unknown]>, above: object[]): JsonObject {
  const converted: JsonObject = {};
  for (const [key, item] of entries) set(converted, key, convert(item, above));
  return converted;
}

function set(fields: JsonObject, key: string, json: Json | undefined): void {
  if (json === undefined) return;
  if (key !== '__proto__') fields[key] = json;
  else Object.defineProperty(fields, key, { value: json, enumerable: true, configurable: true, writable: true });
}
