import type { RunnableConfig } from '@langchain/core/runnables';
import type { StateSnapshot } from '@langchain/langgraph';
import { parkingIn } from '../../core/effect.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import type { Interrupt, Interrupts } from '../../core/thread.ts';
import { toWire } from '../wire.ts';

interface TaskState {
  id: string;
  name: string;
  path: Json;
  error: string | null;
  interrupts: Interrupt[];
  /** Where the subgraph that this task runs keeps its state. */
  checkpoint: Json;
  /** The subgraph's state, when it was asked for. */
  state: ThreadState | null;
  /** What it wrote; null while it has not. */
  result: Json;
}

/** The state of a thread at one checkpoint. Field names are the wire's. */
export interface ThreadState {
  values: Json;
  next: string[];
  tasks: TaskState[];
  metadata: JsonObject;
  created_at: string | null;
  checkpoint: Json;
  parent_checkpoint: Json;
  interrupts: Interrupt[];
}

/** The state of a thread that has none yet. */
export const EMPTY_STATE: ThreadState = {
  values: {},
  next: [],
  tasks: [],
  metadata: {},
  created_at: null,
  checkpoint: null,
  parent_checkpoint: null,
  interrupts: [],
};

export function toThreadState(snapshot: StateSnapshot): ThreadState {
  return {
    values: toWire(snapshot.values),
    next: [...snapshot.next],
    tasks: snapshot.tasks.map(toTaskState),
    metadata: toWire(snapshot.metadata ?? {}) as JsonObject,
    created_at: snapshot.createdAt ?? null,
    checkpoint: snapshot.createdAt === undefined ? null : toCheckpoint(snapshot.config),
    parent_checkpoint: toCheckpoint(snapshot.parentConfig),
    interrupts: snapshot.tasks.flatMap((task) => toInterrupts(task.interrupts)),
  };
}

/** The state with a question that none of its tasks asks, where clients look for questions. */
export function withQuestion(state: ThreadState, question: Interrupt): ThreadState {
  const others = state.tasks.slice(0, -1);
  const last = state.tasks.slice(-1);
  return {
    ...state,
    interrupts: [...state.interrupts, question],
    tasks: others.concat(last.map((task) => Object.assign({}, task, { interrupts: [...task.interrupts, question] }))),
  };
}

/** The questions of the tasks that have any. */
export function interruptsOf(tasks: StateSnapshot['tasks']): Interrupts {
  const questions = tasks.map((task): [string, Interrupt[]] => [task.id, toInterrupts(task.interrupts)]);
  return Object.fromEntries(questions.filter(([, asked]) => asked.length > 0));
}

/** The part of a configuration that says which checkpoint it is; null when it says none. */
export function toCheckpoint(config: RunnableConfig | undefined): Json {
  const { thread_id, checkpoint_id, checkpoint_ns, checkpoint_map } = config?.configurable ?? {};
  if (thread_id === undefined) return null;
  return toWire({
    thread_id,
    checkpoint_id: checkpoint_id ?? null,
    checkpoint_ns: checkpoint_ns ?? '',
    checkpoint_map: checkpoint_map ?? null,
  });
}

function toTaskState(task: StateSnapshot['tasks'][number]): TaskState {
  const { state } = task;
  return {
    id: task.id,
    name: task.name,
    path: toWire(task.path),
    error: errorText(task.error),
    interrupts: toInterrupts(task.interrupts),
    checkpoint: state && !('values' in state) ? toCheckpoint(state) : null,
    state: state && 'values' in state ? toThreadState(state) : null,
    result: toWire(task.result),
  };
}

/** A task that waits for its time asks nobody. */
function toInterrupts(interrupts: StateSnapshot['tasks'][number]['interrupts']): Interrupt[] {
  return interrupts.flatMap(({ id, value }) =>
    parkingIn(value) === null ? [{ ...(id !== undefined && { id }), value: toWire(value) }] : [],
  );
}

function errorText(error: unknown): string | null {
  if (error === undefined || error === null) return null;
  const shown = toWire(error);
  if (typeof shown === 'string') return shown;
  const message = typeof shown === 'object' && shown !== null && 'message' in shown ? shown['message'] : undefined;
  return typeof message === 'string' ? message : JSON.stringify(shown);
}
