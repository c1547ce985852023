import type { CheckpointKey } from '../checkpoint-driver.ts';

/**
 * The keys of a thread, in the order in which every script takes them:
 * - guard: a hash of the fence and of a number that rises with each change
 * - order: a sorted set of places, by the order of their storing
 * - latest: a hash from namespace (as JSON text) to the place that was stored last
 * - index: a hash from place to the head of the checkpoint
 * - bodies: a hash from place, or place and number, to the body of a checkpoint or of writes
 * - writes: a hash from place to how many writes were stored after it, and from place and number to the head of each
 * - values: a hash from id to bytes
 */
export const KEY = { guard: 1, order: 2, latest: 3, index: 4, bodies: 5, writes: 6, values: 7 } as const;
const NAMES = Object.keys(KEY);

/** All in one slot of a cluster. */
export function keysOf(prefix: string, threadId: string): string[] {
  return NAMES.map((name) => `${prefix}:{${toTag(threadId)}}:${name}`);
}

/** What keys of threads with checkpoints look like, for SCAN. */
export function orderPattern(prefix: string): string {
  return `${prefix}:{*}:order`;
}

/** @param key One that the pattern found. */
export function threadOfKey(prefix: string, key: string): string {
  return JSON.parse(key.slice(prefix.length + 2, -'}:order'.length)) as string;
}

/**
 * Any text as a hash tag: not empty, without braces, which would end it, and such that no two texts become one (UTF-8 has
 * no halves of surrogate pairs, JSON text escapes them).
 */
function toTag(text: string): string {
  return JSON.stringify(text).replaceAll('{', '\\u007b').replaceAll('}', '\\u007d');
}

/** A checkpoint within its thread, as the name of a field. It ends with a bracket, so a number after it stands apart. */
export function toPlace({ checkpoint_ns, checkpoint_id }: Omit<CheckpointKey, 'thread_id'>): string {
  return JSON.stringify([checkpoint_ns, checkpoint_id]);
}

export function toNamespace(checkpointNs: string): string {
  return JSON.stringify(checkpointNs);
}

export function fromPlace(threadId: string, place: string): CheckpointKey {
  const [checkpoint_ns, checkpoint_id] = JSON.parse(place) as [string, string];
  return { thread_id: threadId, checkpoint_ns, checkpoint_id };
}

/** The place of writes, and which ones after it they are; without a number 0. */
export function splitWritesName(name: string): { place: string; n: number } {
  const end = name.lastIndexOf(']') + 1;
  return { place: name.slice(0, end), n: Number(name.slice(end)) };
}
