import { randomBytes } from 'node:crypto';
import { createApiKey } from '../auth/api-keys.ts';
import { KEY_SCOPES } from '../core/caller.ts';
import { InvalidInputError } from '../core/errors.ts';
import type { CliOptions } from './options.ts';

/** Makes an API key, or one for encrypted stores. It is shown once and kept nowhere. */
export async function key({ name, scope, encryption }: CliOptions): Promise<void> {
  if (!/^[\w.@-]+$/.test(name)) throw new InvalidInputError(`--name "${name}" must be of letters, digits, and . _ - @`);
  if (encryption) {
    const secret = randomBytes(32).toString('base64');
    return console.log(`To put first in BATON_KEYS, and to keep in a safe place:  ${name}:${secret}`);
  }
  const scopes = KEY_SCOPES.filter((known) => known === scope);
  if (scope !== null && scopes.length === 0) {
    throw new InvalidInputError(`--scope must be one of ${KEY_SCOPES.join(', ')}, not "${scope}"`);
  }
  const made = createApiKey(name, scopes);
  console.log(`The key, for its bearer:     ${made.key}\nTo add to BATON_API_KEYS:    ${made.entry}`);
}
