/** Any value that JSON text can hold. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

const LONE_SURROGATE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;

/** Why a text could not be stored everywhere as it is, or null when it can. */
export function textFault(text: string): string | null {
  if (text.includes('\0')) return 'has a NUL character';
  if (LONE_SURROGATE.test(text)) return 'has half of a surrogate pair';
  return null;
}

/** Where in what JSON.parse made the first thing stands that could not be stored as it was sent, as `path: reason`, or null. */
export function jsonFault(value: unknown, path = '$'): string | null {
  if (typeof value === 'string') {
    const fault = textFault(value);
    return fault && `${path}: ${fault}: no database can store such a text`;
  }
  // What is too large for a number, such as 1e400, was read as Infinity, which JSON cannot say.
  if (typeof value === 'number' && !Number.isFinite(value)) return `${path}: is a number that is too large`;
  if (value === null || typeof value !== 'object') return null;
  for (const [key, item] of Object.entries(value)) {
    const inKey = textFault(key);
    if (inKey) return `a key of ${path}: ${inKey}: no database can store such a text`;
    if (key === '__proto__') return `${path}: has a key "__proto__", which would be lost: choose another name`;
    const fault = jsonFault(item, Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`);
    if (fault) return fault;
  }
  return null;
}
