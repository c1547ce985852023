import { Access, type Guarded } from '../core/access.ts';
import type { Json, JsonObject } from '../core/json.ts';
import type { RunKwargs } from '../core/run.ts';
import type { Database } from './database.ts';

/** A run in the order in which the runs of its thread began; one that was dropped before it began counts from then. */
export interface RunTurn {
  turn: number;
  run_id: string;
  graph_id: string;
  /** Which format its log has. */
  protocol: 'v2' | null;
  /** What it answered the thread's questions with. */
  resume: Json;
}

/** A change of the thread's state by hand. */
export interface ChangeTurn {
  turn: number;
  run_id: null;
  checkpoint: JsonObject;
  /** Milliseconds since the epoch. */
  at: number;
}

/** Of kwargs that are sealed all has to be read. */
const RUN_TURN = `turn, run_id, graph_id, kwargs->>'protocol' protocol, kwargs->'command'->'resume' resume,
  case when kwargs->'$sealed' is not null then kwargs end kwargs`;

/** Whether thread $1 is within the access. */
const visible = (access: string) =>
  `exists (select 1 from baton.threads t where t.thread_id = $1 and t.metadata @> ${access})`;

export type Turn = RunTurn | ChangeTurn;

/** What happened on threads, one thing after the other: the runs of a thread never overlap. */
export class ThreadTurns implements Guarded<ThreadTurns> {
  readonly #db: Database;
  readonly #access: Access;
  constructor(database: Database, access = Access.everything) {
    this.#db = database;
    this.#access = access;
  }

  /** The same, as if there were no threads beyond the access. */
  within(access: Access): ThreadTurns {
    return new ThreadTurns(this.#db, access);
  }

  /** From this turn on, in order. Whatever is added later comes after all of these. Null when there is no such thread. */
  async from(threadId: string, turn: number, limit: number): Promise<Turn[] | null> {
    // Waits for whoever is dropping a run or changing the state, which take the row's lock before a turn: without it a
    // later turn could be seen before theirs.
    const thread = await this.#db.prepared(
      'select 1 from baton.threads where thread_id = $1 and metadata @> $2 for key share',
      [threadId, this.#access.contains],
    );
    if (thread.length === 0) return null;
    const rows = await this.#db.prepared<Record<string, unknown>>(
      `(select ${RUN_TURN}, null::json checkpoint, null::bigint at
        from baton.runs where thread_id = $1 and turn >= $2 order by turn limit $3)
       union all
       (select turn, null, null, null, null, null, checkpoint, (extract(epoch from created_at) * 1000)::bigint
        from baton.thread_changes where thread_id = $1 and turn >= $2 order by turn limit $3)
       order by turn limit $3`,
      [threadId, turn, limit],
    );
    return rows.map((row) => (row['run_id'] === null ? row : runTurn(row))) as unknown as Turn[];
  }

  /** A run that has begun, the latest one when it is not named. */
  async ofRun(threadId: string, runId: string | undefined): Promise<RunTurn | null> {
    const [row] = await this.#db.query<Record<string, unknown>>(
      `select ${RUN_TURN} from baton.runs
       where thread_id = $1 and turn is not null and ($2::uuid is null or run_id = $2) and ${visible('$3')}
       order by turn desc limit 1`,
      [threadId, runId ?? null, this.#access.contains],
    );
    return row ? runTurn(row) : null;
  }

  /** The latest one, with how far its log goes (-1 = nothing is in it) and whether that is its end. */
  async latest(threadId: string): Promise<{ turn: number; run_id: string | null; seq: number; ended: boolean } | null> {
    const [row] = await this.#db.query<{ turn: number; run_id: string | null; seq: number; ended: boolean }>(
      `select turn, run_id, coalesce((select max(seq) from baton.run_events e where e.run_id = latest.run_id), -1) seq, ended
       from (
         select turn, run_id, ended_at is not null ended from baton.runs where thread_id = $1 and turn is not null
         union all select turn, null, true from baton.thread_changes where thread_id = $1
         order by turn desc limit 1
       ) latest where ${visible('$2')}`,
      [threadId, this.#access.contains],
    );
    return row ?? null;
  }
}

function runTurn({ kwargs, ...turn }: Record<string, unknown>): RunTurn {
  const { command } = (kwargs ?? {}) as Partial<RunKwargs>;
  return (command ? { ...turn, resume: command.resume ?? null } : turn) as unknown as RunTurn;
}
