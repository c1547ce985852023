import type { ThreadFiles } from '../../blobs/thread-files.ts';
import { Access, type Guarded } from '../../core/access.ts';
import type { BlobRef } from '../../core/blob-files.ts';
import { asSeenBy, type AuthEvent, type Caller } from '../../core/caller.ts';
import { ConflictError, InvalidInputError, NotFoundError } from '../../core/errors.ts';
import { uuidv7 } from '../../core/ids.ts';
import type { Json } from '../../core/json.ts';
import type { CheckpointRef, Run } from '../../core/run.ts';
import type { RetentionSettings } from '../../core/retention-settings.ts';
import type { Thread, ThreadTtl } from '../../core/thread.ts';
import type { Runs } from '../../database/runs.ts';
import type { ThreadFilter } from '../../database/thread-search.ts';
import type { NewThread, ThreadPage, Threads } from '../../database/threads.ts';
import type { ThreadState } from '../../engine/threads/snapshot.ts';
import type { HistoryQuery, StateUpdate, ThreadStates } from '../../engine/threads/thread-state.ts';
import { removeThread } from '../../engine/retention/thread-sweeper.ts';
import type { StoredSizes } from '../../state/drivers/checkpoint-driver.ts';
import type { StateSaver } from '../../state/state-saver.ts';
import type { RunFollower } from '../runs/watch.ts';
import { watchToEnd } from '../runs/watch.ts';
import type { ThreadCreate, ThreadSearch } from './schemas.ts';

export interface ThreadServiceParts {
  config: { retention: Pick<RetentionSettings, 'threads'> };
  threads: Guarded<Threads>;
  states: ThreadStates;
  runs: Guarded<Runs>;
  streams: RunFollower;
  blobs: { files: Pick<ThreadFiles, 'about' | 'get'> } | null;
  stores: { of(name: string | null): Pick<StateSaver, 'deleteThread' | 'storage'> };
}

export class ThreadService {
  readonly #parts: ThreadServiceParts;
  constructor(parts: ThreadServiceParts) {
    this.#parts = parts;
  }

  /** Throws NotFoundError. */
  async get(caller: Caller, threadId: string): Promise<Thread> {
    return this.#thread(caller, 'threads:read', threadId);
  }

  /** When the thread, or its history, will go by itself; null: never. */
  async ttl(caller: Caller, threadId: string): Promise<ThreadTtl | null> {
    const access = await caller.may('threads:read', { thread_id: threadId });
    const threads = this.#parts.threads.within(access);
    const own = await threads.ttl(threadId);
    const byDefault = this.#parts.config.retention.threads;
    const thread = own || byDefault === null ? null : await threads.get(threadId);
    if (byDefault === null || !thread) return own;
    const expires = new Date(Date.parse(thread.updated_at) + byDefault.minutes * 60_000);
    return { strategy: byDefault.strategy, ttl_minutes: byDefault.minutes, expires_at: expires.toISOString() };
  }

  async create(caller: Caller, request: ThreadCreate): Promise<Thread> {
    const threadId = request.thread_id ?? uuidv7();
    const value = { thread_id: threadId, metadata: { ...request.metadata }, if_exists: request.if_exists };
    const threads = this.#parts.threads.within(await caller.may('threads:create', value));
    const { metadata } = value;
    const steps = request.supersteps ?? [];
    if (steps.length > 0 && typeof metadata['graph_id'] !== 'string') {
      throw new InvalidInputError('body.metadata.graph_id: is missing; supersteps are applied by a graph');
    }
    const created = await threads.insert({ thread_id: threadId, metadata, ...ttlOf(request.ttl) });
    if (!created) {
      const existing = request.if_exists === 'do_nothing' ? await threads.get(threadId) : null;
      if (existing) return existing;
      throw new ConflictError(`Thread ${threadId} already exists: use if_exists "do_nothing", or another id`);
    }
    if (steps.length === 0) return created;
    try {
      await this.#parts.states.bulkUpdate(
        asSeenBy(caller, created),
        steps.map(({ updates }) => updates),
      );
    } catch (error) {
      await this.#delete(threadId, Access.everything);
      throw error;
    }
    return (await this.#parts.threads.within(Access.everything).get(threadId)) ?? missing(threadId);
  }

