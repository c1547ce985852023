import { ConflictError, InvalidInputError, NotFoundError } from '../../core/errors.ts';
import { uuidv7 } from '../../core/ids.ts';
import type { Json } from '../../core/json.ts';
import { END_EVENT, type RunEvent } from '../../core/run-event.ts';
import type { CheckpointRef, Durability, Run, RunKwargs, RunStatus, StreamMode } from '../../core/run.ts';
import type { Thread } from '../../core/thread.ts';
import type { EnqueueRequest, Runs } from '../../database/runs.ts';
import type { Threads } from '../../database/threads.ts';
import type { GraphRegistry } from '../../engine/graphs/registry.ts';
import type { AssistantService } from '../assistants/service.ts';
import { checkpointRef } from '../checkpoint-ref.ts';
import { refuseUnsupported } from '../unsupported.ts';
import { withNamedNull } from './null-answer.ts';
import { checkpointOfConfig, mergeConfig } from './run-config.ts';
import type { Resume, RunCreate } from './schemas.ts';
import { watchToEnd, type RunFollower } from './watch.ts';

const UNSUPPORTED = {
  webhook: 'join the run, or ask for its status, to learn of its end',
  feedback_keys: 'Baton has no connection to LangSmith',
  strict_resume: 'a resume that answers no question starts the next step as in LangGraph itself',
};

export interface RunServiceParts {
  assistants: AssistantService;
  threads: Threads;
  runs: Runs;
  streams: RunFollower;
  graphs: GraphRegistry;
  /** Whether a thread has a checkpoint. */
  saver: { getTuple(config: object): Promise<object | undefined> };
}

export class RunService {
  readonly #parts: RunServiceParts;
  constructor(parts: RunServiceParts) {
    this.#parts = parts;
  }

  /** Queues a run; without a thread on one made for it. Throws NotFoundError, BusyError, UnsupportedFieldError. */
  async create(threadId: string | null, request: RunCreate): Promise<Run> {
    return this.#parts.runs.enqueue(await this.#plan(threadId, request));
  }

