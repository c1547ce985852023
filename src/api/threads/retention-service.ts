import type { Access, Guarded } from '../../core/access.ts';
import type { Bookmark } from '../../core/bookmark.ts';
import type { Caller } from '../../core/caller.ts';
import { InvalidInputError, NotFoundError } from '../../core/errors.ts';
import { uuidv7 } from '../../core/ids.ts';
import type { RetentionRule } from '../../core/retention.ts';
import type { Thread } from '../../core/thread.ts';
import type { Bookmarks } from '../../database/bookmarks.ts';
import type { ThreadSizes } from '../../database/thread-sizes.ts';
import type { Threads } from '../../database/threads.ts';
import type { ThreadPruner } from '../../engine/retention/thread-pruner.ts';
import type { ThreadStates } from '../../engine/threads/thread-state.ts';
import type { StateSaver } from '../../state/state-saver.ts';
import type { BookmarkCreate, ThreadPrune, ThreadSize, ThreadsPruned } from './retention-schemas.ts';
import type { ThreadService } from './service.ts';

export interface RetentionServiceParts {
  threads: Guarded<Threads>;
  bookmarks: Guarded<Bookmarks>;
  sizes: ThreadSizes;
  pruner: ThreadPruner;
  stores: { of(name: string | null): Pick<StateSaver, 'prunes' | 'has' | 'storage'> };
  states: Pick<ThreadStates, 'channelSizes'>;
}

/** The sums of a request's answer so far. */
interface Tally {
  pruned_count: number;
  checkpoints: number;
  bytes: number;
  skipped: NonNullable<ThreadsPruned['skipped']>;
}

/** How much threads keep, and what of it goes. */
export class RetentionService {
  readonly #parts: RetentionServiceParts;
  readonly #threads: ThreadService;
  constructor(parts: RetentionServiceParts, threads: ThreadService) {
    this.#parts = parts;
    this.#threads = threads;
  }

  /** Deletes threads, or what a rule lets go of their histories. Threads beyond the caller are as if there were none. */
  async prune(
    caller: Caller,
    { thread_ids, strategy, keep_last, older_than, dry_run }: ThreadPrune,
  ): Promise<ThreadsPruned> {
    const isRule = keep_last !== undefined || older_than !== undefined;
    if (!isRule && strategy !== 'keep_latest') {
      if (dry_run !== true) return { pruned_count: await this.#threads.deleteAll(caller, thread_ids) };
      throw new InvalidInputError(
        'body.dry_run: needs the strategy "keep_latest", keep_last or older_than; with "delete" all goes',
      );
    }
    if (strategy === 'delete') {
      throw new InvalidInputError(
        'body.strategy: "delete" removes whole threads: leave keep_last and older_than out, or use "keep_latest"',
      );
    }
    const rule: RetentionRule = isRule ? { keep_last, older_than_ms: older_than } : { keep_last: 1 };
    const tally: Tally = { pruned_count: 0, checkpoints: 0, bytes: 0, skipped: [] };
    for (const threadId of new Set(thread_ids)) {
      const access = await caller.may('threads:update', { thread_id: threadId });
      await this.#pruneOne(tally, threadId, { rule, access, isDry: dry_run === true });
    }
    return { ...tally, ...(dry_run === true && { dry_run }) };
  }

  async #pruneOne(
    tally: Tally,
    thread_id: string,
    { rule, access, isDry }: { rule: RetentionRule; access: Access; isDry: boolean },
  ): Promise<void> {
    const { pruner } = this.#parts;
    const pruned = isDry ? await pruner.plan(thread_id, rule, access) : await pruner.prune(thread_id, rule, access);
    if (pruned === 'busy' || pruned === null) {
      tally.skipped.push({ thread_id, reason: pruned ?? 'not_found' });
      return;
    }
    tally.pruned_count += 1;
    tally.checkpoints += pruned.checkpoints;
    tally.bytes += pruned.bytes;
  }

  /** How much is kept of a thread, and how much of it pruning would free. Throws NotFoundError. */
  async size(caller: Caller, threadId: string, asked: RetentionRule): Promise<ThreadSize> {
    const { stores, states, sizes, pruner } = this.#parts;
    const access = await caller.may('threads:read', { thread_id: threadId });
    const thread = await this.#thread(access, threadId);
    const rule = Object.values(asked).every((value) => value === undefined) ? { keep_last: 1 } : asked;
    const saver = stores.of(thread.state_store);
    const [stored, channels, kept, prunable] = await Promise.all([
      saver.storage(threadId),
      states.channelSizes(thread),
      sizes.of(threadId),
      saver.prunes ? pruner.plan(threadId, rule, access) : null,
    ]);
    const { checkpoints, writes, values, blobs } = stored;
    const history = { checkpoints, writes, values, blobs: blobs.values };
    const others = { files: blobs.files, ...kept };
    const parts = [...Object.values(history), ...Object.values(others)];
    return {
      thread_id: threadId,
      total_bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
      channels,
      history,
      ...others,
      prunable: prunable && { ...rule, ...prunable },
    };
  }

  /** Throws NotFoundError, also when there is no such checkpoint. */
  async addBookmark(
    caller: Caller,
    thread_id: string,
    { checkpoint_id, checkpoint_ns = '', name }: BookmarkCreate,
  ): Promise<Bookmark> {
    const access = await caller.may('threads:update', { thread_id });
    const { state_store } = await this.#thread(access, thread_id);
    const bookmarks = this.#parts.bookmarks.within(access);
    const key = { thread_id, checkpoint_ns, checkpoint_id };
    // Before it is looked for: whoever prunes from now on leaves it.
    const bookmark = await bookmarks.insert({ bookmark_id: uuidv7(), ...key, name });
    if (await this.#parts.stores.of(state_store).has({ configurable: key })) return bookmark;
    await bookmarks.delete(thread_id, bookmark.bookmark_id);
    throw new NotFoundError('Checkpoint', checkpoint_id);
  }

  /** Oldest first. Throws NotFoundError. */
  async bookmarks(caller: Caller, threadId: string): Promise<Bookmark[]> {
    const access = await caller.may('threads:read', { thread_id: threadId });
    await this.#thread(access, threadId);
    return this.#parts.bookmarks.within(access).list(threadId);
  }

  /** Throws NotFoundError. */
  async deleteBookmark(caller: Caller, threadId: string, bookmarkId: string): Promise<void> {
    const access = await caller.may('threads:update', { thread_id: threadId });
    await this.#thread(access, threadId);
    const deleted = await this.#parts.bookmarks.within(access).delete(threadId, bookmarkId);
    if (!deleted) throw new NotFoundError('Bookmark', bookmarkId);
  }

  async #thread(access: Access, threadId: string): Promise<Thread> {
    const thread = await this.#parts.threads.within(access).get(threadId);
    if (!thread) throw new NotFoundError('Thread', threadId);
    return thread;
  }
}
