import type { Assistant } from '../../core/assistant.ts';
import type { Caller } from '../../core/caller.ts';
import { NotFoundError } from '../../core/errors.ts';
import { isUuid, uuidv7 } from '../../core/ids.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import type { Run, StreamMode } from '../../core/run.ts';
import type { Interrupt, Thread } from '../../core/thread.ts';
import type { GraphRegistry } from '../../engine/graphs/registry.ts';
import type { AssistantService } from '../assistants/service.ts';
import { runCreate } from '../runs/schemas.ts';
import type { RunService } from '../runs/service.ts';
import type { ThreadService } from '../threads/service.ts';
import { answerOf, contentOf, historyOf, inputOf, questionParts, resultParts } from './parts.ts';
import { RpcError } from './rpc-error.ts';
import type { IncomingMessage, Message, Part, Task, TaskParams, TaskState, TaskStatus, TaskUpdate } from './schemas.ts';

/** Which task a run works on, when it is not the task's first. In the run's metadata. */
const TASK_KEY = 'a2a_task_id';
/** How many runs of a context are looked at to find a task's latest. */
const MAX_RUNS = 1000;

/** A task and the run that works on it now. */
interface Work {
  taskId: string;
  run: Run;
}

/**
 * Agents of the Agent2Agent protocol. An agent is an assistant, a context a thread, a task one run of it, together with
 * those that answered what it asked. A task's id is `thread:run`, so that it can be found without its context.
 */
export class AgentTasks {
  readonly #assistants: AssistantService;
  readonly #runs: RunService;
  readonly #threads: ThreadService;
  readonly #graphs: GraphRegistry;

  constructor(parts: {
    assistants: AssistantService;
    runs: RunService;
    threads: ThreadService;
    graphs: GraphRegistry;
  }) {
    this.#assistants = parts.assistants;
    this.#runs = parts.runs;
    this.#threads = parts.threads;
    this.#graphs = parts.graphs;
  }

  /** The assistant, with what langgraph.json says of its graph. Throws NotFoundError. */
  async agent(
    caller: Caller,
    assistantId: string,
  ): Promise<Pick<Assistant, 'assistant_id' | 'name' | 'version'> & { description: string }> {
    const assistant = await this.#assistants.get(caller, assistantId);
    const { description } = assistant;
    return { ...assistant, description: description ?? this.#graphs.source(assistant.graph_id).description ?? '' };
  }

  /** Throws NotFoundError unless the caller may have the assistant run. */
  async check(caller: Caller, assistantId: string): Promise<void> {
    await this.#assistants.toRun(caller, assistantId);
  }

  /** Begins a task, or answers what one asks. */
  async begin(caller: Caller, { assistantId, message, metadata = {}, modes }: BeginRequest): Promise<Work> {
    const { assistant_id, graph_id, config } = await this.#assistants.toRun(caller, assistantId);
    const { taskId } = message;
    if (taskId !== undefined) return this.#answer(caller, taskId, { assistant_id, message, metadata, modes });
    if (message.parts.some(({ kind }) => kind === 'text')) {
      const { input_schema } = await this.#graphs.schemas(graph_id, { configurable: config.configurable ?? {} });
      const fields = input_schema['properties'];
      if (typeof fields === 'object' && fields !== null && !('messages' in fields)) {
        throw new RpcError('invalid_params', `Graph "${graph_id}" takes no messages: send its input as a data part`);
      }
    }
    const run = await this.#runs.create(
      caller,
      message.contextId ?? uuidv7(),
      runCreate.parse({ assistant_id, input: inputOf(message), metadata, stream_mode: modes, if_not_exists: 'create' }),
    );
    return { run, taskId: `${run.thread_id}:${run.run_id}` };
  }

