import type { Guarded } from '../../core/access.ts';
import { asSeenBy, type Caller } from '../../core/caller.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import type { CommandJson, StreamMode } from '../../core/run.ts';
import type { Thread } from '../../core/thread.ts';
import type { Threads } from '../../database/threads.ts';
import type { AgentNode } from '../../engine/protocol/run-translation.ts';
import type { ThreadEvents } from '../../engine/protocol/thread-events.ts';
import type { ThreadState } from '../../engine/threads/snapshot.ts';
import type { ThreadStates } from '../../engine/threads/thread-state.ts';
import type { RunCreate } from '../runs/schemas.ts';
import type { RunService } from '../runs/service.ts';
import { Refusal } from './refusal.ts';
import type { ListCheckpoints, Respond, RunStart, StateFork, StateGet } from './schemas.ts';

export interface ProtocolServiceParts {
  threads: Guarded<Threads>;
  runs: RunService;
  states: ThreadStates;
  events: Guarded<ThreadEvents>;
}

const STREAM_MODES: StreamMode[] = ['values', 'updates', 'messages', 'tools', 'custom', 'tasks'];

/** A run as the protocol starts it. */
function nativeRun(request: Partial<RunCreate> & Pick<RunCreate, 'assistant_id'>): RunCreate {
  return { ...request, protocol: 'v2', stream_mode: STREAM_MODES, stream_subgraphs: true } as RunCreate;
}

/** What the commands of the protocol of threads do. They throw {@link Refusal} and what the services under them throw. */
export class ProtocolService {
  readonly #parts: ProtocolServiceParts;
  constructor(parts: ProtocolServiceParts) {
    this.#parts = parts;
  }

  /** The events of a thread, as far as the caller may see them. */
  async events(caller: Caller, threadId: string): Promise<ThreadEvents> {
    return this.#parts.events.within(await caller.may('threads:read', { thread_id: threadId }));
  }

  /**
   * Starts a run, on a new thread if there is none. While the thread waits for an answer, the input is the answer, unless
   * it is for another place in the thread's history.
   */
  async start(caller: Caller, threadId: string, request: RunStart & { command?: CommandJson }): Promise<JsonObject> {
    const { input, command, multitask_strategy, multitaskStrategy, langsmith_tracer: _tracer, ...rest } = request;
    const hasPlace = typeof rest.config?.configurable?.['checkpoint_id'] === 'string';
    const isAnswer =
      !command && !hasPlace && input !== undefined && input !== null && (await this.#asks(caller, threadId));
    const what = command ? { command } : isAnswer ? { command: { resume: input } } : { input: input ?? null };
    const run = await this.#parts.runs.create(
      caller,
      threadId,
      nativeRun({
        ...rest,
        ...what,
        multitask_strategy: multitask_strategy ?? multitaskStrategy,
        if_not_exists: 'create',
      }),
    );
    return { run_id: run.run_id };
  }

