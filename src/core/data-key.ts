import { createHmac, hkdfSync } from 'node:crypto';
import type { SealingKey } from './envelope.ts';

/** The key under which all of a thread is sealed; without it the thread is noise. */
export interface DataKey extends SealingKey {
  thread_id: string;
  /** For names: see `nameOf`. */
  naming: Buffer;
}

/** The thread id under which the server keeps the key for what belongs to no thread. */
export const OF_NO_THREAD = '';

/** Where keys come from. At once when the key is in memory: sealing is on the path of every step. */
export interface DataKeys {
  /** The thread's, made when it has none. */
  of(threadId: string): DataKey | Promise<DataKey>;
  /** The thread's; null: it has none, or has none any more. */
  find(threadId: string): DataKey | null | Promise<DataKey | null>;
  /** By its own id; null: it was deleted, with its thread. */
  byId(id: Buffer): DataKey | null | Promise<DataKey | null>;
}

export function dataKey(threadId: string, id: Buffer, secret: Buffer): DataKey {
  const naming = Buffer.from(hkdfSync('sha256', secret, '', 'baton names', 32));
  return { thread_id: threadId, id, secret, naming };
}

/**
 * What stands for a text where it has to be found again: the same for the same text, and to whoever has not the key it says
 * no more than that. `use` keeps names of different things apart. 22 characters of base64url.
 */
export function nameOf(key: DataKey, use: string, text: string): string {
  return createHmac('sha256', key.naming).update(`${use}\0`).update(text).digest('base64url').slice(0, 22);
}

/** `then` at once if the value is there. */
export function whenThere<T, R>(value: T | Promise<T>, then: (value: T) => R | Promise<R>): R | Promise<R> {
  return value instanceof Promise ? value.then(then) : then(value);
}
