import type { RunEvent } from '../core/run-event.ts';
import { notifyEvents } from './channels.ts';
import type { Database } from './database.ts';
import { parted } from './event-parts.ts';
import type { CellPlace } from './sealing/cells.ts';

const COLUMNS = 'seq, event, data, parts, (extract(epoch from created_at) * 1000)::bigint as at';

/** Of what is appended to a run. */
const HIGHEST = '(select max(seq) from unnest($1::uuid[], $3::int[]) e(id, seq) where id = run_id)';

/** How an event begins that tells what the run asked, and how it ends when it is sealed: such are kept, see `Retention`. */
const ASKS = '{"__interrupt__":';
const ASKING = 'asking';

const ADD_PARTS = `, kept as (
         insert into baton.run_event_parts (run_id, id, data)
         select p.run_id, p.id, p.data from unnest($8::uuid[], $9::text[], $10::text[]) p(run_id, id, data)
         join attempt using (run_id)
         on conflict do nothing
       )`;
const KNOWN_RUNS = 200;
/** Of a run. */
const KNOWN_PARTS = 5000;

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
  readonly #known = new KnownParts();

  constructor(database: Database) {
    this.#db = database;
  }

  /**
   * Appends events of any number of runs in one statement and tells the readers. Returns the ids of the runs whose events
   * were taken; the others have a newer attempt. Repeating a call after a lost connection adds nothing twice.
   */
  async append(events: readonly AttributedEvent[]): Promise<Set<string>> {
    const stored: { data: string; ids: string | null }[] = [];
    const unstored = new Map<string, EventPart>();
    for (const event of events) stored.push(await this.#stored(event, unstored));
    const parts = [...unstored.values()];
    // FOR SHARE: a claim (an UPDATE of the run) waits for appends in flight, so a zombie never logs after the new attempt began.
    const rows = await this.#db.prepared<{ run_id: string }>(
      `with attempt as (
         select run_id, thread_id from baton.runs
         where (run_id, fencing_token) in (select * from unnest($1::uuid[], $2::bigint[])) and status = 'running'
         order by run_id for share
       ), added as (
         insert into baton.run_events (run_id, seq, event, data, parts, created_at)
         select e.run_id, e.seq, e.event, e.data, string_to_array(e.parts, ','), to_timestamp(e.at / 1000.0)
         from unnest($1::uuid[], $3::int[], $4::text[], $5::text[], $6::text[], $7::bigint[])
           e(run_id, seq, event, data, parts, at)
         join attempt using (run_id)
         on conflict do nothing
       )${parts.length > 0 ? ADD_PARTS : ''}
       select run_id, ${notifyEvents(HIGHEST)} from attempt`,
      [
        events.map((event) => event.run_id),
        events.map((event) => event.fencing_token),
        events.map((event) => event.seq),
        events.map((event) => event.event),
        stored.map(({ data }) => data),
        stored.map(({ ids }) => ids),
        events.map((event) => event.at),
        ...(parts.length > 0
          ? [parts.map((part) => part.run_id), parts.map((part) => part.id), parts.map((part) => part.data)]
          : []),
      ],
    );
    const taken = new Set(rows.map((row) => row.run_id));
    for (const { run_id, id } of parts) if (taken.has(run_id)) this.#known.add(run_id, id);
    return taken;
  }

  /** The events after `seq`, in order. An empty answer for a run that exists means: none yet. */
  async after(runId: string, seq: number, limit: number): Promise<RunEvent[]> {
    const rows = await this.#db.prepared<StoredEvent>(
      `select ${this.#columns} from baton.run_events where run_id = $1 and seq > $2 order by seq limit $3`,
      [runId, seq, limit],
    );
    return this.#whole(runId, rows);
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
    const rows = await this.#db.query<StoredEvent>(
      `select ${this.#columns} from baton.run_events where run_id = $1 and event = $2 order by seq desc limit 1`,
      [runId, event],
    );
    return (await this.#whole(runId, rows))[0] ?? null;
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

  /** @param unstored Gets the parts that are not known to be stored. */
  async #stored(
    { run_id, thread_id, seq, data }: AttributedEvent,
    unstored: Map<string, EventPart>,
  ): Promise<{ data: string; ids: string | null }> {
    const cells = await this.#db.cells(thread_id);
    const tail = data.startsWith(ASKS) ? ASKING : undefined;
    const place: CellPlace = ['event.data', `${run_id} ${seq}`];
    const cut = parted(data, (hash) => (this.#db.sealing === null ? hash : cells.name('event part', hash)));
    if (cut === null) return { data: await cells.text(place, data, tail), ids: null };
    for (const [id, text] of cut.parts) {
      const key = `${run_id} ${id}`;
      if (this.#known.has(run_id, id) || unstored.has(key)) continue;
      unstored.set(key, { run_id, id, data: await cells.text(['part.data', key], text) });
    }
    return { data: await cells.text(place, cut.head, tail), ids: cut.ids.join(',') };
  }

  /** Completes events that are stored in parts. One whose parts went meanwhile, when the log was cut, went with them. */
  async #whole(runId: string, rows: readonly StoredEvent[]): Promise<RunEvent[]> {
    const ids = new Set(rows.flatMap(({ parts }) => parts ?? []));
    const texts = new Map<string, string>();
    if (ids.size > 0) {
      const parts = await this.#db.prepared<EventPart>(
        'select run_id, id, data from baton.run_event_parts where run_id = $1 and id = any($2::text[])',
        [runId, [...ids]],
      );
      for (const { id, data } of parts) texts.set(id, data);
    }
    return rows.flatMap(({ seq, event, data, parts, at }) => {
      if (parts?.some((id) => !texts.has(id))) return [];
      return [{ seq, event, data: data + (parts ?? []).map((id) => texts.get(id)).join(''), at }];
    });
  }
}

interface StoredEvent extends RunEvent {
  parts: string[] | null;
}

interface EventPart {
  run_id: string;
  id: string;
  data: string;
}

/** Which parts of the runs that wrote last are stored for certain. Only a cache. */
class KnownParts {
  readonly #ofRuns = new Map<string, Set<string>>();

  has(runId: string, id: string): boolean {
    return this.#ofRuns.get(runId)?.has(id) === true;
  }

  add(runId: string, id: string): void {
    const known = this.#ofRuns.get(runId) ?? new Set();
    const ids = known.size < KNOWN_PARTS ? known : new Set<string>();
    this.#ofRuns.delete(runId);
    this.#ofRuns.set(runId, ids.add(id));
    const [oldest] = this.#ofRuns.keys();
    if (this.#ofRuns.size > KNOWN_RUNS && oldest !== undefined) this.#ofRuns.delete(oldest);
  }
}
