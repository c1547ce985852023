import type { Logger } from 'pino';
import type { RunQueue } from '../../database/run-queue.ts';
import type { DeletionOptions, Threads } from '../../database/threads.ts';
import type { StateSaver } from '../../state/state-saver.ts';

const EVERY_MS = 30_000;
/** A reader that lost its connection at the very end has this long to come back for the rest of the log. */
const KEEP_MS = 60_000;

/** Where states are removed from. */
export interface StateRemoval {
  of(name: string | null): Pick<StateSaver, 'deleteThread'>;
}

interface ThreadSweeperParts {
  queue: RunQueue;
  threads: Threads;
  stores: StateRemoval;
  log: Logger;
}

/**
 * Deletes the threads that were made for one stateless run, some time after it has ended, and those whose time to live is
 * over, and ends half-done deletions.
 */
export class ThreadSweeper {
  readonly #parts: ThreadSweeperParts;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(parts: ThreadSweeperParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.tick(KEEP_MS)
        .catch((error: unknown) => this.#parts.log.warn({ err: error }, 'could not sweep threads'))
        .finally(() => this.#stopped || this.start());
    }, EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
  }

  /** Returns how many threads it removed. */
  async tick(keepMs: number): Promise<number> {
    const { queue, threads } = this.#parts;
    /** Those of a store that is out of reach, or no longer there: they wait, and hold up nobody else. */
    const failed = new Set<string>();
    let removed = 0;
    for (;;) {
      const except = [...failed];
      const ended = [...(await queue.sweepable(keepMs, except)), ...(await threads.halfDeleted(keepMs, except))];
      const due = ended.map((threadId) => ({ threadId, ifExpired: false }));
      for (const threadId of await threads.expired(except)) due.push({ threadId, ifExpired: true });
      if (due.length === 0 || this.#stopped) return removed;
      for (const { threadId, ifExpired } of due) {
        if (await this.#remove(threadId, ifExpired)) removed += 1;
        else failed.add(threadId);
      }
    }
  }

  async #remove(threadId: string, ifExpired: boolean): Promise<boolean> {
    const { threads, stores, log } = this.#parts;
    try {
      await removeThread(threads, stores, threadId, { ifExpired });
      return true;
    } catch (error) {
      log.warn({ err: error, thread_id: threadId }, 'could not remove a thread; will try again');
      return false;
    }
  }
}

/**
 * The row goes first: a late write of a worker then finds no thread to belong to. A crash in between leaves a note, and
 * the sweeper does the rest. False when there was no such thread.
 */
export async function removeThread(
  threads: Threads,
  stores: StateRemoval,
  threadId: string,
  options: DeletionOptions = {},
): Promise<boolean> {
  const deleted = await threads.delete(threadId, options);
  const left = deleted ?? (await threads.halfDeletion(threadId));
  if (left !== null) {
    await stores.of(left.state_store).deleteThread(threadId);
    await threads.forgetDeleted(threadId);
  }
  return deleted !== null;
}
