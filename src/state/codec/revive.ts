import { Document } from '@langchain/core/documents';
import { Command, Overwrite, Send } from '@langchain/langgraph';
import { DeltaSnapshot } from '@langchain/langgraph-checkpoint';
import { buildMessage, isMessageId, langChainClass } from './langchain-classes.ts';
import { BYTE_VIEWS, TAG, type Tagged } from './tags.ts';

type Fields = Record<string, unknown>;

const ERRORS = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

/**
 * The value that `serialize` was given, made from its parsed JSON. Changes `json` in place and may return it.
 * Never throws and builds only the classes named in this folder: a mark that means nothing here stays as data,
 * so no stored value can make a thread unreadable.
 */
export function revive(json: unknown): unknown {
  if (typeof json !== 'object' || json === null) return json;
  if (Array.isArray(json)) {
    for (let index = 0; index < json.length; index += 1) json[index] = revive(json[index]);
    return json;
  }
  const object = json as Fields;
  if (Object.hasOwn(object, TAG)) return reviveTagged(object as unknown as Tagged);
  return reviveFields(object);
}

function reviveFields(object: Fields): Fields {
  for (const key of Object.keys(object)) {
    const item = object[key];
    if (typeof item === 'object' && item !== null) object[key] = revive(item);
  }
  return object;
}

function reviveTagged(tagged: Tagged): unknown {
  try {
    const build = Object.hasOwn(BUILDERS, tagged[TAG]) ? BUILDERS[tagged[TAG]] : undefined;
    return build === undefined ? tagged : build(tagged.v as never, tagged.c ?? '');
  } catch {
    return tagged;
  }
}

const BUILDERS: Record<string, (content: never, detail: string) => unknown> = {
  object: (fields: Fields) => reviveFields(fields),
  undefined: () => undefined,
  number: (text: string) => Number(text),
  bigint: (text: string) => BigInt(text),
  date: (time: number | null) => new Date(time ?? Number.NaN),
  map: (entries: [unknown, unknown][]) => new Map(revive(entries) as [unknown, unknown][]),
  set: (items: unknown[]) => new Set(revive(items) as unknown[]),
  regexp: (source: string, flags) => new RegExp(source, flags),
  url: (href: string) => new URL(href),
  bytes: (base64: string, name) => bytesOf(base64, name),
  error: (fields: Fields) => errorOf(reviveFields(fields)),
  lc: (fields: Fields, id) => langChainObjectOf(fields, id),
  class: (fields: Fields, name) => instanceOf(reviveFields(fields), name),
};

function bytesOf(base64: string, name: string): unknown {
  const buffer = Buffer.from(base64, 'base64');
  if (name === 'Buffer') return buffer;
  const bytes = new Uint8Array(buffer).buffer; // a copy of its own: small Buffers share memory
  if (name === 'ArrayBuffer') return bytes;
  const View: new (bytes: ArrayBuffer) => ArrayBufferView = BYTE_VIEWS[name as keyof typeof BYTE_VIEWS];
  return new View(bytes);
}

function errorOf({ name, message, stack, ...own }: Fields): Error {
  const Class = ERRORS[name as keyof typeof ERRORS] ?? Error;
  const error =
    name === 'AggregateError'
      ? new AggregateError(own['errors'] as Error[], String(message))
      : new Class(String(message));
  if (error.name !== name) hide(error, 'name', name);
  hide(error, 'stack', stack);
  for (const [key, value] of Object.entries(own)) {
    if (key === 'code') Reflect.set(error, key, value);
    else hide(error, key, value);
  }
  return error;
}

/** As JavaScript itself defines the fields of an error. */
function hide(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, { value, writable: true, configurable: true, enumerable: false });
}

function langChainObjectOf(fields: Fields, id: string): object {
  const Class = langChainClass(id);
  if (Class === undefined) return { [TAG]: 'lc', c: id, v: fields };
  return isMessageId(id) ? buildMessage(Class, reviveFields(fields)) : new Class(reviveFields(fields));
}

function instanceOf(fields: Fields, name: string): unknown {
  switch (name) {
    case 'Send':
      return new Send(
        fields['node'] as string,
        fields['args'],
        fields['timeout'] === undefined ? undefined : { timeout: fields['timeout'] as number },
      );
    case 'Command':
      return new Command(fields);
    case 'Overwrite':
      return new Overwrite(fields['value']);
    case 'DeltaSnapshot':
      return new DeltaSnapshot(fields['value']);
    case 'Document':
      return new Document(fields as { pageContent: string; metadata: Fields; id?: string });
    default:
      return { [TAG]: 'class', c: name, v: fields };
  }
}
