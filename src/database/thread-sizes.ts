import type { Database } from './database.ts';

export interface RowSizes {
  count: number;
  bytes: number;
}

/** How much the control plane keeps of threads, beside their state. */
export class ThreadSizes {
  readonly #db: Database;
  constructor(database: Database) {
    this.#db = database;
  }

  /** The logs of its runs, and what its nodes did to the world. */
  async of(threadId: string): Promise<{ events: RowSizes; effects: RowSizes }> {
    const [row] = await this.#db.query<Record<'events' | 'event_bytes' | 'effects' | 'effect_bytes', number>>(
      `select e.*, f.* from
         (select count(seq) events, coalesce(sum(octet_length(data)), 0)::bigint event_bytes from (
           select run_id, seq, data from baton.run_events
           union all select run_id, null, data from baton.run_event_parts) log
           join baton.runs using (run_id) where thread_id = $1) e,
         (select count(*) effects, coalesce(sum(octet_length(result)), 0)::bigint effect_bytes
           from baton.effects where by_thread_id = $1) f`,
      [threadId],
    );
    const { events = 0, event_bytes = 0, effects = 0, effect_bytes = 0 } = row ?? {};
    return { events: { count: events, bytes: event_bytes }, effects: { count: effects, bytes: effect_bytes } };
  }
}
