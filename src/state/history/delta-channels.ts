import type { ChannelSizes } from '../state-saver.ts';

/** The channels of which something was written since they were last stored as a whole, by the metadata of a checkpoint. */
export function deltaChannelsOf(metadata: unknown): string[] {
  const { counters_since_delta_snapshot: counters } = (metadata ?? {}) as { counters_since_delta_snapshot?: object };
  return Object.keys(counters ?? {});
}

/** What a store knows of the sizes of these channels, unless their values are stored after all. */
export function sizesAsWrites(metadata: unknown): ChannelSizes {
  return Object.fromEntries(deltaChannelsOf(metadata).map((name) => [name, { bytes: null, stored: 'as_writes' }]));
}
