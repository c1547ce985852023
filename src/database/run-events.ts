import type { RunEvent } from '../core/run-event.ts';
import { notifyEvents } from './channels.ts';
import type { Database } from './database.ts';

const COLUMNS = 'seq, event, data, (extract(epoch from created_at) * 1000)::bigint as at';

/** Of what is appended to a run. */
const HIGHEST = '(select max(seq) from unnest($1::uuid[], $3::int[]) e(id, seq) where id = run_id)';

/** How an event begins that tells what the run asked, and how it ends when it is sealed: such are kept, see `Retention`. */
const ASKS = '{"__interrupt__":';
const ASKING = 'asking';

/** In SQL: whether `data` tells what the run asked. */
export const IS_ASKING = `(data like '${ASKS}%' or data like 'sealed:%:${ASKING}')`;

/** One event with the attempt that it comes from. */
export interface AttributedEvent extends RunEvent {
  run_id: string;
  thread_id: string;
  fencing_token: number;
}

/** The event log of runs: what is in it can be replayed to any reader, under the same number, after any restart. */
export class RunEvents {
  readonly #db: Database;
  constructor(database: Database) {
    this.#db = database;
  }

  /**
   * Appends events of any number of runs in one statement and tells the readers. Returns the ids of the runs whose events
   * were taken; the others have a newer attempt. Repeating a call after a lost connection adds nothing twice.
   */
  async append(events: readonly AttributedEvent[]): Promise<Set<string>> {
    // FOR SHARE: a claim (an UPDATE of the run) waits for appends in flight, so a zombie never logs after the new attempt began.
    const rows = await this.#db.prepared<{ run_id: string }>(
      `with attempt as (
         select run_id, thread_id from baton.runs
         where (run_id, fencing_token) in (select * from unnest($1::uuid[], $2::bigint[])) and status = 'running'
         order by run_id for share
       ), added as (
         insert into baton.run_events (run_id, seq, event, data, created_at)
         select e.run_id, e.seq, e.event, e.data, to_timestamp(e.at / 1000.0)
         from unnest($1::uuid[], $3::int[], $4::text[], $5::text[], $6::bigint[]) e(run_id, seq, event, data, at)
         join attempt using (run_id)
         on conflict do nothing
       )
       select run_id, ${notifyEvents(HIGHEST)} from attempt`,
      [
        events.map((event) => event.run_id),
        events.map((event) => event.fencing_token),
        events.map((event) => event.seq),
        events.map((event) => event.event),
        await this.#sealed(events),
        events.map((event) => event.at),
      ],
    );
    return new Set(rows.map((row) => row.run_id));
  }

  /** The events after `seq`, in order. An empty answer for a run that exists means: none yet. */
  async after(runId: string, seq: number, limit: number): Promise<RunEvent[]> {
    const rows = await this.#db.prepared<RunEvent>(
      `select ${this.#columns} from baton.run_events where run_id = $1 and seq > $2 order by seq limit $3`,
      [runId, seq, limit],
    );
    return rows.map(shown);
  }

  /**
   * For ids of runs and threads: how far the run's log is; null for a thread, and for what is gone. Threads where nothing
   * happens are left out.
   */
  async heights(ids: readonly string[]): Promise<{ id: string; seq: number | null }[]> {
    return this.#db.prepared(
      `select id, (select max(seq) from baton.run_events where run_id = id) seq from unnest($1::uuid[]) id
       where not exists (select 1 from baton.threads t
         where t.thread_id = id and t.status <> 'busy' and t.updated_at < now() - interval '1 minute')`,
      [ids],
    );
  }

  /** The latest event of that name, for whoever came after it was sent. */
  async last(runId: string, event: string): Promise<RunEvent | null> {
    const [row] = await this.#db.query<RunEvent>(
      `select ${this.#columns} from baton.run_events where run_id = $1 and event = $2 order by seq desc limit 1`,
      [runId, event],
    );
    return row ? shown(row) : null;
  }

  /** Whether the run may still write to its log: it exists and has not ended. */
  async isExpected(runId: string): Promise<boolean> {
    const rows = await this.#db.prepared(
      `select 1 from baton.runs where run_id = $1 and status in ('pending', 'running')`,
      [runId],
    );
    return rows.length > 0;
  }

  /** A sealed event says nothing of the run that it is bound to: its row does. */
  get #columns(): string {
    return this.#db.sealing === null ? COLUMNS : `run_id, ${COLUMNS}`;
  }

  async #sealed(events: readonly AttributedEvent[]): Promise<string[]> {
    if (this.#db.sealing === null) return events.map(({ data }) => data);
    const sealed: string[] = [];
    for (const { thread_id, run_id, seq, data } of events) {
      const cells = await this.#db.cells(thread_id);
      sealed.push(
        await cells.text(['event.data', `${run_id} ${seq}`], data, data.startsWith(ASKS) ? ASKING : undefined),
      );
    }
    return sealed;
  }
}

function shown(row: RunEvent): RunEvent {
  const { seq, event, data, at } = row;
  return { seq, event, data, at };
}
