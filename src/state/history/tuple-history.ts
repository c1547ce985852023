import type { RunnableConfig } from '@langchain/core/runnables';
import {
  type BaseCheckpointSaver,
  type CheckpointPendingWrite,
  type CheckpointTuple,
  type PendingWrite,
  WRITES_IDX_MAP,
} from '@langchain/langgraph-checkpoint';

/**
 * All checkpoints of a thread by any saver, as far as it tells: in the order of their ids, which savers take for that of
 * storing. One at a time, as they may take any room: savers list them in the other order.
 */
export async function* oldestFirst(saver: BaseCheckpointSaver, threadId: string): AsyncGenerator<CheckpointTuple> {
  const found: { id: string; config: RunnableConfig }[] = [];
  for await (const { checkpoint, config } of saver.list({ configurable: { thread_id: threadId } })) {
    found.push({ id: checkpoint.id, config });
  }
  for (const { config } of found.toSorted((a, b) => (a.id < b.id ? -1 : Number(a.id > b.id)))) {
    const tuple = await saver.getTuple(config);
    if (tuple !== undefined) yield tuple;
  }
}

/** The ids of all threads that have checkpoints, by looking at all checkpoints. */
export async function threadsOf(saver: BaseCheckpointSaver, limit: number, after?: string): Promise<string[]> {
  const ids = new Map<string, Buffer>();
  for await (const { config } of saver.list({ configurable: {} })) {
    const id = String(config.configurable?.['thread_id']);
    if (!ids.has(id)) ids.set(id, Buffer.from(id));
  }
  const found = [...ids.values()].filter((id) => after === undefined || Buffer.compare(id, Buffer.from(after)) > 0);
  return found
    .toSorted((a, b) => Buffer.compare(a, b))
    .slice(0, limit)
    .map(String);
}

interface TaskWrites {
  task_id: string;
  /** A tuple does not tell the path of a task: one that sorts as the tuple does. */
  task_path: string;
  writes: PendingWrite[];
}

/** Writes as they can be put again: those of a task together; each special one, which has a place of its own, alone. */
export function writesByTask(pending: readonly CheckpointPendingWrite[]): TaskWrites[] {
  const tasks = new Map<string, PendingWrite[]>();
  const special: TaskWrites[] = [];
  for (const [task_id, channel, value] of pending) {
    const write: PendingWrite = [channel, value];
    if (Object.hasOwn(WRITES_IDX_MAP, channel)) special.push({ task_id, task_path: '', writes: [write] });
    else tasks.set(task_id, [...(tasks.get(task_id) ?? []), write]);
  }
  const ids = [...tasks.keys()];
  const isSorted = ids.every((id, at) => at === 0 || (ids[at - 1] ?? '') < id);
  const pathOf = (at: number) => (isSorted ? '' : String(at).padStart(6, '0'));
  return [...special, ...[...tasks].map(([task_id, writes], at) => ({ task_id, task_path: pathOf(at), writes }))];
}
