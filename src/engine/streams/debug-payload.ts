import type { RunnableConfig } from '@langchain/core/runnables';
import type { Json, JsonObject } from '../../core/json.ts';
import { toCheckpoint } from '../threads/snapshot.ts';
import { toWire } from '../wire.ts';

interface DebugTask {
  /** Where the subgraph that it runs keeps its state. */
  state?: unknown;
}

interface DebugCheckpoint {
  config: RunnableConfig;
  parentConfig?: RunnableConfig;
  tasks: readonly DebugTask[];
}

/** What the modes that look into LangGraph's loop show, in the wire's form: a checkpoint says which one it is, as a state does. */
export function toDebugPayload(mode: 'checkpoints' | 'tasks' | 'debug', payload: unknown): Json {
  if (mode === 'checkpoints') return checkpoint(payload as DebugCheckpoint);
  if (mode === 'tasks') return task(payload as DebugTask);
  const { type, payload: inner, ...rest } = payload as { type: string; payload: DebugCheckpoint & DebugTask };
  return { ...(toWire(rest) as JsonObject), type, payload: type === 'checkpoint' ? checkpoint(inner) : task(inner) };
}

function checkpoint({ config, parentConfig, tasks, ...rest }: DebugCheckpoint): Json {
  return {
    ...(toWire(rest) as JsonObject),
    config: shown(config),
    ...(parentConfig && { parent_config: shown(parentConfig) }),
    checkpoint: toCheckpoint(config),
    parent_checkpoint: toCheckpoint(parentConfig),
    tasks: tasks.map(task),
  };
}

function task({ state, ...rest }: DebugTask): Json {
  const shownTask = toWire(rest) as JsonObject;
  const place = isConfig(state) ? toCheckpoint(state) : null;
  if (place !== null) return { ...shownTask, checkpoint: place };
  return state === undefined ? shownTask : { ...shownTask, state: toWire(state) };
}

/** Without the handlers that watch the run, and their name for it. */
function shown(config: RunnableConfig): Json {
  const { callbacks: _callbacks, run_name: _name, ...rest } = config as RunnableConfig & { run_name?: string };
  return toWire(rest);
}

function isConfig(state: unknown): state is RunnableConfig {
  return typeof state === 'object' && state !== null && 'configurable' in state;
}
