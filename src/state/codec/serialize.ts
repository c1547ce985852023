import { UnstorableValueError } from '../../core/errors.ts';
import {
  isLangChainObject,
  isMessageId,
  langChainClass,
  type LangChainObject,
  messageFields,
  objectFields,
} from './langchain-classes.ts';
import { BYTE_VIEWS, TAG } from './tags.ts';

/** By name, since a value may come from another realm. */
const BYTES: ReadonlySet<string> = new Set(['Buffer', 'ArrayBuffer', ...Object.keys(BYTE_VIEWS)]);
/** Deeper than this is a cycle or a mistake, and would exhaust the stack of whoever reads it. */
const MAX_DEPTH = 1000;

/**
 * The JSON text of any storable value; `revive(JSON.parse(text))` gives back its equal, of the same classes.
 * @param root Where the value stands, for the message: a channel's name.
 * @throws UnstorableValueError naming the path to what cannot be stored. Nothing is ever left out or replaced.
 */
export function serialize(value: unknown, root: string): string {
  return JSON.stringify(stored(value, root));
}

/** What `serialize` makes the text of: plain JSON, which shares with the value what JSON can hold as it is. */
export function stored(value: unknown, root: string): unknown {
  return new Walk(root).storable(value, 0);
}

/** One pass over a value. Returns the value itself where JSON can hold it, and copies only what must be replaced. */
class Walk {
  readonly #root: string;
  /** The keys from the root to where the walk is; only as many as the depth says are valid. */
  readonly #keys: (string | number)[] = [];
  readonly #ancestors: object[] = [];

  constructor(root: string) {
    this.#root = root;
  }

