import type { Codec, CodecContext, FarText } from '../../core/codec.ts';
import { ServiceError } from '../../core/errors.ts';
import type { Values } from '../drivers/checkpoint-driver.ts';
import { revive } from '../codec/revive.ts';
import { TAG_MARK } from '../codec/tags.ts';
import { contentIds, joined, type Ref } from './cut-values.ts';
import { DeferredValue } from './deferred-value.ts';
import type { CheckpointBody } from './packed-values.ts';
import type { TaskWrite } from '../checkpoints/pending-writes.ts';

/** Completes the values of a thread's rows. Each content is decoded once; what is made of it is made anew at every call. */
export class Contents {
  readonly #codec: Codec;
  readonly #threadId: string;
  readonly #values: Values;
  readonly #texts = new Map<string, string>();

  constructor(codec: Codec, threadId: string, values: Values) {
    this.#codec = codec;
    this.#threadId = threadId;
    this.#values = values;
  }

  /** The value of a channel. Changes the body. `isPlain`: nothing in the body needs reviving. */
  async channel({ values, refs }: CheckpointBody, channel: string, isPlain = false): Promise<unknown> {
    const inline = Object.hasOwn(values, channel) ? values[channel] : undefined;
    const ref = Object.hasOwn(refs, channel) ? refs[channel] : undefined;
    const { json, plain } = ref === undefined ? { json: inline, plain: true } : await this.#join(ref, inline);
    return isPlain && plain ? json : revive(json);
  }

  /** The same, unread, when a part of it lies far away; undefined when all of it is here. */
  async deferred({ values, refs }: CheckpointBody, channel: string): Promise<DeferredValue | undefined> {
    const ref = Object.hasOwn(refs, channel) ? refs[channel] : undefined;
    if (ref === undefined || this.#codec.far === undefined) return undefined;
    const far = new Map<string, FarText>();
    const texts = new Map<string, string>();
    for (const id of contentIds(ref)) {
      const text = this.#texts.has(id) ? undefined : await this.#codec.far(this.#bytes(id), this.#context(id));
      if (text === undefined) texts.set(id, await this.#text(id));
      else far.set(id, text);
    }
    if (far.size === 0) return undefined;
    return unread(ref, Object.hasOwn(values, channel) ? values[channel] : undefined, { far, texts });
  }

  /** Fills in the big values of writes. */
  async load(writes: TaskWrite[]): Promise<TaskWrite[]> {
    for (const write of writes) {
      if (write.ref === undefined) continue;
      const { json, plain } = await this.#join(write.ref, write.json);
      write.json = json;
      write.plain &&= plain;
    }
    return writes;
  }

  async #join(ref: Ref, inline: unknown): Promise<{ json: unknown; plain: boolean }> {
    let plain = true;
    for (const id of contentIds(ref)) plain = !(await this.#text(id)).includes(TAG_MARK) && plain;
    return { json: joined(ref, inline, (id) => this.#texts.get(id) ?? ''), plain };
  }

  async #text(id: string): Promise<string> {
    const known = this.#texts.get(id);
    if (known !== undefined) return known;
    const text = await this.#codec.decode(this.#bytes(id), this.#context(id));
    this.#texts.set(id, text);
    return text;
  }

  #bytes(id: string): Uint8Array {
    const bytes = this.#values.get(id);
    if (bytes !== undefined) return bytes;
    throw new ServiceError(
      'unreadable_value',
      `Thread ${this.#threadId} refers to the value ${id}, which is not stored: delete the thread`,
    );
  }

  #context(id: string): CodecContext {
    return { thread_id: this.#threadId, checkpoint_ns: '', kind: 'value', id };
  }
}

/** Holds nothing of the thread but what the value is made of. */
function unread(
  ref: Ref,
  inline: unknown,
  { far, texts }: { far: ReadonlyMap<string, FarText>; texts: Map<string, string> },
): DeferredValue {
  // Once, since what stands in the row is completed in place.
  let whole: { value: unknown } | undefined;
  const made = (): unknown => (whole ??= { value: revive(joined(ref, inline, (id) => texts.get(id) ?? '')) }).value;
  return new DeferredValue({
    now: () => {
      for (const [id, text] of far) texts.set(id, text.now());
      return made();
    },
    soon: async () => {
      await Promise.all([...far].map(async ([id, text]) => texts.set(id, await text.soon())));
      return made();
    },
  });
}