  /** The task as it stands. */
  async get(caller: Caller, params: TaskParams): Promise<Task> {
    return this.describe(caller, await this.#find(caller, params), params.historyLength);
  }

  /** Stops a task that has not ended. */
  async cancel(caller: Caller, params: TaskParams, signal: AbortSignal): Promise<Task> {
    const work = await this.#find(caller, params);
    if (work.run.status !== 'pending' && work.run.status !== 'running') {
      throw new RpcError('task_not_cancelable', `Task ${work.taskId} is not at work: it cannot be stopped`);
    }
    await this.#runs.cancel(caller, work.run, 'interrupt');
    await this.#runs.ended(work.run.run_id, signal);
    return this.get(caller, params);
  }

  /** Waits until nothing more happens without the caller. */
  async rest(caller: Caller, { run, taskId }: Work, { signal, historyLength }: RestOptions): Promise<Task> {
    await this.#runs.ended(run.run_id, signal);
    return this.get(caller, { id: taskId, contextId: run.thread_id, historyLength });
  }

  async describe(caller: Caller, { taskId, run }: Work, historyLength = 0): Promise<Task> {
    const place = { contextId: run.thread_id, taskId };
    const thread = await this.#threads.get(caller, run.thread_id);
    const [latest] = await this.#runs.list(caller, run.thread_id, { limit: 1, offset: 0 });
    // A later task of the context has moved its state on.
    const isCurrent = latest?.run_id === run.run_id;
    const questions = isCurrent ? questionsOf(thread) : [];
    const state = stateOf(run, questions);
    const failure = state === 'failed' && isCurrent ? [errorPart(thread.error)] : [];
    const said = questions.length > 0 ? questionParts(questions) : failure;
    const message: Message = {
      kind: 'message',
      role: 'agent',
      messageId: `${run.run_id}:status`,
      parts: said,
      ...place,
    };
    return {
      kind: 'task',
      id: taskId,
      contextId: run.thread_id,
      status: { state, timestamp: run.updated_at, ...(said.length > 0 && { message }) },
      ...(state === 'completed' &&
        isCurrent && { artifacts: [{ artifactId: run.run_id, parts: resultParts(thread.values) }] }),
      ...(historyLength > 0 && { history: historyOf(thread.values, place, historyLength) }),
    };
  }

  /** The task, what it says as it says it, what it came to, and how it ended. */
  async *follow(caller: Caller, work: Work, signal: AbortSignal): AsyncGenerator<Task | TaskUpdate> {
    const { run, taskId } = work;
    const place = { taskId, contextId: run.thread_id };
    const update = (status: TaskStatus, final: boolean): TaskUpdate => ({
      kind: 'status-update',
      ...place,
      status,
      final,
    });
    yield { ...(await this.describe(caller, work)), status: { state: 'submitted', timestamp: run.created_at } };
    let said = 0;
    for await (const { event, data, at } of this.#runs.events(run.run_id, { afterSeq: -1, signal })) {
      const text = event === 'messages' ? saidIn(data) : '';
      const isFirst = said === 0 && event === 'metadata';
      if (text === '' && !isFirst) continue;
      const timestamp = new Date(at).toISOString();
      const messageId = `${run.run_id}:${said++}`;
      const message: Message = { kind: 'message', role: 'agent', messageId, parts: [{ kind: 'text', text }], ...place };
      yield update({ state: 'working', timestamp, ...(text !== '' && { message }) }, false);
    }
    if (signal.aborted) return;
    const { status, artifacts = [] } = await this.get(caller, { id: taskId, contextId: undefined, historyLength: 0 });
    for (const artifact of artifacts) yield { kind: 'artifact-update', ...place, artifact, lastChunk: true };
    yield update(status, true);
  }

  async #answer(caller: Caller, id: string, { assistant_id, message, metadata, modes }: Answer): Promise<Work> {
    const { taskId, run } = await this.#find(caller, { id, contextId: message.contextId, historyLength: 0 });
    const thread = await this.#threads.get(caller, run.thread_id);
    const questions = questionsOf(thread);
    if (questions.length === 0)
      throw new RpcError('unsupported_operation', `Task ${taskId} asks nothing: begin a new one`);
    const answering = await this.#runs.create(
      caller,
      run.thread_id,
      runCreate.parse({
        assistant_id,
        command: { resume: answerOf(message, questions) },
        metadata: { ...metadata, [TASK_KEY]: taskId },
        stream_mode: modes,
        // Of two who answer at the same time one is told that he was late.
        multitask_strategy: 'reject',
      }),
    );
    return { taskId, run: answering };
  }

  /** By `thread:run`, or by the run's id with its context. Throws RpcError. */
  async #find(caller: Caller, { id, contextId }: TaskParams): Promise<Work> {
    const missing = new RpcError('task_not_found', `There is no task ${id}`);
    const [before = '', after] = id.toLowerCase().split(':');
    const [threadId, runId] = after === undefined ? [contextId, before] : [before, after];
    if (threadId === undefined || !isUuid(threadId) || !isUuid(runId) || (contextId ?? threadId) !== threadId)
      throw missing;
    const taskId = `${threadId}:${runId}`;
    try {
      // The first run is asked for by itself: of all others it may be far away.
      const first = await this.#runs.get(caller, threadId, runId);
      const runs = await this.#runs.list(caller, threadId, { limit: MAX_RUNS, offset: 0 });
      return { taskId, run: runs.find(({ metadata }) => metadata[TASK_KEY] === taskId) ?? first };
    } catch (error) {
      if (error instanceof NotFoundError) throw missing;
      throw error;
    }
  }
}

export interface BeginRequest {
  assistantId: string;
  message: IncomingMessage;
  metadata?: JsonObject | undefined;
  modes: StreamMode[];
}
type Answer = Omit<BeginRequest, 'assistantId' | 'metadata'> & { assistant_id: string; metadata: JsonObject };

interface RestOptions {
  signal: AbortSignal;
  historyLength: number | undefined;
}

function questionsOf(thread: Thread): Interrupt[] {
  return thread.status === 'interrupted' ? Object.values(thread.interrupts).flat() : [];
}

function stateOf({ status }: Run, questions: readonly Interrupt[]): TaskState {
  switch (status) {
    case 'pending':
      return 'submitted';
    case 'running':
      return 'working';
    case 'success':
      return questions.length > 0 ? 'input-required' : 'completed';
    case 'interrupted':
      return 'canceled';
    case 'error':
    case 'timeout':
      return 'failed';
  }
}

function errorPart(error: Json): Part {
  const { error: name = 'Error', message = '' } = (error ?? {}) as { error?: string; message?: string };
  return { kind: 'text', text: `${name}: ${message}` };
}

/** What a model says in one event of the `messages` mode; nothing when a person or a tool speaks. */
function saidIn(data: string): string {
  const [message] = JSON.parse(data) as [{ type: string; content: Json }];
  return /^AIMessage|^ai$/.test(message.type) ? contentOf(message) : '';
}
