import type pg from 'pg';
import type { Logger } from 'pino';

/** Called with the payload of a NOTIFY, or with null after a reconnection, when any number may have been missed. */
export type Hint = (payload: string | null) => void;

const RETRY_MS = 250;
const ASK_MS = 10_000;

/**
 * LISTEN on one connection of its own, re-made whenever it is lost. Notifications are hints: a listener that hears null
 * looks for itself what it has missed.
 *
 * It is asked now and then: nothing is ever sent over it otherwise, and what stands in between may forget such a connection,
 * of which no side would hear.
 */
export class Listener {
  readonly #hints = new Map<string, Set<Hint>>();
  readonly #connect: () => pg.Client;
  readonly #onLost: () => void;
  readonly #log: Logger;
  readonly #askMs: number;
  #client: pg.Client | null = null;
  #asking: NodeJS.Timeout | null = null;
  #opening: Promise<void> | null = null;
  #retry: NodeJS.Timeout | null = null;
  #closed = false;

  /**
   * @param connect Gives a client with a `query_timeout`: one that does not answer in that time is lost.
   * @param onLost Called whenever there is no connection, and at each failed try to make one.
   */
  constructor(connect: () => pg.Client, log: Logger, onLost: () => void = () => undefined, askMs = ASK_MS) {
    this.#connect = connect;
    this.#onLost = onLost;
    this.#log = log;
    this.#askMs = askMs;
  }

  /** Resolves when the database has taken the LISTEN. The returned function ends it. */
  async listen(channel: string, hint: Hint): Promise<() => void> {
    const known = this.#hints.get(channel);
    const hints = known ?? new Set();
    hints.add(hint);
    this.#hints.set(channel, hints);
    if (this.#client === null) await this.#open();
    else if (!known) await this.#client.query(`listen ${channel}`);
    return () => void hints.delete(hint);
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#retry) clearTimeout(this.#retry);
    if (this.#asking) clearInterval(this.#asking);
    const client = this.#client;
    this.#client = null;
    await client?.end().catch(() => undefined);
  }

  #open(): Promise<void> {
    this.#opening ??= this.#start().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #start(): Promise<void> {
    const client = this.#connect();
    client.on('error', (error) => this.#lost(client, error));
    client.on('end', () => this.#lost(client, null));
    client.on('notification', ({ channel, payload }) => this.#tell(channel, payload ?? ''));
    await client.connect();
    if (this.#closed) return client.end();
    try {
      for (const channel of this.#hints.keys()) await client.query(`listen ${channel}`);
    } catch (error) {
      client.end().catch(() => undefined);
      throw error;
    }
    this.#client = client;
    this.#asking ??= setInterval(() => this.#ask(), this.#askMs).unref();
  }

  #ask(): void {
    const client = this.#client;
    client?.query('select 1').catch((error: Error) => this.#lost(client, error));
  }

  #lost(client: pg.Client, error: Error | null): void {
    if (this.#closed || this.#client !== client) return;
    this.#log.warn({ err: error ?? undefined }, 'the listening database connection was lost; reconnecting');
    this.#client = null;
    client.end().catch(() => undefined);
    this.#reopen();
  }

  #reopen(): void {
    this.#onLost();
    this.#retry = setTimeout(() => {
      if (this.#closed) return;
      this.#open().then(
        () => {
          for (const channel of this.#hints.keys()) this.#tell(channel, null);
        },
        () => this.#reopen(),
      );
    }, RETRY_MS);
    this.#retry.unref();
  }

  #tell(channel: string, payload: string | null): void {
    for (const hint of this.#hints.get(channel) ?? []) hint(payload);
  }
}
