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

/** Where in a JSON value the first text stands that no database takes, as `path: reason`, or null. Keys count as texts. */
export function jsonTextFault(value: unknown, path = '$'): string | null {
  if (typeof value === 'string') {
    const fault = textFault(value);
    return fault && `${path}: ${fault}`;
  }
  if (value === null || typeof value !== 'object') return null;
  for (const [key, item] of Object.entries(value)) {
    const inKey = textFault(key);
    if (inKey) return `a key of ${path}: ${inKey}`;
    const fault = jsonTextFault(item, Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`);
    if (fault) return fault;
  }
  return null;
}
