import type { RunConfig } from './assistant.ts';
import type { Budget } from './budget.ts';
import type { Parking } from './effect.ts';
import type { Json, JsonObject } from './json.ts';

export const RUN_STATUSES = ['pending', 'running', 'success', 'error', 'timeout', 'interrupted'] as const;
export type RunStatus = (typeof RUN_STATUSES)[number];

export const MULTITASK_STRATEGIES = ['reject', 'enqueue', 'interrupt', 'rollback'] as const;
export type MultitaskStrategy = (typeof MULTITASK_STRATEGIES)[number];

export const STREAM_MODES = [
  'values',
  'updates',
  'messages',
  'messages-tuple',
  'events',
  'debug',
  'tasks',
  'checkpoints',
  'custom',
  'tools',
] as const;
export type StreamMode = (typeof STREAM_MODES)[number];

/**
 * How much of a run's work may be unsaved: none; some, without a promise how much (LangGraph's own, in the background); as
 * much as a limit is worth; everything until the end.
 */
export const DURABILITIES = ['sync', 'async', 'auto', 'exit'] as const;
export type Durability = (typeof DURABILITIES)[number];

/** The place in a thread's history from which a run starts. */
export interface CheckpointRef {
  checkpoint_id?: string;
  checkpoint_ns?: string;
  checkpoint_map?: JsonObject;
}

/** A node to go to with an input of its own. */
export interface SendCommand {
  node: string;
  input: Json;
}

/** LangGraph's Command as it travels in JSON. `resume: null` is an answer; an absent `resume` is none. */
export interface CommandJson {
  update?: Json;
  resume?: Json;
  goto?: string | SendCommand | (string | SendCommand)[];
}

/** All that a run needs to be executed, on any worker, at any time. Field names are the wire's. */
export interface RunKwargs {
  input?: Json;
  command?: CommandJson;
  config: RunConfig;
  context: JsonObject;
  checkpoint?: CheckpointRef;
  stream_mode: StreamMode[];
  stream_subgraphs: boolean;
  interrupt_before?: '*' | string[];
  interrupt_after?: '*' | string[];
  /** Asked for and not used: Baton has no connection to LangSmith. */
  feedback_keys?: string[];
  durability: Durability;
  /** What the run may spend; without it, anything. */
  budget?: Budget;
  /** The command's answer is to the question of a spent budget, not to the graph. */
  answers_budget?: true;
  /** Who is to be told of the run's end: an address, or a path of the project's own app. */
  webhook?: string;
  /** The run was asked for in the protocol of threads: its log has what that protocol shows, and no stream modes of choice. */
  protocol?: 'v2';
  /** The thread was made for this run only and goes with it, unless the caller asked to keep it. */
  temporary_thread: boolean;
}

export interface Run {
  run_id: string;
  thread_id: string;
  assistant_id: string;
  created_at: string;
  updated_at: string;
  status: RunStatus;
  metadata: JsonObject;
  kwargs: RunKwargs;
  multitask_strategy: MultitaskStrategy;
  /** What it waits for that has given up its worker, and until when (null: until an event comes). */
  waits_for?: { until: string | null; tasks: Parking[] };
}

/** How a run is stopped from outside: keep what it did, stop at the next step boundary, or undo it. */
export type CancelAction = 'interrupt' | 'pause' | 'rollback';

/** A failure as it is kept and shown. A node's failure is data, not an exception of the server. */
export interface RunError {
  error: string;
  message: string;
}