  storable(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case 'string':
      case 'boolean':
        return value;
      case 'number':
        return Number.isFinite(value) && !Object.is(value, -0)
          ? value
          : { [TAG]: 'number', v: Object.is(value, -0) ? '-0' : String(value) };
      case 'undefined':
        return { [TAG]: 'undefined' };
      case 'bigint':
        return { [TAG]: 'bigint', v: String(value) };
      case 'object':
        return value === null ? null : this.#object(value, depth);
      case 'function':
      case 'symbol':
        throw this.#refusal(depth, `it is a ${typeof value}`);
    }
  }

  #object(value: object, depth: number): unknown {
    this.#ancestors[depth] = value;
    if (depth > MAX_DEPTH) throw this.#tooDeep();
    if (Array.isArray(value)) return this.#array(value, depth);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || isPlainPrototype(prototype)) return this.#plain(value, depth);
    return this.#instance(value, depth);
  }

  #array(value: unknown[], depth: number): unknown[] {
    let copy: unknown[] | undefined;
    for (let index = 0; index < value.length; index += 1) {
      this.#keys[depth] = index;
      const item = value[index];
      const stored = this.storable(item, depth + 1);
      if (stored !== item) (copy ??= value.slice())[index] = stored;
    }
    return copy ?? value;
  }

  #plain(value: object, depth: number): object {
    const fields = this.#fields(value as Record<string, unknown>, depth);
    return Object.hasOwn(value, TAG) ? { [TAG]: 'object', v: fields } : fields;
  }

  #fields(value: Record<string, unknown>, depth: number): Record<string, unknown> {
    let copy: Record<string, unknown> | undefined;
    for (const key of Object.keys(value)) {
      this.#keys[depth] = key;
      const item = value[key];
      const stored = this.storable(item, depth + 1);
      if (stored !== item) (copy ??= { ...value })[key] = stored;
    }
    const symbol = Object.getOwnPropertySymbols(value)[0];
    if (symbol !== undefined) throw this.#refusal(depth, `it has the key ${String(symbol)}`);
    return copy ?? value;
  }

  #instance(value: object, depth: number): object {
    if (isLangChainObject(value)) return this.#langChain(value, depth);
    if (value instanceof Date) return { [TAG]: 'date', v: Number.isNaN(value.getTime()) ? null : value.getTime() };
    if (value instanceof Map) return { [TAG]: 'map', v: this.#array([...value], depth) };
    if (value instanceof Set) return { [TAG]: 'set', v: this.#array([...value], depth) };
    if (value instanceof RegExp) return { [TAG]: 'regexp', c: value.flags, v: value.source };
    if (value instanceof URL) return { [TAG]: 'url', v: value.href };
    if (value instanceof Error) return this.#error(value, depth);
    const name = value.constructor?.name ?? '';
    if (BYTES.has(name)) return { [TAG]: 'bytes', c: name, v: base64Of(value as ArrayBuffer | ArrayBufferView) };
    const fields = langGraphFields(value) ?? documentFields(value, name);
    if (fields === undefined) throw this.#refusal(depth, `it is an instance of ${name || 'an unnamed class'}`);
    return { [TAG]: 'class', c: Reflect.get(value, 'lg_name') ?? name, v: this.#fields(fields, depth) };
  }

  /** An error of a class of the user's own comes back as an Error that has its name. */
  #error(error: Error, depth: number): object {
    const { name, message, stack } = error;
    const fields: Record<string, unknown> = { name, message, stack };
    for (const key of ['cause', 'code', 'errors']) {
      if (Object.hasOwn(error, key)) fields[key] = Reflect.get(error, key);
    }
    return { [TAG]: 'error', v: this.#fields(fields, depth) };
  }

  #langChain(value: LangChainObject, depth: number): object {
    const id = value.lc_id.join('/');
    if (langChainClass(id) === undefined || Object.keys(value.lc_secrets ?? {}).length > 0) {
      throw this.#refusal(depth, `it is an instance of ${id}, of which none can be made again from stored data`);
    }
    const fields = isMessageId(id) ? messageFields(value) : objectFields(value);
    return { [TAG]: 'lc', c: id, v: this.#fields(fields, depth) };
  }

  #tooDeep(): UnstorableValueError {
    const known = new Set<object>();
    const repeated = this.#ancestors.findIndex((ancestor) => known.size === known.add(ancestor).size);
    return repeated === -1
      ? this.#refusal(0, `it is nested more than ${MAX_DEPTH} levels deep`)
      : this.#refusal(repeated, 'it holds itself');
  }

  #refusal(depth: number, what: string): UnstorableValueError {
    return new UnstorableValueError(this.#path(depth), what);
  }

  #path(depth: number): string {
    const keys = this.#keys.slice(0, depth);
    return this.#root + keys.map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`)).join('');
  }
}

/** Also of another realm (a vm context), whose Object.prototype is not ours. */
function isPlainPrototype(prototype: unknown): boolean {
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function base64Of(bytes: ArrayBuffer | ArrayBufferView): string {
  const view = ArrayBuffer.isView(bytes) ? bytes : new Uint8Array(bytes);
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('base64');
}

/** The fields of the objects that LangGraph itself puts in writes, by its own mark: two copies of the package may be loaded. */
function langGraphFields(value: object): Record<string, unknown> | undefined {
  const object = value as Record<string, unknown>;
  switch (object['lg_name']) {
    case 'Send':
      return given(object, ['node', 'args', 'timeout']);
    case 'Command':
      return given(object, ['graph', 'update', 'resume', 'goto']);
    case 'Overwrite':
    case 'DeltaSnapshot':
      return { value: object['value'] };
    default:
      return undefined;
  }
}

function given(object: Record<string, unknown>, keys: string[]): Record<string, unknown> {
  return Object.fromEntries(keys.map((key) => [key, object[key]]).filter(([, value]) => value !== undefined));
}

function documentFields(value: object, name: string): Record<string, unknown> | undefined {
  if (name !== 'Document' || !('pageContent' in value) || !('metadata' in value)) return undefined;
  const { pageContent, metadata, id } = value as Record<string, unknown>;
  return id === undefined ? { pageContent, metadata } : { pageContent, metadata, id };
}
