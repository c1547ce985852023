import { getConfig } from '@langchain/langgraph';

/** Which execution a node belongs to. All of it but `attempt` stays the same when a run is taken up again after a crash. */
export interface CurrentRun {
  thread_id: string | null;
  run_id: string | null;
  assistant_id: string | null;
  graph_id: string | null;
  /** 1 at the first execution, one more each time that a worker was lost, or was given up while the run waited. */
  attempt: number;
}

/** Inside a node: the run that executes it. Outside of a Baton server every id is null and `attempt` is 1. */
export function currentRun(): CurrentRun {
  const { configurable = {}, metadata = {} } = getConfig() ?? {};
  const id = (name: string): string | null => {
    const value: unknown = configurable[name];
    return typeof value === 'string' ? value : null;
  };
  return {
    thread_id: id('thread_id'),
    run_id: id('run_id'),
    assistant_id: id('assistant_id'),
    graph_id: id('graph_id'),
    attempt: typeof metadata['run_attempt'] === 'number' ? metadata['run_attempt'] : 1,
  };
}