  /** Answers questions of the thread by name, all in one run. */
  async respond(caller: Caller, threadId: string, request: Respond): Promise<JsonObject> {
    const { responses, update, goto, config, metadata } = request;
    const thread = await this.#thread(caller, threadId);
    const assistantId = assistantOf(thread);
    if (thread.status !== 'interrupted') {
      throw new Refusal('invalid_argument', `Thread ${threadId} is ${thread.status} and waits for no answer`);
    }
    const waiting = new Set(questionsOf(thread));
    const stranger = responses.find(({ interrupt_id }) => !waiting.has(interrupt_id));
    if (stranger) {
      throw new Refusal('no_such_interrupt', `Nobody waits for an answer to ${stranger.interrupt_id}: see state.get`);
    }
    const resume = Object.fromEntries(responses.map(({ interrupt_id, response }) => [interrupt_id, response ?? null]));
    const run = await this.#parts.runs.create(
      caller,
      threadId,
      nativeRun({
        assistant_id: assistantId,
        command: {
          resume,
          ...(update && { update: update as Json }),
          ...(goto !== undefined && goto !== null && { goto }),
        },
        config,
        metadata,
        // Of two who answer at the same time one is told that he was late.
        multitask_strategy: 'reject',
      }),
    );
    return { run_id: run.run_id };
  }

  /** The state of the thread, or of one of its subgraphs. */
  async state(caller: Caller, threadId: string, { namespace = [], keys }: StateGet): Promise<JsonObject> {
    const thread = await this.#thread(caller, threadId);
    const { values, checkpoint } = await this.#stateAt(thread, namespace);
    const wanted = keys && isObject(values) ? pickKeys(values, keys) : values;
    const { checkpoint_id, checkpoint_ns } = isObject(checkpoint) ? checkpoint : {};
    if (typeof checkpoint_id !== 'string') return { values: wanted };
    return { values: wanted, checkpoint: { id: checkpoint_id, ns: checkpoint_ns ?? '' } };
  }

  /** Newest first. */
  async checkpoints(caller: Caller, threadId: string, request: ListCheckpoints): Promise<JsonObject> {
    const { namespace = [], limit = 10, before } = request;
    const thread = await this.#thread(caller, threadId);
    const place = namespace.length > 0 ? { checkpoint: { checkpoint_ns: namespace.join('|') } } : {};
    const states = await inNamespace(namespace, () => this.#parts.states.history(thread, { limit, before, ...place }));
    return { checkpoints: states.map(toSummary) };
  }

  /** Starts a run from a place in the thread's history. */
  async fork(caller: Caller, threadId: string, { checkpoint_id, input, ...rest }: StateFork): Promise<JsonObject> {
    const thread = await this.#thread(caller, threadId);
    const run = await this.#parts.runs.create(
      caller,
      threadId,
      nativeRun({ ...rest, assistant_id: assistantOf(thread), checkpoint_id, input: input ?? null }),
    );
    return { run_id: run.run_id, thread_id: run.thread_id };
  }

  /** The graph of a run with its subgraphs, as far as they have begun; of the latest run when it is not named. */
  async tree(caller: Caller, threadId: string, runId: string | undefined): Promise<JsonObject> {
    const agents = await (await this.events(caller, threadId)).agents(threadId, runId);
    const [root] = agents ?? [];
    if (!agents || !root) throw new Refusal('no_such_run', `No such run has begun on thread ${threadId}`);
    return { tree: toTree(root, agents) };
  }

  async #asks(caller: Caller, threadId: string): Promise<boolean> {
    const thread = await this.#find(caller, threadId);
    return thread?.status === 'interrupted' && questionsOf(thread).length > 0;
  }

  async #thread(caller: Caller, threadId: string): Promise<Thread> {
    const thread = await this.#find(caller, threadId);
    if (!thread) throw new Refusal('no_such_run', `Thread ${threadId} does not exist: run.start creates it`);
    return asSeenBy(caller, thread);
  }

  async #find(caller: Caller, threadId: string): Promise<Thread | null> {
    const access = await caller.may('threads:read', { thread_id: threadId });
    return this.#parts.threads.within(access).get(threadId);
  }

  async #stateAt(thread: Thread, namespace: string[]): Promise<ThreadState> {
    if (namespace.length === 0) return this.#parts.states.get(thread);
    const place = { checkpoint: { checkpoint_ns: namespace.join('|') } };
    const state = await inNamespace(namespace, () => this.#parts.states.get(thread, place));
    if (state.checkpoint === null) throw noSuchNamespace(namespace);
    return state;
  }
}

function assistantOf(thread: Thread): string {
  const assistantId = thread.metadata['assistant_id'];
  if (typeof assistantId === 'string') return assistantId;
  throw new Refusal('no_such_run', `Nothing has run on thread ${thread.thread_id} yet: begin with run.start`);
}

/** The ids of what the thread waits for. */
function questionsOf(thread: Thread): string[] {
  return Object.values(thread.interrupts).flatMap((questions) => questions.flatMap(({ id }) => id ?? []));
}

/** What LangGraph throws for a subgraph that the graph does not have is about the namespace. */
async function inNamespace<T>(namespace: string[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (namespace.length > 0 && error instanceof Error && error.message.startsWith('Subgraph ')) {
      throw noSuchNamespace(namespace);
    }
    throw error;
  }
}

function noSuchNamespace(namespace: string[]): Refusal {
  return new Refusal('no_such_namespace', `The graph keeps no state at ${JSON.stringify(namespace)}`);
}

function toSummary({ checkpoint, created_at, metadata }: ThreadState): JsonObject {
  const id = isObject(checkpoint) ? (checkpoint['checkpoint_id'] ?? null) : null;
  return { id, timestamp: created_at, step: metadata['step'] ?? null, metadata };
}

function toTree(agent: AgentNode, all: readonly AgentNode[]): JsonObject {
  const { namespace } = agent;
  const children = all.filter(
    (other) =>
      other.namespace.length === namespace.length + 1 && namespace.every((part, i) => other.namespace[i] === part),
  );
  return { ...agent, ...(children.length > 0 && { children: children.map((child) => toTree(child, all)) }) };
}

function pickKeys(values: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(values).filter(([key]) => keys.includes(key)));
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
