import type { Database } from './database.ts';

/** Threads by the store that their rows name. */
export class KeptThreads {
  readonly #db: Database;
  constructor(database: Database) {
    this.#db = database;
  }

  /** Some that have a state there and rest, those first on which something happened last. */
  async someOf(store: string, limit: number): Promise<string[]> {
    const rows = await this.#db.query<{ thread_id: string }>(
      `select thread_id from baton.threads where state_store = $1 and status <> 'busy' and values::text <> 'null'
       order by updated_at desc limit $2`,
      [store, limit],
    );
    return rows.map((row) => row.thread_id);
  }
}
