import type { Checkpoint } from '@langchain/langgraph-checkpoint';

/** A checkpoint less its id and its values. */
export type BareCheckpoint = Omit<Checkpoint, 'id' | 'channel_values'>;

/** With what each node has seen as places in `channel_versions` and versions, in turn: names of channels are long, and every row has them. */
export type PackedCheckpoint = Omit<BareCheckpoint, 'versions_seen'> & {
  versions_seen: Record<string, unknown[] | Record<string, unknown>>;
};

export function packed(checkpoint: BareCheckpoint): PackedCheckpoint {
  const places = new Map(Object.keys(checkpoint.channel_versions).map((channel, index) => [channel, index]));
  return {
    ...checkpoint,
    versions_seen: mapped(checkpoint.versions_seen, (seen) => {
      const entries = Object.entries(seen);
      if (!entries.every(([channel]) => places.has(channel))) return seen;
      return entries.flatMap(([channel, version]) => [places.get(channel), version]);
    }),
  };
}

export function unpacked(checkpoint: PackedCheckpoint): BareCheckpoint {
  const channels = Object.keys(checkpoint.channel_versions);
  return {
    ...checkpoint,
    versions_seen: mapped(checkpoint.versions_seen, (seen) => {
      if (!Array.isArray(seen)) return seen;
      const entries: [string, unknown][] = [];
      for (let at = 0; at < seen.length; at += 2) entries.push([channels[Number(seen[at])] ?? '', seen[at + 1]]);
      return Object.fromEntries(entries);
    }) as BareCheckpoint['versions_seen'],
  };
}

function mapped<T, U>(record: Record<string, T>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
