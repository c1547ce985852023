import { Access, type Guarded } from '../../core/access.ts';
import type { Caller } from '../../core/caller.ts';
import { ConflictError, InvalidInputError, NotFoundError, UnsupportedFieldError } from '../../core/errors.ts';
import { uuidv7 } from '../../core/ids.ts';
import type { Json } from '../../core/json.ts';
import { END_EVENT, type RunEvent } from '../../core/run-event.ts';
import type { CheckpointRef, Durability, Run, RunKwargs, RunStatus, StreamMode } from '../../core/run.ts';
import type { Thread } from '../../core/thread.ts';
import type { EnqueueRequest, RunPlan, Runs } from '../../database/runs.ts';
import type { Threads } from '../../database/threads.ts';
import type { GraphRegistry } from '../../engine/graphs/registry.ts';
import type { StateStores } from '../../state/state-stores.ts';
import type { AssistantService } from '../assistants/service.ts';
import { checkpointRef } from '../checkpoint-ref.ts';
import { refuseUnsupported } from '../unsupported.ts';
import { withBudget } from './budget.ts';
import { refuseUnknownTargets, unusedParts } from './contradictions.ts';
import { withNamedNull } from './null-answer.ts';
import { checkpointOfConfig, mergeConfig } from './run-config.ts';
import type { CancelMany, Resume, RunCreate } from './schemas.ts';
import { watchToEnd, type RunFollower } from './watch.ts';

const UNSUPPORTED = {
  strict_resume: 'a resume that answers no question starts the next step as in LangGraph itself',
};

export interface RunServiceParts {
  assistants: AssistantService;
  threads: Guarded<Threads>;
  runs: Guarded<Runs>;
  streams: RunFollower;
  graphs: GraphRegistry;
  stores: Pick<StateStores, 'of' | 'namesFor'>;
  /** Throws InvalidInputError for a webhook that may not be asked for. */
  webhookPolicy: { check(url: string): void };
}

export class RunService {
  readonly #parts: RunServiceParts;
  constructor(parts: RunServiceParts) {
    this.#parts = parts;
  }

  /** Queues a run; without a thread on one made for it. Throws NotFoundError, BusyError, UnsupportedFieldError. */
  async create(caller: Caller, threadId: string | null, request: RunCreate): Promise<Run> {
    const { access, plan } = await this.plan(caller, threadId, request);
    return this.#parts.runs.within(access).enqueue(plan);
  }

