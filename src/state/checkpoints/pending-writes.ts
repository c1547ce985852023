import {
  type CheckpointPendingWrite,
  compareWritesSortKeys,
  ERROR,
  INTERRUPT,
  type PendingWrite,
  RESUME,
  WRITES_IDX_MAP,
} from '@langchain/langgraph-checkpoint';
import { revive } from '../codec/revive.ts';
import type { Ref } from '../values/cut-values.ts';

/** Under this id core stores what belongs to no task: commands and graph input (`NULL_TASK_ID` of langgraph's constants). */
export const NULL_TASK_ID = '00000000-0000-0000-0000-000000000000';

/** Written by a failed task whose node has a handler of errors: it is done (langgraph's constants). */
const ERROR_SOURCE_NODE = '__error_source_node__';

/** One stored write with its place. */
export interface TaskWrite {
  task_id: string;
  task_path: string;
  idx: number;
  channel: string;
  /** The parsed value, not yet revived; of a big one what stands in the row, until it is loaded. */
  json: unknown;
  /** What completes a big value. */
  ref: Ref | undefined;
  /** Nothing in `json` needs reviving. */
  plain: boolean;
}

/**
 * What is to be stored of what a task wrote: of one that failed only that. LangGraph hands over what a node had written
 * before its conditional edge failed, too (`_commit` of pregel/runner.js), and would take the task for done when the run
 * goes on (`_reapplyWritesToSucceededNodes` of pregel/loop.js): what comes after it would never be executed.
 */
export function lastingWrites(writes: PendingWrite[]): PendingWrite[] {
  const channels = new Set(writes.map(([channel]) => channel));
  if (!channels.has(ERROR) || channels.has(ERROR_SOURCE_NODE)) return writes;
  return writes.filter(([channel]) => Object.hasOwn(WRITES_IDX_MAP, channel));
}

/**
 * Of all writes stored after a checkpoint, in the order in which they were stored, those that count: of an ordinary
 * write the first (a repeated task changes nothing), of a special one (idx < 0) the last.
 */
export function standingWrites(stored: readonly TaskWrite[]): TaskWrite[] {
  const standing = new Map<string, TaskWrite>();
  for (const write of stored) {
    const key = `${write.task_id}\0${write.idx}`;
    if (write.idx >= 0 && standing.has(key)) continue;
    standing.delete(key); // so that the map's order stays that of storing
    standing.set(key, write);
  }
  return [...standing.values()];
}

/** Standing writes as LangGraph takes them, sorted as live execution applies them. */
export function pendingWrites(standing: TaskWrite[]): CheckpointPendingWrite[] {
  return withoutUsedResume(standing)
    .sort((a, b) => compareWritesSortKeys([a.task_path, a.task_id, a.idx], [b.task_path, b.task_id, b.idx]))
    .map(({ task_id, channel, json, plain }) => [task_id, channel, plain ? json : revive(json)]);
}

/**
 * Takes back the answer of `Command({ resume })` once a task has used it.
 *
 * Core stores the answer for no task in particular and never removes it; a task that uses it stores a list of the answers
 * it got. When the process dies after that and the run is retried, the next interrupt() of the same node would be given
 * the old answer again (`nullResume` of `_scratchpad` in pregel/algo.js). So an answer older than the writes of a task
 * that used it is not handed out again, except to tasks that still wait with the question it answers.
 */
function withoutUsedResume(writes: TaskWrite[]): TaskWrite[] {
  const at = writes.findIndex(({ task_id, channel }) => task_id === NULL_TASK_ID && channel === RESUME);
  const answer = writes[at];
  if (answer === undefined) return writes;
  const later = writes.slice(at + 1).filter(({ task_id }) => task_id !== NULL_TASK_ID);
  const used = later.some(
    (write) => write.channel === INTERRUPT || (write.channel === RESUME && holds(write.json, answer.json)),
  );
  if (!used) return writes;
  const moved = new Set(later.map(({ task_id }) => task_id));
  const waiting = writes.slice(0, at).filter(({ task_id, channel }) => channel === INTERRUPT && !moved.has(task_id));
  const answers = waiting.map((question) => answered(question, answer, writes));
  const replaced = new Set(answers.map(({ task_id }) => task_id));
  return [
    ...writes.filter((write) => write !== answer && !(write.channel === RESUME && replaced.has(write.task_id))),
    ...answers,
  ];
}

/** The answer as if it had been given to this one task, after those it has. */
function answered({ task_id, task_path }: TaskWrite, answer: TaskWrite, writes: TaskWrite[]): TaskWrite {
  const before = writes.find((write) => write.task_id === task_id && write.channel === RESUME)?.json;
  const json = [...(Array.isArray(before) ? before : []), structuredClone(answer.json)];
  return { task_id, task_path, idx: answer.idx, channel: RESUME, json, ref: undefined, plain: false };
}

function holds(answers: unknown, answer: unknown): boolean {
  const text = JSON.stringify(answer);
  return Array.isArray(answers) && answers.some((item) => JSON.stringify(item) === text);
}
