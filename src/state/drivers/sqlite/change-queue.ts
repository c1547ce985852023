import { setImmediate } from 'node:timers/promises';
import { outlive } from './sqlite-failure.ts';
import type { SqliteFile } from './sqlite-file.ts';

/** A transaction takes no more changes after this, since nothing else runs in the process meanwhile. */
const SLICE_MS = 10;

interface Change {
  work: () => unknown;
  /** A change is not made when an earlier one of its line in the same transaction failed: it may build on it. */
  line: string | null;
  settle: (outcome: Outcome) => void;
}

type Outcome = { value: unknown } | { error: unknown };

/**
 * Makes changes in the order in which they were asked for, all that were asked for in one turn of the event loop in one
 * transaction, each in its own right. Between two transactions the event loop turns: timers and sockets have their say.
 */
export class ChangeQueue {
  readonly #file: SqliteFile;
  #waiting: Change[] = [];
  #working: Promise<void> | undefined;

  constructor(file: SqliteFile) {
    this.#file = file;
  }

  /** Resolves when the change is durable. `work` may be called again after a transaction that came to nothing. */
  make<T>(work: () => T, line: string | null = null): Promise<T> {
    const made = new Promise<T>((resolve, reject) => {
      const settle = (outcome: Outcome): void => {
        if ('error' in outcome) reject(outcome.error);
        else resolve(outcome.value as T);
      };
      this.#waiting.push({ work, line, settle });
    });
    this.#working ??= this.#commit();
    return made;
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    while (this.#working !== undefined) await this.#working;
  }

  async #commit(): Promise<void> {
    while (this.#waiting.length > 0) {
      await setImmediate();
      try {
        const outcomes = await outlive(() => this.#file.write(() => this.#makeSome()));
        const made = this.#waiting.splice(0, outcomes.length);
        for (const [index, { settle }] of made.entries()) settle(outcomes[index] as Outcome);
      } catch (error) {
        for (const { settle } of this.#waiting.splice(0)) settle({ error });
      }
    }
    this.#working = undefined;
  }

  #makeSome(): Outcome[] {
    const endMs = performance.now() + SLICE_MS;
    const outcomes: Outcome[] = [];
    const failed = new Map<string, { error: unknown }>();
    for (const { work, line } of this.#waiting) {
      const outcome = (line !== null && failed.get(line)) || this.#file.attempt(work);
      if (line !== null && 'error' in outcome) failed.set(line, outcome);
      outcomes.push(outcome);
      if (performance.now() > endMs) break;
    }
    return outcomes;
  }
}
