import { END_EVENT } from '../core/run-event.ts';
import type { Database } from './database.ts';
import { IS_ASKING } from './run-events.ts';

/** What is left of the log of a run: its end, why it failed, its last values, and what it asked. */
const CUT_LOGS = `
with cut as (
  update baton.runs set log_cut_at = now() where run_id in (
    select run_id from baton.runs where ended_at < now() - $1 * interval '1 millisecond' and log_cut_at is null
    order by ended_at limit $2 for update skip locked
  ) returning run_id
), last as (
  select run_id, max(seq) seq from baton.run_events join cut using (run_id)
  where event = 'values' and not ${IS_ASKING} group by run_id
), kept as (
  select e.run_id, e.seq, e.parts from baton.run_events e join cut using (run_id) left join last using (run_id, seq)
  where event in ('${END_EVENT}', 'metadata', 'error') or event = 'values' and (${IS_ASKING} or last.seq is not null)
), gone as (
  delete from baton.run_events e using cut
  where e.run_id = cut.run_id and not exists (select from kept where kept.run_id = e.run_id and kept.seq = e.seq)
), gone_parts as (
  delete from baton.run_event_parts p using cut
  where p.run_id = cut.run_id and not exists (select from kept where kept.run_id = p.run_id and p.id = any(kept.parts))
)
select run_id from cut`;

/**
 * What grows beside the state of threads, forgotten when it is old. Each call removes at most `limit` rows, or what belongs
 * to so many, passes over those that somebody holds, and returns how many it removed: less than `limit` = all.
 */
export class Retention {
  readonly #db: Database;
  constructor(database: Database) {
    this.#db = database;
  }

  /** Cuts the logs of runs that ended longer ago down to what they came to. Returns of how many. */
  async cutLogs(olderThanMs: number, limit: number): Promise<number> {
    return (await this.#db.query(CUT_LOGS, [olderThanMs, limit])).length;
  }

  /** Runs that ended longer ago, with their logs; but never the latest one of a thread. What they did to its state stays. */
  async forgetRuns(olderThanMs: number, limit: number): Promise<number> {
    return this.#forget(
      'runs',
      `ended_at < now() - $1 * interval '1 millisecond'
       and exists (select from baton.runs later where later.thread_id = old.thread_id and later.position > old.position)`,
      [olderThanMs, limit],
    );
  }

  /** Global effects that ended longer ago: their business keys may be used again. */
  async forgetGlobalEffects(olderThanMs: number, limit: number): Promise<number> {
    return this.#forget('effects', `scope = 'global' and ended_at < now() - $1 * interval '1 millisecond'`, [
      olderThanMs,
      limit,
    ]);
  }

  /** What runs used, longer ago. */
  async forgetUsage(olderThanMs: number, limit: number): Promise<number> {
    return this.#forget('usage', `created_at < now() - $1 * interval '1 millisecond'`, [olderThanMs, limit]);
  }

  /** That the state of a thread was changed by hand, longer ago. */
  async forgetChanges(olderThanMs: number, limit: number): Promise<number> {
    return this.#forget('thread_changes', `created_at < now() - $1 * interval '1 millisecond'`, [olderThanMs, limit]);
  }

  /** Events that were told to a thread and taken, longer ago. */
  async forgetTakenEvents(olderThanMs: number, limit: number): Promise<number> {
    return this.#forget(
      'thread_events',
      `taken_by is not null and created_at < now() - $1 * interval '1 millisecond'`,
      [olderThanMs, limit],
    );
  }

  async #forget(table: string, condition: string, parameters: [olderThanMs: number, limit: number]): Promise<number> {
    const gone = await this.#db.query(
      `delete from baton.${table} where ctid = any(array(
         select ctid from baton.${table} old where ${condition} limit $2 for update skip locked
       )) returning 1`,
      parameters,
    );
    return gone.length;
  }
}
