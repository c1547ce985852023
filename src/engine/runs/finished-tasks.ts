import type { CheckpointTuple } from '@langchain/langgraph-checkpoint';

/** Writes that say what became of a task; any other is its output, and it writes that at its end. */
const CONTROL_WRITES = new Set(['__error__', '__error_source_node__', '__interrupt__', '__resume__']);

/** The tasks of the step after a checkpoint that have ended. */
export function finishedTasks(saved: Pick<CheckpointTuple, 'pendingWrites'> | undefined): string[] {
  const outputs = (saved?.pendingWrites ?? []).filter(([, channel]) => !CONTROL_WRITES.has(channel));
  return outputs.map(([taskId]) => taskId);
}