  async update(
    caller: Caller,
    threadId: string,
    { metadata, ttl }: Pick<ThreadCreate, 'metadata' | 'ttl'>,
  ): Promise<Thread> {
    const change = { thread_id: threadId, metadata: { ...metadata }, ...ttlOf(ttl) };
    const access = await caller.may('threads:update', change);
    return (await this.#parts.threads.within(access).update(change)) ?? missing(threadId);
  }

  /** Removes the thread with its runs and its state. Repeated after a failure it finishes what is left. */
  async delete(caller: Caller, threadId: string): Promise<void> {
    const access = await caller.may('threads:delete', { thread_id: threadId });
    if (!(await this.#delete(threadId, access))) missing(threadId);
  }

  /** The threads whose latest run was this assistant's, as far as the caller may delete them. */
  async deleteOfAssistant(caller: Caller, assistantId: string): Promise<void> {
    const access = await caller.may('threads:delete', {});
    const threads = this.#parts.threads.within(access);
    const page: ThreadPage = { limit: 100, offset: 0, sort_by: 'thread_id', sort_order: 'asc' };
    for (;;) {
      const found = await threads.search({ metadata: { assistant_id: assistantId } }, page);
      if (found.length === 0) return;
      for (const { thread_id } of found) await this.#delete(thread_id, access);
    }
  }

  /** Returns how many of these threads there were, for the caller, to be removed. */
  async deleteAll(caller: Caller, threadIds: readonly string[]): Promise<number> {
    let deleted = 0;
    for (const threadId of new Set(threadIds)) {
      const access = await caller.may('threads:delete', { thread_id: threadId });
      if (await this.#delete(threadId, access)) deleted += 1;
    }
    return deleted;
  }

  /** How much room the thread's history takes in the state store. */
  async storage(caller: Caller, threadId: string): Promise<Required<StoredSizes>> {
    const { thread_id, state_store } = await this.get(caller, threadId);
    return this.#parts.stores.of(state_store).storage(thread_id);
  }

  /** A file that a node made. @throws NotFoundError */
  async file(caller: Caller, threadId: string, blobId: string): Promise<BlobRef & { content: Uint8Array }> {
    const { thread_id } = await this.get(caller, threadId);
    const { files } = this.#parts.blobs ?? {};
    if (!files) throw new NotFoundError('Blob', blobId);
    return { ...(await files.about(thread_id, blobId)), content: await files.get(thread_id, blobId) };
  }

  async #delete(threadId: string, access: Access): Promise<boolean> {
    const { threads, stores } = this.#parts;
    return removeThread(threads.within(access), stores, threadId);
  }

  async search(caller: Caller, request: ThreadSearch): Promise<{ threads: Thread[]; total: number; page: ThreadPage }> {
    const filter: ThreadFilter = request;
    const page: ThreadPage = {
      limit: request.limit ?? 10,
      offset: request.offset ?? 0,
      sort_by: request.sort_by ?? 'created_at',
      sort_order: request.sort_order ?? 'desc',
    };
    const threads = await this.#searched(caller, request);
    const [found, total] = await Promise.all([threads.search(filter, page), threads.count(filter)]);
    return { threads: found, total, page };
  }

  async count(caller: Caller, filter: ThreadFilter): Promise<number> {
    return (await this.#searched(caller, filter)).count(filter);
  }

  async copy(caller: Caller, threadId: string): Promise<Thread> {
    const { threads, states } = this.#parts;
    const source = await threads.within(await caller.may('threads:read', { thread_id: threadId })).get(threadId);
    // 409 as the platform's clients know it.
    if (!source) throw new ConflictError(`Thread ${threadId} cannot be copied: it does not exist`);
    const copyId = uuidv7();
    const value = { thread_id: copyId, metadata: { ...source.metadata, thread_id: copyId } };
    await caller.may('threads:create', value);
    return states.copy(source, copyId, value.metadata);
  }

  async state(
    caller: Caller,
    threadId: string,
    query: { checkpoint?: CheckpointRef | undefined; subgraphs: boolean },
  ): Promise<ThreadState> {
    return this.#parts.states.get(asSeenBy(caller, await this.get(caller, threadId)), query);
  }

  async history(caller: Caller, threadId: string, query: HistoryQuery): Promise<ThreadState[]> {
    return this.#parts.states.history(asSeenBy(caller, await this.get(caller, threadId)), query);
  }

  /** Changes the state by hand: at the head, or at a checkpoint, which makes a fork. Returns the new checkpoint. */
  async updateState(
    caller: Caller,
    threadId: string,
    { checkpoint, ...update }: StateUpdate & { checkpoint: CheckpointRef | undefined },
  ): Promise<Json> {
    const thread = await this.#thread(caller, 'threads:update', threadId);
    return this.#parts.states.update(asSeenBy(caller, thread), update, checkpoint);
  }

  /** Asks the running run to stop at its next step boundary. Throws ConflictError when none runs. */
  async pause(caller: Caller, threadId: string): Promise<Run> {
    const access = await caller.may('threads:update', { thread_id: threadId, action: 'interrupt' });
    const runs = this.#parts.runs.within(access);
    if (!(await this.#parts.threads.within(access).get(threadId))) missing(threadId);
    const run = await runs.running(threadId);
    const result = run && (await runs.cancel(threadId, run.run_id, 'pause'));
    if (!run || result === 'already_ended')
      throw new ConflictError(`Nothing runs on thread ${threadId}: there is nothing to pause`);
    return run;
  }

  async runEnded(runId: string, signal: AbortSignal): Promise<void> {
    await watchToEnd(this.#parts.streams, runId, signal);
  }

  async #thread(caller: Caller, event: AuthEvent, threadId: string): Promise<Thread> {
    const access = await caller.may(event, { thread_id: threadId });
    return (await this.#parts.threads.within(access).get(threadId)) ?? missing(threadId);
  }

  /** A handler gets to see what is searched for, and returns a filter. */
  async #searched(caller: Caller, filter: ThreadFilter): Promise<Threads> {
    const value = { ...filter, metadata: { ...filter.metadata } };
    return this.#parts.threads.within(await caller.may('threads:search', value));
  }
}

function ttlOf(ttl: ThreadCreate['ttl']): Pick<NewThread, 'ttl_minutes' | 'ttl_strategy'> {
  return { ttl_minutes: ttl?.minutes, ttl_strategy: ttl?.strategy };
}

function missing(threadId: string): never {
  throw new NotFoundError('Thread', threadId);
}
