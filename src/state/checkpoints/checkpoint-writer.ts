import { setImmediate } from 'node:timers/promises';
import type { RunnableConfig } from '@langchain/core/runnables';
import {
  type ChannelVersions,
  type Checkpoint,
  type CheckpointMetadata,
  type PendingWrite,
  WRITES_IDX_MAP,
} from '@langchain/langgraph-checkpoint';
import { InvalidInputError } from '../../core/errors.ts';
import { configOf, requiredAddress, writerOf } from './checkpoint-address.ts';
import type { CheckpointKey, Values } from '../drivers/checkpoint-driver.ts';
import { clearPart, hasDeltas, stampedMetadata } from './checkpoint-metadata.ts';
import type { CheckpointReader } from './checkpoint-reader.ts';
import type { Codec } from '../../core/codec.ts';
import { serialize } from '../codec/serialize.ts';
import { type Head, headOf, type Heads } from './heads.ts';
import type { HeldChange } from '../unsaved/held-view.ts';
import { checkpointBody, identify, idsOfSlots, type Slot, slotOf, writesBody } from '../values/packed-values.ts';
import { lastingWrites } from './pending-writes.ts';
import { Turnstile } from './turnstile.ts';
import type { UnsavedWork } from '../unsaved/unsaved-work.ts';

interface CheckpointWriterOptions {
  driver: UnsavedWork;
  codec: Codec;
  heads: Heads;
  reader: CheckpointReader;
  inlineChars: number;
}

/**
 * From what LangGraph saves to rows. Values are serialised before the first `await`: a node may change them right after.
 * The operations of a thread reach the driver in the order in which they were called.
 */
export class CheckpointWriter {
  readonly #driver: UnsavedWork;
  readonly #codec: Codec;
  readonly #heads: Heads;
  readonly #reader: CheckpointReader;
  readonly #inlineChars: number;
  readonly #turnstile = new Turnstile();

  constructor({ driver, codec, heads, reader, inlineChars }: CheckpointWriterOptions) {
    this.#driver = driver;
    this.#codec = codec;
    this.#heads = heads;
    this.#reader = reader;
    this.#inlineChars = inlineChars;
  }

