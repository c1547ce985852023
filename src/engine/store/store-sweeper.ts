import type { Logger } from 'pino';
import type { LongTermStore } from '../../database/store/long-term-store.ts';

/** Deletes the store's items whose time is over. Nobody sees those: this only frees their place. */
export class StoreSweeper {
  readonly #parts: { store: LongTermStore; everyMs: number; log: Logger };
  #timer: NodeJS.Timeout | null = null;

  constructor(parts: { store: LongTermStore; everyMs: number; log: Logger }) {
    this.#parts = parts;
  }

  start(): void {
    const { everyMs, log } = this.#parts;
    this.#timer = setInterval(() => {
      this.tick().catch((error: unknown) => log.warn({ err: error }, 'could not sweep the store'));
    }, everyMs);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer);
  }

  /** Returns how many items it removed. */
  async tick(): Promise<number> {
    return this.#parts.store.sweepExpiredItems();
  }
}
