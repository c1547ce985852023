import type { Logger } from 'pino';
import type { WebhookDeliveries } from '../../database/webhook-deliveries.ts';

const EVERY_MS = 10 * 60_000;
const BATCH = 1000;

interface WebhookSweeperParts {
  deliveries: WebhookDeliveries;
  /** How long what was delivered is kept, and what was given up. */
  settings: { keepMs: number; keepDeadMs: number };
  log: Logger;
}

/** Forgets old deliveries. What is still to be delivered stays. */
export class WebhookSweeper {
  readonly #parts: WebhookSweeperParts;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(parts: WebhookSweeperParts) {
    this.#parts = parts;
  }

  start(): void {
    const { log } = this.#parts;
    this.#timer = setInterval(() => {
      this.tick().catch((error: unknown) => log.warn({ err: error }, 'could not sweep webhooks'));
    }, EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer) clearInterval(this.#timer);
  }

  /** Returns how many it removed. */
  async tick(): Promise<number> {
    const { deliveries, settings } = this.#parts;
    const ages = { deliveredMs: settings.keepMs, deadMs: settings.keepDeadMs };
    let removed = 0;
    for (;;) {
      const swept = await deliveries.sweep({ ...ages, limit: BATCH });
      removed += swept;
      if (swept < BATCH || this.#stopped) return removed;
    }
  }
}
