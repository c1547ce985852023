import type { ChannelVersions } from '@langchain/langgraph-checkpoint';
import { placeOf } from '../../core/checkpoint-place.ts';
import { ConflictError, ServiceError } from '../../core/errors.ts';
import { fingerprints, type SavedStep } from './saved-steps.ts';
import type { StateSaver } from '../state-saver.ts';

export interface HistoryCopy {
  from: StateSaver;
  to: StateSaver;
  threadId: string;
  /** Under which id; default: the same. */
  toThreadId?: string;
}

export interface CopiedHistory {
  checkpoints: number;
  /** Of these, how many were not there before. */
  added: number;
  /** Of the values, as JSON. */
  bytes: number;
}

type Prints = ReturnType<typeof fingerprints>;

/**
 * Stores again in `to` what `from` has of a thread: every checkpoint of every namespace, in the order of storing. What is
 * there already is compared and left alone, so it can be stopped at any time and done again: what is there then is the
 * thread as it was at some point in time. Returns when it was read back and found the same.
 * @throws ConflictError when the target has what the source has not, or the source changed meanwhile; ServiceError
 * `unreadable_value` when what is read back is not what was stored.
 */
export async function copyHistory({ from, to, threadId, toThreadId = threadId }: HistoryCopy): Promise<CopiedHistory> {
  const there = await printsOf(to, toThreadId);
  const copied: Prints[] = [];
  const versions = new Map<string, ChannelVersions>();
  let added = 0;
  for await (const step of from.steps(threadId)) {
    const prints = fingerprints(step);
    const known = there[copied.length];
    if (known === undefined) {
      await putCheckpoint(
        to,
        toThreadId,
        step,
        versions.get(placeOf({ ...step, checkpoint_id: step.parent_id ?? '' })),
      );
      added += 1;
    } else if (known.checkpoint !== prints.checkpoint || !isPrefix(known.writes, prints.writes)) {
      throw diverged(toThreadId);
    }
    await putWrites(to, toThreadId, { ...step, writes: step.writes.slice(known?.writes.length ?? 0) });
    versions.set(placeOf({ ...step, checkpoint_id: step.checkpoint.id }), step.checkpoint.channel_versions);
    copied.push(prints);
  }
  if (there.length > copied.length) throw diverged(toThreadId);
  verify(await printsOf(to, toThreadId), copied, toThreadId);
  return { checkpoints: copied.length, added, bytes: copied.reduce((sum, { bytes }) => sum + bytes, 0) };
}

async function printsOf(saver: StateSaver, threadId: string): Promise<Prints[]> {
  const prints: Prints[] = [];
  for await (const step of saver.steps(threadId)) prints.push(fingerprints(step));
  return prints;
}

async function putCheckpoint(
  to: StateSaver,
  threadId: string,
  { checkpoint_ns, parent_id, run_id, checkpoint, metadata }: SavedStep,
  parentVersions: ChannelVersions = {},
): Promise<void> {
  const { channel_versions: all } = checkpoint;
  const isNew = ([channel, version]: [string, unknown]) => parentVersions[channel] !== version;
  await to.put(
    configOf(threadId, { checkpoint_ns, checkpoint_id: parent_id, run_id }),
    checkpoint,
    metadata,
    Object.fromEntries(Object.entries(all).filter(isNew)),
  );
}

async function putWrites(to: StateSaver, threadId: string, step: SavedStep): Promise<void> {
  const { checkpoint_ns } = step;
  for (const { task_id, task_path, run_id, writes } of step.writes) {
    await to.putWrites(
      configOf(threadId, { checkpoint_ns, checkpoint_id: step.checkpoint.id, run_id }),
      writes,
      task_id,
      task_path,
    );
  }
}

function configOf(
  thread_id: string,
  place: { checkpoint_ns: string; checkpoint_id: string | null; run_id: string | null },
) {
  const given = Object.entries(place).filter(([, value]) => value !== null);
  return { configurable: { thread_id, ...Object.fromEntries(given) } };
}

function verify(found: readonly Prints[], copied: readonly Prints[], threadId: string): void {
  const isSame = (prints: Prints, at: number) =>
    prints.checkpoint === copied[at]?.checkpoint &&
    prints.writes.length === copied[at].writes.length &&
    isPrefix(prints.writes, copied[at].writes);
  if (found.length === copied.length && found.every(isSame)) return;
  throw new ServiceError(
    'unreadable_value',
    `Thread ${threadId} was copied and does not read back as it was: go on with the source, delete the copy, and report this`,
  );
}

function isPrefix(start: readonly string[], whole: readonly string[]): boolean {
  return start.length <= whole.length && start.every((print, at) => print === whole[at]);
}

function diverged(threadId: string): ConflictError {
  return new ConflictError(
    `what the target has of thread ${threadId} is not the beginning of what the source has: it went on there, or the source was pruned. Delete the thread in the target, or leave it out`,
  );
}
