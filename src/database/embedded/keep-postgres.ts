import { startPostgres, type PostgresServer, type StartOptions } from './start-postgres.ts';

/** The Postgres of a directory, as long as it is wanted: one that was killed is started again when somebody misses it. */
export class KeptPostgres {
  readonly url: string;
  readonly origin: PostgresServer['origin'];
  readonly #options: StartOptions;
  readonly #uses: PostgresServer[];
  #reviving: Promise<void> | null = null;
  #stopped = false;

  private constructor(options: StartOptions, first: PostgresServer) {
    this.#options = options;
    this.#uses = [first];
    this.url = first.url;
    this.origin = first.origin;
  }

  static async start(options: StartOptions): Promise<KeptPostgres> {
    return new KeptPostgres(options, await startPostgres(options));
  }

  /** To be called when a connection was lost: does nothing when the server is up. */
  revive(): Promise<void> {
    this.#reviving ??= this.#startAgain().finally(() => {
      this.#reviving = null;
    });
    return this.#reviving;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#reviving;
    for (const use of this.#uses) await use.stop();
  }

  async #startAgain(): Promise<void> {
    if (this.#stopped) return;
    const { log } = this.#options;
    try {
      this.#uses.push(await startPostgres(this.#options));
    } catch (error) {
      log.error({ err: error }, "Baton's own Postgres could not be started again");
    }
  }
}
