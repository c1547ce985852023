import { uuidv7 } from '../src/core/ids.ts';
import type { MultitaskStrategy, Run, RunKwargs } from '../src/core/run.ts';
import type { Runs } from '../src/database/runs.ts';

export interface WantedRun {
  threadId?: string;
  graphId?: string;
  assistantId?: string;
  strategy?: MultitaskStrategy;
  delayMs?: number;
  ifThreadMissing?: 'create' | 'reject';
  kwargs?: Partial<RunKwargs>;
}

/** Puts a run into the queue, on a thread and for a graph of its own if none is named. */
export function enqueueRun(
  runs: Runs,
  {
    threadId = uuidv7(),
    graphId = uuidv7(),
    assistantId = uuidv7(),
    strategy = 'enqueue',
    delayMs = 0,
    ifThreadMissing = 'create',
    kwargs = {},
  }: WantedRun = {},
): Promise<Run> {
  return runs.enqueue({
    run: {
      run_id: uuidv7(),
      thread_id: threadId,
      assistant_id: assistantId,
      graph_id: graphId,
      kwargs: {
        config: {},
        context: {},
        stream_mode: ['values'],
        stream_subgraphs: false,
        durability: 'sync',
        temporary_thread: false,
        ...kwargs,
      },
      metadata: {},
      multitask_strategy: strategy,
    },
    ifThreadMissing,
    delayMs,
    threadMetadata: { graph_id: graphId },
    threadConfig: {},
    newThreadMetadata: {},
    user: null,
    stateStores: [''],
  });
}
