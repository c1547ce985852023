import type { Logger } from 'pino';
import type { RunQueue } from '../database/run-queue.ts';
import type { Threads } from '../database/threads.ts';
import type { DurableSaver } from '../state/durable-saver.ts';

const EVERY_MS = 30_000;
/** A reader that lost its connection at the very end has this long to come back for the rest of the log. */
const KEEP_MS = 60_000;

/** Deletes the threads that were made for one stateless run, some time after it has ended. */
export class ThreadSweeper {
  readonly #parts: { queue: RunQueue; threads: Threads; saver: DurableSaver; log: Logger };
  #timer: NodeJS.Timeout | null = null;

  constructor(parts: { queue: RunQueue; threads: Threads; saver: DurableSaver; log: Logger }) {
    this.#parts = parts;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.tick(KEEP_MS).catch((error: unknown) =>
        this.#parts.log.warn({ err: error }, 'could not sweep temporary threads'),
      );
    }, EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer);
  }

  /** Returns how many threads it removed. The row goes first: a late write then finds no thread to belong to. */
  async tick(keepMs: number): Promise<number> {
    const { queue, threads, saver } = this.#parts;
    const threadIds = await queue.sweepable(keepMs);
    for (const threadId of threadIds) {
      await threads.delete(threadId);
      await saver.deleteThread(threadId);
    }
    return threadIds.length;
  }
}