  /** Queues runs without threads: all, or none when one of them cannot be. Errors as in {@link create}. */
  async createMany(requests: readonly RunCreate[]): Promise<Run[]> {
    const plans: EnqueueRequest[] = [];
    for (const request of requests) plans.push(await this.#plan(null, request));
    return Promise.all(plans.map((plan) => this.#parts.runs.enqueue(plan)));
  }

  async #plan(threadId: string | null, request: RunCreate): Promise<EnqueueRequest> {
    refuseUnsupported(request, UNSUPPORTED);
    const { assistants, graphs, threads } = this.#parts;
    const [assistant, thread] = await Promise.all([
      assistants.get(request.assistant_id),
      threadId === null ? null : threads.get(threadId),
    ]);
    graphs.source(assistant.graph_id);
    if (threadId !== null && !thread && request.if_not_exists !== 'create') throw new NotFoundError('Thread', threadId);
    const checkpoint =
      checkpointRef(threadId, request.checkpoint, request.checkpoint_id) ?? checkpointOfConfig(request);
    await this.#checkCheckpoint(threadId, checkpoint);
    const config = mergeConfig(assistant, thread, request);
    const ids = { graph_id: assistant.graph_id, assistant_id: assistant.assistant_id };
    return {
      run: {
        run_id: uuidv7(),
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
          ...(request.command && { command: withNamedNull(request.command, thread, checkpoint !== undefined) }),
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
    };
  }

  /** Lets a thread go on: with an answer, an update or another place to go to, else from where it stopped. */
  async resume(threadId: string, request: Resume): Promise<Run> {
    const { resume, update, goto, stream: _stream, wait: _wait, assistant_id, ...options } = request;
    const thread = await this.#thread(threadId);
    const assistantId = assistant_id ?? thread.metadata['assistant_id'];
    if (typeof assistantId !== 'string') {
      throw new InvalidInputError('body.assistant_id: is missing, and the thread has not been run by any yet');
    }
    const hasCommand = resume !== undefined || update !== undefined || (goto !== undefined && goto !== null);
    return this.create(threadId, {
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
  async get(threadId: string, runId: string): Promise<Run> {
    const run = await this.#parts.runs.get(threadId, runId);
    if (!run) throw new NotFoundError('Run', runId);
    return run;
  }

  /** By its id alone, as the stateless routes know it. Throws NotFoundError. */
  async find(runId: string): Promise<Run> {
    const run = await this.#parts.runs.find(runId);
    if (!run) throw new NotFoundError('Run', runId);
    return run;
  }

  /** Newest first. Throws NotFoundError when the thread does not exist. */
  async list(
    threadId: string,
    page: { limit: number; offset: number; status?: RunStatus | undefined },
  ): Promise<Run[]> {
    await this.#thread(threadId);
    return this.#parts.runs.list(threadId, page);
  }

  /** What the run came to: its last values, else its thread's; `{__error__}` when it failed. Waits for its end. */
  async result(run: Run, signal: AbortSignal): Promise<Json> {
    const { status, values, error } = await watchToEnd(this.#parts.streams, run.run_id, signal);
    if (status === null) return { __error__: { error: 'RunRemoved', message: 'The run was rolled back or deleted' } };
    if (status === 'error' || status === 'timeout') {
      return { __error__: error ?? { error: 'Error', message: `The run ended with status ${status}` } };
    }
    return values ?? (await this.#parts.threads.get(run.thread_id))?.values ?? {};
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
  async cancel(threadId: string, runId: string, action: 'interrupt' | 'rollback'): Promise<void> {
    const result = await this.#parts.runs.cancel(threadId, runId, action);
    if (result === 'already_ended' && action === 'rollback') {
      throw new ConflictError(
        `Run ${runId} has ended and can't be rolled back: fork the thread from a checkpoint before it`,
      );
    }
  }

  async ended(runId: string, signal: AbortSignal): Promise<void> {
    await watchToEnd(this.#parts.streams, runId, signal);
  }

  /** The run's row and its log go; what it did to the state stays. Throws NotFoundError, BusyError. */
  delete(threadId: string, runId: string): Promise<void> {
    return this.#parts.runs.delete(threadId, runId);
  }

  async #thread(threadId: string): Promise<Thread> {
    const thread = await this.#parts.threads.get(threadId);
    if (!thread) throw new NotFoundError('Thread', threadId);
    return thread;
  }

  /** LangGraph would take a checkpoint that does not exist for an empty state, and begin again. */
  async #checkCheckpoint(threadId: string | null, checkpoint: CheckpointRef | undefined): Promise<void> {
    const checkpointId = checkpoint?.checkpoint_id;
    if (checkpointId === undefined) return;
    const configurable = { checkpoint_ns: '', ...checkpoint, thread_id: threadId };
    const found = threadId !== null && (await this.#parts.saver.getTuple({ configurable }));
    if (!found) throw new NotFoundError('Checkpoint', checkpointId);
  }
}

function kwargsOf(
  request: RunCreate,
  stateless: boolean,
): Omit<RunKwargs, 'command' | 'config' | 'context' | 'checkpoint'> {
  const { input, stream_mode, interrupt_before, interrupt_after } = request;
  const modes = [stream_mode ?? []].flat();
  return {
    ...(input !== undefined && { input }),
    stream_mode: modes.length > 0 ? [...new Set(modes)] : ['values'],
    stream_subgraphs: request.stream_subgraphs ?? false,
    ...(interrupt_before && interrupt_before.length > 0 && { interrupt_before }),
    ...(interrupt_after && interrupt_after.length > 0 && { interrupt_after }),
    durability: durabilityOf(request),
    temporary_thread: stateless && request.on_completion !== 'keep',
  };
}

function durabilityOf({ durability, checkpoint_during }: RunCreate): Durability {
  return durability ?? (checkpoint_during === false ? 'exit' : 'sync');
}

/** Messages of both modes are named `messages`; subgraphs add their place after a bar. */
function isOfModes(name: string, modes: readonly StreamMode[] | undefined): boolean {
  if (modes === undefined || modes.length === 0) return true;
  const base = name.split(/[|/]/, 1)[0] ?? name;
  if (base === 'metadata' || base === 'error') return true;
  return modes.some((mode) => (mode === 'messages-tuple' ? 'messages' : mode) === base);
}
