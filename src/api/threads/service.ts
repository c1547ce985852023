import { ConflictError, InvalidInputError, NotFoundError } from '../../core/errors.ts';
import { uuidv7 } from '../../core/ids.ts';
import type { Json } from '../../core/json.ts';
import type { CheckpointRef, Run } from '../../core/run.ts';
import type { Thread } from '../../core/thread.ts';
import type { Runs } from '../../database/runs.ts';
import type { ThreadFilter, ThreadPage, Threads } from '../../database/threads.ts';
import type { ThreadState } from '../../engine/snapshot.ts';
import type { HistoryQuery, StateUpdate, ThreadStates } from '../../engine/thread-state.ts';
import type { RunFollower } from '../runs/watch.ts';
import { watchToEnd } from '../runs/watch.ts';
import { refuseUnsupported } from '../unsupported.ts';
import type { ThreadCreate, ThreadSearch } from './schemas.ts';

const NO_TTL = { ttl: 'threads stay until they are deleted; leave it out' };

export interface ThreadServiceParts {
  threads: Threads;
  states: ThreadStates;
  runs: Runs;
  streams: RunFollower;
  saver: { deleteThread(threadId: string): Promise<void> };
}

export class ThreadService {
  readonly #parts: ThreadServiceParts;
  constructor(parts: ThreadServiceParts) {
    this.#parts = parts;
  }

  /** Throws NotFoundError. */
  async get(threadId: string): Promise<Thread> {
    return (await this.#parts.threads.get(threadId)) ?? missing(threadId);
  }

  async create(request: ThreadCreate): Promise<Thread> {
    refuseUnsupported(request, NO_TTL);
    const metadata = request.metadata ?? {};
    const threadId = request.thread_id ?? uuidv7();
    const steps = request.supersteps ?? [];
    if (steps.length > 0 && typeof metadata['graph_id'] !== 'string') {
      throw new InvalidInputError('body.metadata.graph_id: is missing; supersteps are applied by a graph');
    }
    const created = await this.#parts.threads.insert({ thread_id: threadId, metadata });
    if (!created) {
      if (request.if_exists === 'do_nothing') return this.get(threadId);
      throw new ConflictError(`Thread ${threadId} already exists: use if_exists "do_nothing", or another id`);
    }
    if (steps.length === 0) return created;
    try {
      await this.#parts.states.bulkUpdate(
        created,
        steps.map(({ updates }) => updates),
      );
    } catch (error) {
      await this.delete(threadId);
      throw error;
    }
    return this.get(threadId);
  }

  async update(threadId: string, request: { metadata?: ThreadCreate['metadata']; ttl?: unknown }): Promise<Thread> {
    refuseUnsupported(request, NO_TTL);
    return (await this.#parts.threads.mergeMetadata(threadId, request.metadata ?? {})) ?? missing(threadId);
  }

  /** Removes the thread with its runs and its state. Repeated after a failure it finishes what is left. */
  async delete(threadId: string): Promise<void> {
    const existed = await this.#parts.threads.delete(threadId);
    await this.#parts.saver.deleteThread(threadId);
    if (!existed) missing(threadId);
  }

  /** The threads whose latest run was this assistant's. */
  async deleteOfAssistant(assistantId: string): Promise<void> {
    const page: ThreadPage = { limit: 100, offset: 0, sort_by: 'thread_id', sort_order: 'asc' };
    for (;;) {
      const found = await this.#parts.threads.search({ metadata: { assistant_id: assistantId } }, page);
      if (found.length === 0) return;
      for (const { thread_id } of found) await this.#deleteIfThere(thread_id);
    }
  }

  async #deleteIfThere(threadId: string): Promise<void> {
    await this.delete(threadId).catch((error: unknown) => {
      if (!(error instanceof NotFoundError)) throw error;
    });
  }

  async search(request: ThreadSearch): Promise<{ threads: Thread[]; total: number; page: ThreadPage }> {
    refuseUnsupported(request, { extract: 'use select, or read the values of each thread' });
    const filter: ThreadFilter = request;
    const page: ThreadPage = {
      limit: request.limit ?? 10,
      offset: request.offset ?? 0,
      sort_by: request.sort_by ?? 'created_at',
      sort_order: request.sort_order ?? 'desc',
    };
    const { threads } = this.#parts;
    const [found, total] = await Promise.all([threads.search(filter, page), threads.count(filter)]);
    return { threads: found, total, page };
  }

  count(filter: ThreadFilter): Promise<number> {
    return this.#parts.threads.count(filter);
  }

  async copy(threadId: string): Promise<Thread> {
    const source = await this.#parts.threads.get(threadId);
    // 409 as the platform's clients know it.
    if (!source) throw new ConflictError(`Thread ${threadId} cannot be copied: it does not exist`);
    return this.#parts.states.copy(source, uuidv7());
  }

  async state(
    threadId: string,
    query: { checkpoint?: CheckpointRef | undefined; subgraphs: boolean },
  ): Promise<ThreadState> {
    return this.#parts.states.get(await this.get(threadId), query);
  }

  async history(threadId: string, query: HistoryQuery): Promise<ThreadState[]> {
    return this.#parts.states.history(await this.get(threadId), query);
  }

  /** Changes the state by hand: at the head, or at a checkpoint, which makes a fork. Returns the new checkpoint. */
  async updateState(threadId: string, update: StateUpdate, checkpoint: CheckpointRef | undefined): Promise<Json> {
    return this.#parts.states.update(await this.get(threadId), update, checkpoint);
  }

  /** Asks the running run to stop at its next step boundary. Throws ConflictError when none runs. */
  async pause(threadId: string): Promise<Run> {
    const { runs } = this.#parts;
    await this.get(threadId);
    const run = await runs.running(threadId);
    const result = run && (await runs.cancel(threadId, run.run_id, 'pause'));
    if (!run || result === 'already_ended')
      throw new ConflictError(`Nothing runs on thread ${threadId}: there is nothing to pause`);
    return run;
  }

  async runEnded(runId: string, signal: AbortSignal): Promise<void> {
    await watchToEnd(this.#parts.streams, runId, signal);
  }
}

function missing(threadId: string): never {
  throw new NotFoundError('Thread', threadId);
}
