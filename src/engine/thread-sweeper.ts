import type { Logger } from 'pino';
import type { RunQueue } from '../database/run-queue.ts';
import type { Threads } from '../database/threads.ts';
import type { DurableSaver } from '../state/durable-saver.ts';

const EVERY_MS = 30_000;
/** A reader that lost its connection at the very end has this long to come back for the rest of the log. */
const KEEP_MS = 60_000;

interface ThreadSweeperParts {
  queue: RunQueue;
  threads: Threads;
  saver: Pick<DurableSaver, 'deleteThread'>;
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
    const { queue, threads, saver } = this.#parts;
    let removed = 0;
    for (;;) {
      const due = [...(await queue.sweepable(keepMs)), ...(await threads.halfDeleted(keepMs))];
      const expired = await threads.expired();
      if (due.length + expired.length === 0 || this.#stopped) return removed;
      for (const threadId of due) await removeThread(threads, saver, threadId);
      for (const threadId of expired) await removeThread(threads, saver, threadId, { ifExpired: true });
      removed += due.length + expired.length;
    }
  }
}

/**
 * The row goes first: a late write of a worker then finds no thread to belong to. A crash in between leaves a note, and
 * the sweeper does the rest. False when there was no such thread.
 */
export async function removeThread(
  threads: Threads,
  saver: Pick<DurableSaver, 'deleteThread'>,
  threadId: string,
  { ifExpired = false } = {},
): Promise<boolean> {
  const existed = await threads.delete(threadId, { ifExpired });
  if (existed || (await threads.isHalfDeleted(threadId))) {
    await saver.deleteThread(threadId);
    await threads.forgetDeleted(threadId);
  }
  return existed;
}
