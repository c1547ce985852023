import { createHash } from 'node:crypto';
import { InvalidInputError, isUnreadable, messageOf, ServiceError } from './errors.ts';
import { seal, unseal } from './envelope.ts';

/** Which data key it is. What is wrapped for one cannot be taken for another. */
export interface KeyContext {
  key_id: string;
  /** Empty: the server's own. */
  thread_id: string;
}

/** What wraps data keys: a secret of ours, or a service that keeps its secret to itself. */
export interface KeyEncryptionKey {
  id: string;
  wrap(bytes: Uint8Array, context: KeyContext): Promise<Uint8Array> | Uint8Array;
  /** @throws whatever, when these bytes were not wrapped by it in that context. */
  unwrap(wrapped: Uint8Array, context: KeyContext): Promise<Uint8Array> | Uint8Array;
}

export interface WrappedKey {
  kek_id: string;
  wrapped: Uint8Array;
}

/** The keys of BATON_KEYS: the first one wraps, all of them unwrap. */
export class KeyRing {
  readonly #keys: ReadonlyMap<string, KeyEncryptionKey>;
  readonly #first: KeyEncryptionKey;

  constructor(keys: readonly KeyEncryptionKey[]) {
    const [first] = keys;
    if (first === undefined) {
      throw new InvalidInputError(
        'BATON_KEYS is not set, and an encrypted store needs it: put back the keys that it had; for a new store "baton key --encryption" makes one',
      );
    }
    this.#first = first;
    this.#keys = new Map(keys.map((key) => [key.id, key]));
    if (this.#keys.size < keys.length) {
      const twice = keys.find(({ id }, at) => keys.findIndex((key) => key.id === id) < at);
      throw new InvalidInputError(
        `BATON_KEYS has two keys of the id "${twice?.id}", so that nobody could tell what each of them wrapped: give every key, and every key service, an id of its own`,
      );
    }
  }

  get ids(): string[] {
    return [...this.#keys.keys()];
  }

  /** Of the key that wraps new ones. */
  get writes(): string {
    return this.#first.id;
  }

  async wrap(secret: Uint8Array, context: KeyContext): Promise<WrappedKey> {
    try {
      return { kek_id: this.#first.id, wrapped: await this.#first.wrap(secret, context) };
    } catch (error) {
      throw new ServiceError(
        'unavailable',
        `The key "${this.#first.id}" of BATON_KEYS wraps nothing: ${messageOf(error)}`,
      );
    }
  }

  /**
   * @throws ServiceError `unavailable` that says which key of BATON_KEYS is missing or is another one; `unreadable_value` for
   * what the right one does not open.
   */
  async unwrap({ kek_id, wrapped }: WrappedKey, context: KeyContext): Promise<Buffer> {
    const key = this.#keys.get(kek_id);
    if (key === undefined) {
      throw new ServiceError(
        'unavailable',
        `BATON_KEYS has no key "${kek_id}", under which stored keys are: put it back, after the key that is to come instead, and run "baton rotate-keys" before you take it out`,
      );
    }
    try {
      return Buffer.from(await key.unwrap(wrapped, context));
    } catch (error) {
      if (isUnreadable(error)) throw error;
      throw new ServiceError(
        'unavailable',
        `The key "${kek_id}" of BATON_KEYS does not open what was wrapped under that name (${messageOf(error)}): put the right one back`,
      );
    }
  }
}

/** A key-encryption key that is known here. @param secret Of 32 bytes. */
export function secretKey(id: string, secret: Uint8Array): KeyEncryptionKey {
  const key = { id: createHash('sha256').update(id).digest().subarray(0, 16), secret: Buffer.from(secret) };
  const place = ({ key_id, thread_id }: KeyContext) => ['data key', id, key_id, thread_id];
  /** It has opened something: it is the right one, and what it does not open was changed. */
  let isRight = false;
  return {
    id,
    wrap: (bytes, context) => seal(key, bytes, place(context)),
    unwrap: (wrapped, context) => {
      const opened = unseal(key, wrapped, place(context));
      if (opened === null && isRight) throw isSpoilt(context);
      if (opened === null) throw new Error('it is another key, or what it wrapped was changed');
      isRight = true;
      return opened.bytes;
    },
  };
}

function isSpoilt({ thread_id }: KeyContext): ServiceError {
  const whose = thread_id === '' ? "the server's own key" : `the key of thread ${thread_id}`;
  return new ServiceError(
    'unreadable_value',
    `What is stored of ${whose} was changed, and does not open: restore its row of baton.thread_keys from a backup, or delete the thread`,
  );
}

/** A service of the project's own that wraps keys. @throws InvalidInputError when it is not one. */
export function serviceKey(found: unknown, what: string): KeyEncryptionKey {
  const {
    id = 'kms',
    wrap,
    unwrap,
  } = (typeof found === 'object' && found !== null ? found : {}) as Record<string, unknown>;
  if (typeof id !== 'string' || typeof wrap !== 'function' || typeof unwrap !== 'function') {
    throw new InvalidInputError(
      `${what} is no key service: export { id, wrap(bytes, context), unwrap(bytes, context) }`,
    );
  }
  // Called on the object itself: it may be an instance of a class.
  const service = found as KeyEncryptionKey;
  return {
    id,
    wrap: async (bytes, context) => service.wrap(bytes, context),
    unwrap: async (wrapped, context) => service.unwrap(wrapped, context),
  };
}
