import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { Access } from '../core/access.ts';
import type { ApiKey, AuthEvent, AuthUser, KeyScope } from '../core/caller.ts';
import { ForbiddenError } from '../core/errors.ts';
import type { Decide } from './request-caller.ts';

const KEY_BYTES = 32;

/** A key that nobody can guess, and what the server is to be told of it. */
export function createApiKey(name: string, scopes: readonly KeyScope[]): { key: string; entry: string } {
  const key = `baton_${randomBytes(KEY_BYTES).toString('base64url')}`;
  return { key, entry: [name, hash(key).toString('hex'), ...(scopes.length > 0 ? [scopes.join('+')] : [])].join(':') };
}

/** The built-in keys. Without salt or stretching: a key has 256 random bits, so its hash gives nothing away. */
export class ApiKeys {
  readonly #keys: readonly { key: ApiKey; sha256: Buffer }[];

  constructor(keys: readonly ApiKey[]) {
    this.#keys = keys.map((key) => ({ key, sha256: Buffer.from(key.sha256, 'hex') }));
  }

  get size(): number {
    return this.#keys.length;
  }

  /** The key that a request bears, in `x-api-key` or as `Authorization: Bearer`. Takes as long whichever it is, and for none. */
  find(headers: IncomingHttpHeaders): ApiKey | null {
    let found: ApiKey | null = null;
    for (const presented of presentedKeys(headers)) {
      const sha256 = hash(presented);
      for (const known of this.#keys) if (timingSafeEqual(known.sha256, sha256)) found = known.key;
    }
    return found;
  }
}

/** Who the bearer of a key is to the graphs. */
export function userOfKey({ name, scopes }: ApiKey): AuthUser {
  return { identity: name, display_name: name, is_authenticated: true, permissions: [...scopes] };
}

/** A key says what may be done, to everything. Whose a thing is, only the project's own authentication knows. */
export function decideByScopes({ name, scopes }: ApiKey): Decide {
  return async (event) => {
    const needed = scopeFor(event);
    if (scopes.some((scope) => SUFFICES[needed].includes(scope))) return Access.everything;
    throw new ForbiddenError(`The API key "${name}" may not do this: it needs the scope ${needed}`);
  };
}

const SUFFICES: Record<KeyScope, readonly KeyScope[]> = {
  read: ['read', 'write', 'admin'],
  write: ['write', 'admin'],
  admin: ['admin'],
};

/** Assistants are what everybody's runs are configured with. */
function scopeFor(event: AuthEvent): KeyScope {
  if (/:(read|search|get|list_namespaces)$/.test(event)) return 'read';
  return event.startsWith('assistants:') ? 'admin' : 'write';
}

function presentedKeys(headers: IncomingHttpHeaders): string[] {
  const bearer = /^Bearer +(\S+)\s*$/i.exec(headers.authorization ?? '')?.[1];
  return [headers['x-api-key'], bearer].flat().filter((key) => key !== undefined && key !== '') as string[];
}

function hash(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
