import { USER_KEYS } from '../../core/caller.ts';
import type { Json } from '../../core/json.ts';

/** Debug payloads carry whole configurations. Keys that begin with `__` are between the engine and the saver; a user's are his. */
export function withoutPrivateKeys(value: Json, insideConfigurable = false): Json {
  if (Array.isArray(value)) return value.map((item) => withoutPrivateKeys(item));
  if (value === null || typeof value !== 'object') return value;
  const kept = Object.entries(value).filter(
    ([key]) => !(insideConfigurable && (key.startsWith('__') || USER_KEYS.test(key))),
  );
  return Object.fromEntries(kept.map(([key, item]) => [key, withoutPrivateKeys(item, key === 'configurable')]));
}
