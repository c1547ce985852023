import { isPrefixMatch } from '@langchain/langgraph/stream';
import type { ProtocolEvent } from './run-translation.ts';

/** Which events of a thread somebody wants. */
export interface Subscription {
  /** `custom` means all of `custom:name`, too. */
  channels: readonly string[];
  /** Only at or below these places; a part without a task's id means the node in any task. Absent or empty = everywhere. */
  namespaces?: readonly string[][] | undefined;
  /** How far below. */
  depth?: number | undefined;
}

export function isWanted({ channels, namespaces, depth = Infinity }: Subscription, event: ProtocolEvent): boolean {
  const { channel, namespace } = event;
  const wanted = channels.includes(channel) || (channel.startsWith('custom:') && channels.includes('custom'));
  if (!wanted || !namespaces || namespaces.length === 0) return wanted;
  return namespaces.some((prefix) => isPrefixMatch(namespace, prefix) && namespace.length - prefix.length <= depth);
}
