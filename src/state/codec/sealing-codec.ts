import { type Codec, type CodecContext, type Opener, plainText } from '../../core/codec.ts';
import { type DataKey, type DataKeys, nameOf, whenThere } from '../../core/data-key.ts';
import { keyIdOf } from '../../core/envelope.ts';
import { ServiceError } from '../../core/errors.ts';
import { sealText, unsealText, unsealTextNow } from '../../core/sealed-text.ts';

export interface SealingCodecOptions {
  keys: DataKeys;
  /** Whether what was stored before the store was encrypted is read. It is written sealed in any case. */
  readsPlain: boolean;
  /** The keys of a checkpoint's metadata that stand in clear beside it, for filters. */
  clearMetadata: ReadonlySet<string>;
}

/** Seals what a store keeps, each thread under a key of its own. */
export class SealingCodec implements Codec {
  readonly clearMetadata: ReadonlySet<string>;
  readonly #keys: DataKeys;
  readonly #readsPlain: boolean;

  constructor({ keys, readsPlain, clearMetadata }: SealingCodecOptions) {
    this.#keys = keys;
    this.#readsPlain = readsPlain;
    this.clearMetadata = clearMetadata;
  }

  encode(text: string, context: CodecContext): Uint8Array | Promise<Uint8Array> {
    return whenThere(this.#keys.of(context.thread_id), (key) => sealText(key, text, placeOf(context)));
  }

  decode(bytes: Uint8Array, context: CodecContext): string | Promise<string> {
    if (keyIdOf(bytes) === null) return this.#plain(bytes, context);
    return whenThere(this.#keys.find(context.thread_id), (key) => {
      const text = unsealText(existing(key, context), bytes, placeOf(context));
      return whenThere(text, (opened) => opened ?? spoilt(context));
    });
  }

  opener(context: CodecContext): Opener | Promise<Opener> {
    const opener =
      (key: DataKey | null): Opener =>
      (bytes) => {
        if (keyIdOf(bytes) === null) return this.#plain(bytes, context);
        return unsealTextNow(existing(key, context), bytes, placeOf(context)) ?? spoilt(context);
      };
    return whenThere(this.#keys.find(context.thread_id), opener);
  }

  idOf(text: string, threadId: string): string | Promise<string> {
    return whenThere(this.#keys.of(threadId), (key) => nameOf(key, 'content', text));
  }

  #plain(bytes: Uint8Array, context: CodecContext): string {
    if (!isText(bytes)) return spoilt(context);
    if (!this.#readsPlain) throw isPlain(context);
    return plainText(bytes);
  }
}

function existing(key: DataKey | null, context: CodecContext): DataKey {
  if (key !== null) return key;
  throw new ServiceError('unreadable_value', `${nameOfPlace(context)} cannot be opened: the thread’s key was deleted`);
}

/** The number of texts differs with the kind, which is the first: no two places are the same. */
function placeOf({ kind, thread_id, checkpoint_ns, id, task_id }: CodecContext): string[] {
  return task_id === undefined
    ? [kind, thread_id, checkpoint_ns, id]
    : [`${kind} of a task`, thread_id, checkpoint_ns, id, task_id];
}

/** As everything that the plain codec writes begins: with a JSON value. */
function isText(bytes: Uint8Array): boolean {
  return bytes.length > 0 && '{["-0123456789tfn'.includes(String.fromCharCode(bytes[0] ?? 0));
}

function nameOfPlace({ kind, id, thread_id }: CodecContext): string {
  const what = {
    checkpoint: 'The checkpoint',
    writes: 'What was written after checkpoint',
    value: 'The value',
    effect: 'The effect',
  };
  return `${what[kind]} ${id} of thread ${thread_id}`;
}

function spoilt(context: CodecContext): never {
  throw new ServiceError(
    'unreadable_value',
    `${nameOfPlace(context)} cannot be opened: it was changed, cut, or put in another’s place since it was stored. Restore it from a backup, or delete the thread`,
  );
}

function isPlain(context: CodecContext): ServiceError {
  return new ServiceError(
    'unreadable_value',
    `${nameOfPlace(context)} is not encrypted, and its store is: move it with "baton state copy --from postgres://… --to encrypted+postgres://…", or add "?migrate=plain" to the store’s address to have plain rows read until they are replaced`,
  );
}
