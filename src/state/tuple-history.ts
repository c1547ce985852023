import {
  type BaseCheckpointSaver,
  type CheckpointPendingWrite,
  type CheckpointTuple,
  type PendingWrite,
  WRITES_IDX_MAP,
} from '@langchain/langgraph-checkpoint';

/** All checkpoints of a thread by any saver, as far as it tells: in the order of their ids, which savers take for that of storing. */
export async function oldestFirst(saver: BaseCheckpointSaver, threadId: string): Promise<CheckpointTuple[]> {
  const tuples: CheckpointTuple[] = [];
  for await (const tuple of saver.list({ configurable: { thread_id: threadId } })) tuples.push(tuple);
  return tuples.toSorted((a, b) =>
    a.checkpoint.id < b.checkpoint.id ? -1 : Number(a.checkpoint.id > b.checkpoint.id),
  );
}

/** Writes as they can be put again: those of a task together; each special one, which has a place of its own, alone. */
export function writesByTask(
  pending: readonly CheckpointPendingWrite[],
): { task_id: string; writes: PendingWrite[] }[] {
  const tasks = new Map<string, PendingWrite[]>();
  const special: { task_id: string; writes: PendingWrite[] }[] = [];
  for (const [task_id, channel, value] of pending) {
    const write: PendingWrite = [channel, value];
    if (Object.hasOwn(WRITES_IDX_MAP, channel)) special.push({ task_id, writes: [write] });
    else tasks.set(task_id, [...(tasks.get(task_id) ?? []), write]);
  }
  return [...special, ...[...tasks].map(([task_id, writes]) => ({ task_id, writes }))];
}
