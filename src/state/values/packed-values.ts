import { stored } from '../codec/serialize.ts';
import { DeferredValue } from './deferred-value.ts';
import { type BareCheckpoint, packed, type PackedCheckpoint } from '../checkpoints/bare-checkpoint.ts';
import { contentIds, ContentNames, type ContentNamesOptions, type Cut, cut, type Ref, renamed } from './cut-values.ts';

/** A value of a checkpoint or of a write. */
export interface Slot {
  /** Until its contents have their ids. */
  cut: Cut | undefined;
  /** What stands in the row: its JSON text, or what is left of it. */
  inline: string | undefined;
  /** What does not. */
  ref: Ref | undefined;
  /** The texts of its contents, by id, until they are stored. */
  contents: ReadonlyMap<string, string> | undefined;
}

/** At once, since a node may change the value right after. What is big has no id yet: `identify`. */
export function slotOf(value: unknown, channel: string, inlineChars: number): Slot {
  const seen = value instanceof DeferredValue ? value.value : value;
  return { cut: cut(stored(seen, channel), inlineChars), inline: undefined, ref: undefined, contents: undefined };
}

/** Gives the contents of slots their ids. `base`: by channel, what was stored before. */
export async function identify(
  slots: Iterable<readonly [channel: string, slot: Slot]>,
  base: ReadonlyMap<string, Slot> | undefined,
  options: ContentNamesOptions,
): Promise<void> {
  const names = new ContentNames(options);
  for (const [channel, slot] of slots) {
    if (slot.cut === undefined) continue;
    // Most are small: they need no name, and no turn of the event loop.
    if (names.isInline(slot.cut)) slot.inline = slot.cut.text;
    else Object.assign(slot, await names.name(slot.cut, base?.get(channel)?.ref));
    slot.cut = undefined;
  }
}

/** The body of a checkpoint's row. */
export interface CheckpointBody {
  checkpoint: PackedCheckpoint;
  metadata: unknown;
  /** Small values, by channel, and what is left of big ones. */
  values: Record<string, unknown>;
  /** What completes them. */
  refs: Record<string, Ref>;
}

/** One write of a task: its index, its channel, then the value, or what is left of a big one and what completes it. */
export type StoredWrite = [idx: number, channel: string, value: unknown, ref?: Ref];

export function checkpointBody(checkpoint: BareCheckpoint, metadata: string, slots: ReadonlyMap<string, Slot>): string {
  const values: string[] = [];
  const refs: string[] = [];
  for (const [channel, { inline, ref }] of slots) {
    const key = JSON.stringify(channel);
    if (inline !== undefined) values.push(`${key}:${inline}`);
    if (ref !== undefined) refs.push(`${key}:${JSON.stringify(ref)}`);
  }
  return `{"checkpoint":${JSON.stringify(packed(checkpoint))},"metadata":${metadata},"values":{${values.join(',')}},"refs":{${refs.join(',')}}}`;
}

export function writesBody(writes: readonly { idx: number; channel: string; slot: Slot }[]): string {
  const texts = writes.map(({ idx, channel, slot: { inline = 'null', ref } }) => {
    const value = ref === undefined ? inline : `${inline},${JSON.stringify(ref)}`;
    return `[${idx},${JSON.stringify(channel)},${value}]`;
  });
  return `[${texts.join(',')}]`;
}

/** The slots of a stored checkpoint, to be carried into its children. */
export function slotsOf({ values, refs }: CheckpointBody): Map<string, Slot> {
  const slots = new Map<string, Slot>();
  for (const channel of [...Object.keys(values), ...Object.keys(refs)]) {
    const inline = Object.hasOwn(values, channel) ? JSON.stringify(values[channel]) : undefined;
    const ref = Object.hasOwn(refs, channel) ? refs[channel] : undefined;
    slots.set(channel, { cut: undefined, inline, ref, contents: undefined });
  }
  return slots;
}

export function idsOfSlots(slots: Iterable<Slot>): string[] {
  return [...new Set([...slots].flatMap(({ ref }) => contentIds(ref)))];
}

/** The ids of all contents that the text of a body names, each once: the `value_ids` of its row. */
export function contentIdsOf(body: string): string[] {
  return [...new Set(refsIn(JSON.parse(body) as CheckpointBody | StoredWrite[]).flatMap(contentIds))];
}

/**
 * The text of a body with other ids in it, for a copy under another codec: each content is decoded, named by `idOf` of the
 * other one and encoded by it. A content is a text to be kept as it is, not always a JSON value.
 */
export function withContentIds(text: string, nameOf: (id: string) => string): string {
  const body = JSON.parse(text) as CheckpointBody | StoredWrite[];
  if (Array.isArray(body)) {
    return JSON.stringify(
      body.map(([idx, channel, value, ref]) =>
        ref === undefined ? [idx, channel, value] : [idx, channel, value, renamed(ref, nameOf)],
      ),
    );
  }
  const refs = Object.entries(body.refs).map(([channel, ref]): [string, Ref] => [channel, renamed(ref, nameOf)]);
  return JSON.stringify({ ...body, refs: Object.fromEntries(refs) });
}

function refsIn(body: CheckpointBody | StoredWrite[]): Ref[] {
  return Array.isArray(body)
    ? body.map(([, , , ref]) => ref).filter((ref) => ref !== undefined)
    : Object.values(body.refs);
}
