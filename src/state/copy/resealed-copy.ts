import type { CheckpointMetadata } from '@langchain/langgraph-checkpoint';
import type { Codec, CodecContext } from '../../core/codec.ts';
import { ConflictError } from '../../core/errors.ts';
import type { CheckpointDriver, LoadedCheckpoint, Values } from '../drivers/checkpoint-driver.ts';
import { clearPart, hasDeltas } from '../checkpoints/checkpoint-metadata.ts';
import { contentIdsOf, withContentIds } from '../values/packed-values.ts';
import { eachCheckpoint } from './saved-steps.ts';

/**
 * Copies a thread of an encrypted store: each row is opened with the one thread's key and sealed with the other's, so that
 * the copy can be read when the original is gone, key and all. Unlike `copyHistory` it opens each big value once, and makes
 * nothing of it. @throws ConflictError when the target has checkpoints.
 */
export async function copyResealed(driver: CheckpointDriver, codec: Codec, from: string, to: string): Promise<void> {
  if ((await driver.list({ thread_id: to }, 1)).length > 0) {
    throw new ConflictError(`Thread ${to} has checkpoints: copy to a new thread`);
  }
  const copy = new ResealedCopy(driver, codec, to);
  for await (const loaded of eachCheckpoint(driver, from)) await copy.add(loaded);
}

interface Resealed {
  text: string;
  body: Uint8Array;
  values: Values;
  value_ids: string[];
}

class ResealedCopy {
  readonly #driver: CheckpointDriver;
  readonly #codec: Codec;
  readonly #to: string;
  /** Ids of the original's big values -> what they are called in the copy. */
  readonly #names = new Map<string, string>();

  constructor(driver: CheckpointDriver, codec: Codec, to: string) {
    this.#driver = driver;
    this.#codec = codec;
    this.#to = to;
  }

  async add({ row, writes, values }: LoadedCheckpoint): Promise<void> {
    const { thread_id, checkpoint_ns, checkpoint_id: id } = row;
    const { text, ...contents } = await this.#reseal(
      row.body,
      { thread_id, checkpoint_ns, kind: 'checkpoint', id },
      values,
    );
    const { metadata } = JSON.parse(text) as { metadata: CheckpointMetadata & Record<string, unknown> };
    await this.#driver.put({
      row: { ...row, thread_id: this.#to, body: contents.body },
      values: contents.values,
      value_ids: contents.value_ids,
      search: JSON.stringify(clearPart(metadata, this.#codec.clearMetadata ?? new Set())),
      deltas: hasDeltas(metadata),
    });
    for (const written of writes) {
      const { task_id, checkpoint_id, body } = written;
      const context = { thread_id, checkpoint_ns, kind: 'writes', id: checkpoint_id, task_id } as const;
      const { text: _, ...resealed } = await this.#reseal(body, context, values);
      await this.#driver.putWrites({
        row: { ...written, thread_id: this.#to, body: resealed.body },
        values: resealed.values,
        value_ids: resealed.value_ids,
      });
    }
  }

  async #reseal(bytes: Uint8Array, context: CodecContext, values: Values): Promise<Resealed> {
    const original = await this.#codec.decode(bytes, context);
    const sent = await this.#named(context.thread_id, contentIdsOf(original), values);
    const text = withContentIds(original, (id) => this.#names.get(id) ?? id);
    const body = await this.#codec.encode(text, { ...context, thread_id: this.#to });
    return { text, body, values: sent, value_ids: contentIdsOf(text) };
  }

  /** Those of the values that the copy has not yet, as it keeps them. */
  async #named(thread_id: string, ids: readonly string[], values: Values): Promise<Values> {
    const sent = new Map<string, Uint8Array>();
    for (const id of new Set(ids)) {
      const bytes = values.get(id);
      if (this.#names.has(id) || bytes === undefined) continue;
      const place = { checkpoint_ns: '', kind: 'value' } as const;
      const text = await this.#codec.decode(bytes, { thread_id, ...place, id });
      const name = await this.#codec.idOf(text, this.#to);
      this.#names.set(id, name);
      sent.set(name, await this.#codec.encode(text, { thread_id: this.#to, ...place, id: name }));
    }
    return sent;
  }
}