  /** Queues runs without threads: all, or none when one of them cannot be. Errors as in {@link create}. */
  async createMany(caller: Caller, requests: readonly RunCreate[]): Promise<Run[]> {
    const plans: RunPlan[] = [];
    for (const request of requests) plans.push(await this.plan(caller, null, request));
    return Promise.all(plans.map(({ access, plan }) => this.#parts.runs.within(access).enqueue(plan)));
  }

  /** What a run was asked for and is not done, a sentence each. */
  unused(run: Pick<Run, 'kwargs' | 'metadata'>): Promise<string[]> {
    return unusedParts(run, this.#parts.graphs);
  }

  /** What {@link create} would queue, without doing it. Errors as there, but for BusyError. */
  async plan(caller: Caller, threadId: string | null, asked: RunCreate): Promise<RunPlan> {
    refuseUnsupported(asked, UNSUPPORTED);
    const { assistants, graphs, threads, stores } = this.#parts;
    const assistant = await assistants.toRun(caller, asked.assistant_id);
    const runId = uuidv7();
    const value = createdRun(asked, { run_id: runId, thread_id: threadId, assistant_id: assistant.assistant_id });
    const access = await caller.may('threads:create_run', value);
    const request = { ...value.kwargs, metadata: value.metadata };
    const thread = threadId === null ? null : await threads.within(access).get(threadId);
    const { durability, budget } = graphs.source(assistant.graph_id);
    if (threadId !== null && !thread && request.if_not_exists !== 'create') throw new NotFoundError('Thread', threadId);
    const checkpoint =
      checkpointRef(threadId, request.checkpoint, request.checkpoint_id) ?? checkpointOfConfig(request);
    await this.#checkCheckpoint(thread, checkpoint);
    this.#checkUndo(request.multitask_strategy, thread, assistant.graph_id);
    const config = mergeConfig({ assistant, thread, request, headers: caller.headers });
    if (request.webhook !== undefined) this.#parts.webhookPolicy.check(request.webhook);
    await refuseUnknownTargets(request, { graphs, graphId: assistant.graph_id, config: config.run });
    const asks = { command: request.command, config: config.run, checkpoint };
    const { command, ...limits } = withBudget(asks, thread, budget);
    const ids = { graph_id: assistant.graph_id, assistant_id: assistant.assistant_id };
    const plan: EnqueueRequest = {
      run: {
        run_id: runId,
        thread_id: threadId ?? uuidv7(),
        ...ids,
        metadata: {
          ...assistant.metadata,
          ...thread?.metadata,
          ...request.config?.metadata,
          ...request.metadata,
          ...ids,
        },
        kwargs: {
          ...kwargsOf(request, threadId === null),
          durability: durabilityOf(request, durability),
          ...limits,
          ...(command && { command: withNamedNull(command, thread, checkpoint !== undefined) }),
          config: config.run,
          context: { ...assistant.context, ...request.context },
          ...(checkpoint && { checkpoint }),
        },
        multitask_strategy: request.multitask_strategy ?? 'enqueue',
      },
      ifThreadMissing: threadId === null || request.if_not_exists === 'create' ? 'create' : 'reject',
      delayMs: (request.after_seconds ?? 0) * 1000,
      threadMetadata: ids,
      threadConfig: config.thread,
      newThreadMetadata: value.metadata,
      user: caller.user,
      stateStores: stores.namesFor(assistant.graph_id),
    };
    return { access, plan };
  }

  /** Lets a thread go on: with an answer, an update or another place to go to, else from where it stopped. */
  async resume(caller: Caller, threadId: string, request: Resume): Promise<Run> {
    const { resume, update, goto, stream: _stream, wait: _wait, assistant_id, ...options } = request;
    const thread = await this.#thread(caller, threadId);
    if (resume !== undefined) refuseIdleAnswer(thread, request);
    const assistantId = assistant_id ?? thread.metadata['assistant_id'];
    if (typeof assistantId !== 'string') {
      throw new InvalidInputError('body.assistant_id: is missing, and the thread has not been run by any yet');
    }
    const hasCommand = resume !== undefined || update !== undefined || (goto !== undefined && goto !== null);
    return this.create(caller, threadId, {
      ...options,
      multitask_strategy: options.multitask_strategy ?? 'reject',
      assistant_id: assistantId,
      input: null,
      command: hasCommand
        ? {
            ...(resume !== undefined && { resume }),
            ...(update !== undefined && { update }),
            ...(goto !== undefined && goto !== null && { goto }),
          }
        : undefined,
    });
  }

  /** Throws NotFoundError. */
  async get(caller: Caller, threadId: string, runId: string): Promise<Run> {
    const access = await caller.may('threads:read', { thread_id: threadId });
    const run = await this.#parts.runs.within(access).get(threadId, runId);
    if (!run) throw new NotFoundError('Run', runId);
    return run;
  }

  /** By its id alone, as the stateless routes know it. Throws NotFoundError. */
  async find(caller: Caller, runId: string): Promise<Run> {
    const run = await this.#parts.runs.within(await caller.may('threads:read', {})).find(runId);
    if (!run) throw new NotFoundError('Run', runId);
    return run;
  }

  /** Newest first. Throws NotFoundError when the thread does not exist. */
  async list(
    caller: Caller,
    threadId: string,
    page: { limit: number; offset: number; status?: RunStatus | undefined },
  ): Promise<Run[]> {
    const access = await caller.may('threads:search', { thread_id: threadId, status: page.status, metadata: {} });
    if (!(await this.#parts.threads.within(access).get(threadId))) throw new NotFoundError('Thread', threadId);
    return this.#parts.runs.within(access).list(threadId, page);
  }

  /** What a run that the caller was given came to: its last values, else its thread's; `{__error__}` when it failed. Waits for its end. */
  async result(run: Run, signal: AbortSignal): Promise<Json> {
    const { status, values, error } = await watchToEnd(this.#parts.streams, run.run_id, signal);
    if (status === null) return { __error__: { error: 'RunRemoved', message: 'The run was rolled back or deleted' } };
    if (status === 'error' || status === 'timeout') {
      return { __error__: error ?? { error: 'Error', message: `The run ended with status ${status}` } };
    }
    return values ?? (await this.#parts.threads.within(Access.everything).get(run.thread_id))?.values ?? {};
  }

  /** The run's events after a number, as they come, until it has ended. */
  async *events(
    runId: string,
    { afterSeq, modes, signal }: { afterSeq: number; modes?: readonly StreamMode[] | undefined; signal: AbortSignal },
  ): AsyncGenerator<RunEvent, void> {
    for await (const event of this.#parts.streams.follow(runId, { afterSeq, signal })) {
      if (event.event === END_EVENT) return;
      if (isOfModes(event.event, modes)) yield event;
    }
  }

  /** Stops a run. Throws NotFoundError, ConflictError when one that has ended is to be rolled back. */
  async cancel(
    caller: Caller,
    { thread_id, run_id }: Pick<Run, 'thread_id' | 'run_id'>,
    action: 'interrupt' | 'rollback',
  ): Promise<void> {
    const access = await caller.may('threads:update', { thread_id, action, metadata: { run_ids: [run_id] } });
    if (action === 'rollback') this.#checkUndo(action, await this.#parts.threads.within(access).get(thread_id));
    const result = await this.#parts.runs.within(access).cancel(thread_id, run_id, action);
    if (result === 'already_ended' && action === 'rollback') {
      throw new ConflictError(
        `Run ${run_id} has ended and can't be rolled back: fork the thread from a checkpoint before it`,
      );
    }
  }

  /**
   * Stops the named runs of a thread, or all that have a status. Throws as {@link cancel} for a named one, after it has
   * tried all of them; one that was only found by its status may have ended meanwhile.
   */
  async cancelMany(
    caller: Caller,
    { thread_id, run_ids, status }: CancelMany,
    action: 'interrupt' | 'rollback',
  ): Promise<void> {
    if (run_ids !== undefined && thread_id !== undefined && status === undefined) {
      const failures: unknown[] = [];
      for (const run_id of run_ids) {
        await this.cancel(caller, { thread_id, run_id }, action).catch((error: unknown) => failures.push(error));
      }
      if (failures.length > 0) throw failures[0] as Error;
    } else if (status !== undefined && run_ids === undefined) {
      const access = await caller.may('threads:update', { ...(thread_id && { thread_id }), action, status });
      const runs = this.#parts.runs.within(access);
      const statuses = status === 'all' ? (['pending', 'running'] as const) : [status];
      for (const run of await runs.active(statuses, thread_id)) {
        await runs.cancel(run.thread_id, run.run_id, action).catch(unlessGone);
      }
    } else {
      throw new InvalidInputError('body: give thread_id and run_ids, or status (and a thread_id, if it is about one)');
    }
  }

  async ended(runId: string, signal: AbortSignal): Promise<void> {
    await watchToEnd(this.#parts.streams, runId, signal);
  }

  /** The run's row and its log go; what it did to the state stays. Throws NotFoundError, BusyError. */
  async delete(caller: Caller, threadId: string, runId: string): Promise<void> {
    const access = await caller.may('threads:delete', { thread_id: threadId, run_id: runId });
    await this.#parts.runs.within(access).delete(threadId, runId);
  }

  async #thread(caller: Caller, threadId: string): Promise<Thread> {
    const access = await caller.may('threads:read', { thread_id: threadId });
    const thread = await this.#parts.threads.within(access).get(threadId);
    if (!thread) throw new NotFoundError('Thread', threadId);
    return thread;
  }

  #checkUndo(action: string | undefined, thread: Thread | null, graphId = ''): void {
    const { stores } = this.#parts;
    if (action !== 'rollback' || thread === null || stores.of(thread.state_store ?? stores.namesFor(graphId)[0]).undoes)
      return;
    throw new UnsupportedFieldError('rollback', 'the saver that keeps this thread cannot undo a run: use "interrupt"');
  }

  /** LangGraph would take a checkpoint that does not exist for an empty state, and begin again. */
  async #checkCheckpoint(thread: Thread | null, checkpoint: CheckpointRef | undefined): Promise<void> {
    const checkpointId = checkpoint?.checkpoint_id;
    if (checkpointId === undefined) return;
    const configurable = { checkpoint_ns: '', ...checkpoint, thread_id: thread?.thread_id };
    const found = thread && (await this.#parts.stores.of(thread.state_store).has({ configurable }));
    if (!found) throw new NotFoundError('Checkpoint', checkpointId);
  }
}

/** What a checkpoint or a run that still goes on may ask is not known here. */
function refuseIdleAnswer({ thread_id, status, interrupts }: Thread, request: Resume): void {
  if (status === 'busy' || Object.keys(interrupts).length > 0) return;
  if (request.checkpoint || request.checkpoint_id || checkpointOfConfig(request)) return;
  throw new ConflictError(
    `Thread ${thread_id} waits for no answer: leave resume out to let it go on from where it stopped, or create a run with an input`,
  );
}

/** A new run as authorisation handlers see it, who may change its metadata and its kwargs. */
function createdRun(request: RunCreate, ids: { run_id: string; thread_id: string | null; assistant_id: string }) {
  const { multitask_strategy = 'enqueue', if_not_exists = 'reject', after_seconds = 0 } = request;
  return {
    ...ids,
    status: 'pending',
    metadata: { ...request.metadata },
    multitask_strategy,
    prevent_insert_if_inflight: multitask_strategy === 'reject',
    if_not_exists,
    after_seconds,
    kwargs: { ...request },
  };
}

function unlessGone(error: unknown): void {
  if (!(error instanceof NotFoundError)) throw error;
}

function kwargsOf(
  request: RunCreate,
  stateless: boolean,
): Omit<RunKwargs, 'command' | 'config' | 'context' | 'checkpoint' | 'durability'> {
  const { input, stream_mode, interrupt_before, interrupt_after, feedback_keys } = request;
  const modes = [stream_mode ?? []].flat();
  return {
    ...(input !== undefined && { input }),
    stream_mode: modes.length > 0 ? [...new Set(modes)] : ['values'],
    stream_subgraphs: request.stream_subgraphs ?? false,
    ...(interrupt_before && interrupt_before.length > 0 && { interrupt_before }),
    ...(interrupt_after && interrupt_after.length > 0 && { interrupt_after }),
    ...(feedback_keys && feedback_keys.length > 0 && { feedback_keys }),
    ...(request.webhook !== undefined && { webhook: request.webhook }),
    ...(request.protocol && { protocol: request.protocol }),
    temporary_thread: stateless && request.on_completion !== 'keep',
  };
}

function durabilityOf({ durability, checkpoint_during: during }: RunCreate, ofGraph: Durability = 'sync'): Durability {
  if (durability !== undefined) return durability;
  return during === undefined ? ofGraph : during ? 'sync' : 'exit';
}

/** Messages of both modes are named `messages`; subgraphs add their place after a bar. */
function isOfModes(name: string, modes: readonly StreamMode[] | undefined): boolean {
  if (modes === undefined || modes.length === 0) return true;
  const base = name.split(/[|/]/, 1)[0] ?? name;
  if (base === 'metadata' || base === 'error') return true;
  return modes.some((mode) => (mode === 'messages-tuple' ? 'messages' : mode) === base);
}
