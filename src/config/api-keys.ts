import { KEY_SCOPES, type ApiKey, type KeyScope } from '../core/caller.ts';
import { InvalidInputError } from '../core/errors.ts';

/**
 * `name:sha256[:scope+scope]`, separated by commas or spaces; without scopes: all. Only hashes: whoever reads an environment, a compose
 * file or a process list gets no key from it.
 * @throws InvalidInputError that repeats nothing of an entry but its number: it may be a key.
 */
export function parseApiKeys(text: string | undefined): ApiKey[] {
  const entries = (text ?? '').split(/[\s,]+/).filter((entry) => entry !== '');
  const keys = entries.map((entry, index) => parseEntry(entry, index + 1));
  const names = new Set(keys.map(({ name }) => name));
  if (names.size < keys.length) throw new InvalidInputError('BATON_API_KEYS has two keys of one name: rename one');
  return keys;
}

function parseEntry(entry: string, number: number): ApiKey {
  const [name = '', sha256 = '', scopes = 'admin', ...rest] = entry.split(':');
  const listed = scopes.split('+');
  const isRight = /^[\w.@-]+$/.test(name) && /^[0-9a-f]{64}$/i.test(sha256) && rest.length === 0;
  if (isRight && listed.every(isScope)) return { name, sha256: sha256.toLowerCase(), scopes: listed };
  throw new InvalidInputError(
    `Entry ${number} of BATON_API_KEYS is wrong: write name:hash or name:hash:read, as "baton key" prints it`,
  );
}

function isScope(text: string): text is KeyScope {
  return KEY_SCOPES.some((scope) => scope === text);
}
