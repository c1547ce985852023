import type { Checkpoint } from '@langchain/langgraph-checkpoint';

/** A checkpoint less its id and its values. */
export type BareCheckpoint = Omit<Checkpoint, 'id' | 'channel_values'>;

/** With what each node has seen as places in `channel_versions` and versions, in turn: names of channels are long, and every row has them. */
export type PackedCheckpoint = Omit<BareCheckpoint, 'versions_seen'> & {
  versions_seen: Record<string, unknown[] | Record<string, unknown>>;
};

/** Loops, since this is done at every step for every node of the graph. */
export function packed(checkpoint: BareCheckpoint): PackedCheckpoint {
  const places = new Map<string, number>();
  for (const channel in checkpoint.channel_versions) places.set(channel, places.size);
  const nodes: [string, PackedCheckpoint['versions_seen'][string]][] = [];
  for (const [node, seen] of Object.entries(checkpoint.versions_seen)) nodes.push([node, flat(seen, places) ?? seen]);
  return { ...checkpoint, versions_seen: Object.fromEntries(nodes) };
}

/** Undefined when a channel has no place. */
function flat(seen: Record<string, unknown>, places: ReadonlyMap<string, number>): unknown[] | undefined {
  const list: unknown[] = [];
  for (const channel in seen) {
    const place = places.get(channel);
    if (place === undefined) return undefined;
    list.push(place, seen[channel]);
  }
  return list;
}

export function unpacked(checkpoint: PackedCheckpoint): BareCheckpoint {
  const channels = Object.keys(checkpoint.channel_versions);
  const nodes = Object.entries(checkpoint.versions_seen).map(([node, seen]): [string, Record<string, unknown>] => {
    if (!Array.isArray(seen)) return [node, seen];
    const entries: [string, unknown][] = [];
    for (let at = 0; at < seen.length; at += 2) entries.push([channels[Number(seen[at])] ?? '', seen[at + 1]]);
    return [node, Object.fromEntries(entries)];
  });
  return { ...checkpoint, versions_seen: Object.fromEntries(nodes) as BareCheckpoint['versions_seen'] };
}
