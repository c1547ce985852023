import type { Checkpoint } from '@langchain/langgraph-checkpoint';
import type { Codec } from '../core/codec.ts';
import { serialize } from './codec/serialize.ts';

/** Longer values (in characters of JSON) are stored by reference, once for each content. */
const INLINE_CHARS = 2048;

/** A value in a row: its JSON text, or for a big one the id of its content. A big one has its text until it is stored. */
export interface Slot {
  text: string | undefined;
  id: string | undefined;
}

/** At once, since a node may change the value right after. A big one has no id yet: `identify`. */
export function slotOf(value: unknown, channel: string): Slot {
  return { text: serialize(value, channel), id: undefined };
}

/** Gives the big values their ids. */
export async function identify(slots: Iterable<Slot>, threadId: string, codec: Codec): Promise<void> {
  for (const slot of slots) {
    if (slot.id === undefined && slot.text !== undefined && slot.text.length > INLINE_CHARS) {
      slot.id = await codec.idOf(slot.text, threadId);
    }
  }
}

/** The body of a checkpoint's row. */
export interface CheckpointBody {
  /** The checkpoint less its id and its values. */
  checkpoint: Omit<Checkpoint, 'id' | 'channel_values'>;
  metadata: unknown;
  /** Small values, by channel. */
  values: Record<string, unknown>;
  /** Ids of big values, by channel. */
  refs: Record<string, string>;
}

/** One write of a task: its index, its channel, then the value, or null and the id of a big one. */
export type StoredWrite = [idx: number, channel: string, value: unknown, id?: string];

export function checkpointBody(
  checkpoint: CheckpointBody['checkpoint'],
  metadata: string,
  slots: ReadonlyMap<string, Slot>,
): string {
  const values: string[] = [];
  const refs: string[] = [];
  for (const [channel, slot] of slots) {
    const target = slot.id === undefined ? values : refs;
    target.push(`${JSON.stringify(channel)}:${slot.id === undefined ? slot.text : JSON.stringify(slot.id)}`);
  }
  return `{"checkpoint":${JSON.stringify(checkpoint)},"metadata":${metadata},"values":{${values.join(',')}},"refs":{${refs.join(',')}}}`;
}

export function writesBody(writes: readonly { idx: number; channel: string; slot: Slot }[]): string {
  const texts = writes.map(({ idx, channel, slot }) => {
    const value = slot.id === undefined ? slot.text : `null,${JSON.stringify(slot.id)}`;
    return `[${idx},${JSON.stringify(channel)},${value}]`;
  });
  return `[${texts.join(',')}]`;
}

/** The slots of a stored checkpoint, to be carried into its children. */
export function slotsOf({ values, refs }: CheckpointBody): Map<string, Slot> {
  const slots = new Map<string, Slot>();
  for (const [channel, value] of Object.entries(values))
    slots.set(channel, { text: JSON.stringify(value), id: undefined });
  for (const [channel, id] of Object.entries(refs)) slots.set(channel, { text: undefined, id });
  return slots;
}
