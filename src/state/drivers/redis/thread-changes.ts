import { setImmediate } from 'node:timers/promises';
import { FencedError } from '../../../core/errors.ts';
import type { PutCheckpoint, PutWrites } from '../checkpoint-driver.ts';

export type Change = { put: PutCheckpoint } | { writes: PutWrites };

interface Asked {
  change: Change;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/** Makes changes of one thread together, and tells which were made: a fence refused the others. */
type MakeChanges = (threadId: string, changes: readonly Change[]) => Promise<readonly boolean[]>;

/**
 * Sends the changes of a thread in the order in which they were asked for: those of one turn of the event loop together,
 * and what is asked for meanwhile after that. Threads do not wait for each other.
 */
export class ThreadChanges {
  readonly #make: MakeChanges;
  /** What has not been sent, of threads that are being worked on. */
  readonly #waiting = new Map<string, Asked[]>();

  constructor(make: MakeChanges) {
    this.#make = make;
  }

  /** Resolves when the change is stored. @throws FencedError when the thread's fence refused it. */
  make(threadId: string, change: Change): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(threadId);
      const asked = { change, resolve, reject };
      if (waiting !== undefined) {
        waiting.push(asked);
        return;
      }
      this.#waiting.set(threadId, [asked]);
      void this.#work(threadId);
    });
  }

  async #work(threadId: string): Promise<void> {
    for (;;) {
      // After the callbacks of this turn: the writes of a step and the checkpoint they lead to come in one turn.
      await setImmediate();
      const asked = this.#waiting.get(threadId) ?? [];
      if (asked.length === 0) break;
      this.#waiting.set(threadId, []);
      await this.#send(threadId, asked);
    }
    this.#waiting.delete(threadId);
  }

  async #send(threadId: string, asked: readonly Asked[]): Promise<void> {
    try {
      const made = await this.#make(
        threadId,
        asked.map(({ change }) => change),
      );
      for (const [at, { resolve, reject }] of asked.entries()) {
        if (made[at]) resolve();
        else reject(new FencedError(threadId));
      }
    } catch (error) {
      for (const { reject } of asked) reject(error);
    }
  }
}