  async put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    newVersions: ChannelVersions,
  ): Promise<RunnableConfig> {
    const { thread_id, checkpoint_ns, checkpoint_id: parent } = requiredAddress(config);
    const { channel_values: values, id, ...rest } = checkpoint;
    const key: CheckpointKey = { thread_id, checkpoint_ns, checkpoint_id: id };
    const { token, run_id } = writerOf(config);
    this.#driver.meterOf(thread_id, token)?.stepBegan(checkpoint_ns);
    const fields = stampedMetadata(config, metadata);
    const stamped = serialize(fields, 'metadata');
    const search = this.#codec.clearMetadata
      ? serialize(clearPart(fields, this.#codec.clearMetadata), 'metadata')
      : stamped;
    const slots = new Map<string, Slot>();
    for (const channel of Object.keys(checkpoint.channel_versions)) {
      if (!Object.hasOwn(newVersions, channel) || !Object.hasOwn(values, channel)) continue;
      slots.set(channel, slotOf(values[channel], channel, this.#inlineChars));
    }
    await this.#turnstile.pass(
      thread_id,
      async () => {
        const base = parent === undefined ? undefined : await this.#head({ ...key, checkpoint_id: parent });
        const inlineChars = this.#inlineChars;
        if (parent !== undefined) inherit({ slots, base, checkpoint, metadata, newVersions, inlineChars });
        await identify(slots, base?.slots, { codec: this.#codec, threadId: thread_id, inlineChars });
        const body = checkpointBody(rest, stamped, slots);
        return {
          row: {
            ...key,
            parent_id: parent ?? null,
            run_id,
            body: await this.#codec.encode(body, { thread_id, checkpoint_ns, kind: 'checkpoint', id }),
          },
          values: await this.#unstored(thread_id, slots.values(), base),
          value_ids: idsOfSlots(slots.values()),
          search,
          deltas: hasDeltas(metadata),
          token,
        };
      },
      async (change) => {
        const head: Head = { checkpoint_id: id, channel_versions: rest.channel_versions, slots, stored: new Set() };
        this.#heads.set(key, head);
        await this.#acknowledged(change, this.#driver.put(change));
        settle([...slots.values()], head);
      },
    );
    return configOf(key);
  }

  async putWrites(config: RunnableConfig, writes: PendingWrite[], taskId: string, taskPath: string): Promise<void> {
    const { thread_id, checkpoint_ns, checkpoint_id } = requiredAddress(config);
    if (checkpoint_id === undefined) {
      throw new InvalidInputError('Writes belong to a checkpoint: pass { configurable: { checkpoint_id } }');
    }
    const key: CheckpointKey = { thread_id, checkpoint_ns, checkpoint_id };
    const { token, run_id } = writerOf(config);
    this.#driver.meterOf(thread_id, token)?.taskEnded(checkpoint_ns, taskId);
    const packed = lastingWrites(writes).map(([channel, value], index) => ({
      idx: (Object.hasOwn(WRITES_IDX_MAP, channel) ? WRITES_IDX_MAP[channel] : undefined) ?? index,
      channel,
      slot: slotOf(value, channel, this.#inlineChars),
    }));
    const slots = packed.map(({ slot }) => slot);
    await this.#turnstile.pass(
      thread_id,
      async () => {
        // A node may write a whole list that it has added to: its pieces are those of the channel.
        const head = this.#heads.get(thread_id, checkpoint_ns, checkpoint_id);
        const named = packed.map(({ channel, slot }) => [channel, slot] as const);
        await identify(named, head?.slots, {
          codec: this.#codec,
          threadId: thread_id,
          inlineChars: this.#inlineChars,
        });
        const context = { thread_id, checkpoint_ns, kind: 'writes', id: checkpoint_id, task_id: taskId } as const;
        const body = await this.#codec.encode(writesBody(packed), context);
        return {
          row: { ...key, task_id: taskId, task_path: taskPath, run_id, body },
          values: await this.#unstored(thread_id, slots, head),
          value_ids: idsOfSlots(slots),
          token,
        };
      },
      async (change) => {
        await this.#acknowledged(change, this.#driver.putWrites(change));
        settle(slots, this.#heads.get(thread_id, checkpoint_ns, checkpoint_id));
      },
    );
  }

  /** Resolves when all that was put for the thread before is durable. */
  async flush(threadId: string): Promise<void> {
    do {
      // After the callbacks of this turn: the writes of a step and the checkpoint that makes them needless come in one turn.
      await setImmediate();
      this.#driver.weighed(threadId);
      await this.#turnstile.pass(
        threadId,
        async () => {},
        () => this.#orForget(threadId, this.#driver.save(threadId)),
      );
      // With `async` LangGraph goes on to the next step, but puts its checkpoint only when the one before is stored.
      await setImmediate();
    } while (this.#turnstile.isBusy(threadId));
  }

  async #head(key: CheckpointKey): Promise<Head | undefined> {
    const { thread_id, checkpoint_ns, checkpoint_id } = key;
    const known = this.#heads.get(thread_id, checkpoint_ns, checkpoint_id);
    if (known !== undefined) return known;
    const [stored] = await this.#driver.chain(thread_id, checkpoint_ns, checkpoint_id, 1);
    return stored && headOf(checkpoint_id, await this.#reader.body(stored.row));
  }

  /** The big values that have to be sent: those not known to be there. */
  async #unstored(threadId: string, slots: Iterable<Slot>, head: Head | undefined): Promise<Values> {
    const values = new Map<string, Uint8Array>();
    for (const { contents } of slots) {
      for (const [id, text] of contents ?? []) {
        if (head?.stored.has(id) || values.has(id)) continue;
        const context = { thread_id: threadId, checkpoint_ns: '', kind: 'value', id } as const;
        values.set(id, await this.#codec.encode(text, context));
      }
    }
    return values;
  }

  /** Stored, or held for less than it takes to be saved. */
  async #acknowledged({ row: { thread_id }, token }: HeldChange, write: Promise<void>): Promise<void> {
    await this.#orForget(thread_id, write);
    if (this.#driver.meterOf(thread_id, token)?.isDue()) await this.flush(thread_id);
  }

  /** After a failed write nothing that is known of the thread holds for certain. */
  async #orForget(threadId: string, write: Promise<void>): Promise<void> {
    try {
      await write;
    } catch (error) {
      this.#heads.forget(threadId);
      throw error;
    }
  }
}

interface Inheritance {
  slots: Map<string, Slot>;
  base: Head | undefined;
  checkpoint: Checkpoint;
  metadata: CheckpointMetadata;
  newVersions: ChannelVersions;
  inlineChars: number;
}

/** Gives a checkpoint the values that it shares with its parent, as they are stored there. */
function inherit({ slots, base, checkpoint, metadata, newVersions, inlineChars }: Inheritance): void {
  for (const [channel, version] of Object.entries(checkpoint.channel_versions)) {
    if (Object.hasOwn(newVersions, channel)) continue;
    if (base?.channel_versions[channel] === version) {
      const slot = base.slots.get(channel);
      if (slot !== undefined) slots.set(channel, slot);
    } else if (
      (base === undefined || metadata.source === 'fork') &&
      Object.hasOwn(checkpoint.channel_values, channel)
    ) {
      // A copy of a checkpoint is put beside it, under its parent, and says that nothing is new.
      slots.set(channel, slotOf(checkpoint.channel_values[channel], channel, inlineChars));
    }
  }
}

/** A content that is stored need not be kept in memory, nor sent again. */
function settle(slots: readonly Slot[], head: Head | undefined): void {
  for (const slot of slots) slot.contents = undefined;
  for (const id of head === undefined ? [] : idsOfSlots(slots)) head?.stored.add(id);
}
