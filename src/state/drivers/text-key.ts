import { textFault } from '../../core/json.ts';

/** Stands before the four hex digits of a character that a database cannot store. Of the private use area: rare in texts. */
const ESCAPE = '\uE000';
const UNSTORABLE = /[\0\uE000]|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g;
const ESCAPED = /\uE000([0-9a-f]{4})/g;

/** Any text as one that Postgres and SQLite take: NUL and halves of surrogate pairs are escaped. No two texts become one. */
export function toKey(text: string): string {
  if (textFault(text) === null && !text.includes(ESCAPE)) return text;
  return text.replaceAll(UNSTORABLE, (char) => ESCAPE + char.charCodeAt(0).toString(16).padStart(4, '0'));
}

export function fromKey(key: string): string {
  if (!key.includes(ESCAPE)) return key;
  return key.replaceAll(ESCAPED, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

export function toNullableKey(text: string | null): string | null {
  return text === null ? null : toKey(text);
}

export function fromNullableKey(key: string | null): string | null {
  return key === null ? null : fromKey(key);
}

/** JSON text as `jsonb` takes it, with its texts and keys escaped in the same way. */
export function toJsonb(json: string): string {
  // What jsonb refuses can stand in JSON text only as an escape.
  if (!json.includes('\\u') && !json.includes(ESCAPE)) return json;
  return JSON.stringify(withKeys(JSON.parse(json)));
}

function withKeys(value: unknown): unknown {
  if (typeof value === 'string') return toKey(value);
  if (Array.isArray(value)) return value.map(withKeys);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [toKey(key), withKeys(item)]));
}
