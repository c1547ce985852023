import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { AuthUser } from '../core/caller.ts';

export interface UserCacheOptions {
  /** All that the answer depends on, in small letters. */
  headers: readonly string[];
  ttlMs: number;
  maxUsers: number;
  now?: () => number;
}

/** Who requests with the same headers come from, as it was found out last. Refusals are not kept, so a new login works at once. */
export class UserCache {
  readonly #options: Required<UserCacheOptions>;
  readonly #users = new Map<string, { user: AuthUser; until: number }>();

  constructor(options: UserCacheOptions) {
    this.#options = { now: () => performance.now(), ...options };
  }

  async get(headers: IncomingHttpHeaders, find: () => Promise<AuthUser>): Promise<AuthUser> {
    const key = this.#keyOf(headers);
    if (key === null) return find();
    const known = this.#users.get(key);
    if (known && known.until > this.#options.now()) return copyOf(known.user);
    const user = await find();
    this.#keep(key, copyOf(user));
    return user;
  }

  /** Null when a request has none of them: it shows nothing by which it could be known. */
  #keyOf(headers: IncomingHttpHeaders): string | null {
    const values = this.#options.headers.map((name) => headers[name] ?? null);
    if (values.every((value) => value === null)) return null;
    return createHash('sha256').update(JSON.stringify(values)).digest('base64');
  }

  #keep(key: string, user: AuthUser): void {
    const { ttlMs, maxUsers, now } = this.#options;
    this.#users.delete(key); // so that it stands last: first out is who was found out longest ago
    this.#users.set(key, { user, until: now() + ttlMs });
    const [oldest] = this.#users.keys();
    if (this.#users.size > maxUsers && oldest !== undefined) this.#users.delete(oldest);
  }
}

/** Handlers may change what they are given. */
function copyOf(user: AuthUser): AuthUser {
  return { ...user, permissions: [...user.permissions] };
}
