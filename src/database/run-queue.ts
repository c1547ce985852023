import type { AuthUser } from '../core/caller.ts';
import { PARK_REASONS, type Parking, type ParkReason } from '../core/effect.ts';
import { FencedError } from '../core/errors.ts';
import { END_EVENT } from '../core/run-event.ts';
import type { CancelAction, Run, RunError, RunStatus } from '../core/run.ts';
import { DEFAULT_STORE } from '../core/state-store.ts';
import type { ThreadOutcome } from '../core/thread.ts';
import { CHANNELS, notifyEvents } from './channels.ts';
import { breaksUnique, type Database } from './database.ts';
import { NEVER } from './runs.ts';
import { NOTHING_IS_SEALED } from './sealing/plain-guard.ts';
import { lockThread, outcomeValues, SETTLE, showOutcome } from './threads.ts';

/** A run in the hands of a worker. */
export interface ClaimedRun extends Run {
  graph_id: string;
  fencing_token: number;
  /** 1 at the first claim. */
  attempt: number;
  cancel_action: CancelAction | null;
  /** How long ago it might have begun: since it was queued, or since its delay was over. */
  waited_ms: number;
  /** It had given up its worker by itself: no attempt was lost. */
  was_parked: boolean;
  /** The graph in whose store the thread's state is kept; null: the default store. */
  state_store: string | null;
  /** Who asked for it; null where there is no authentication. Forgotten when the run has ended. */
  auth_user: AuthUser | null;
  /** Why what was asked for cannot be read, now or ever (`unreadable_value`); then nothing of it can be used. */
  fault?: Error;
}

/** What a heartbeat tells of a run that is still this worker's. */
export type HeldRun = Pick<ClaimedRun, 'run_id' | 'fencing_token' | 'cancel_action'>;

/** Which attempt of which run speaks: every change that a worker makes names it, and an older one is refused. */
export type AttemptRef = Pick<ClaimedRun, 'run_id' | 'thread_id' | 'fencing_token'>;

export interface RunEnd {
  status: Extract<RunStatus, 'success' | 'error' | 'timeout' | 'interrupted'>;
  error: RunError | null;
  /** The runs that wait behind it wait on, until somebody goes on with the thread. */
  pauses: boolean;
  /** The number of the log's last row, and when it was written (milliseconds since the epoch). */
  endSeq: number;
  endAt: number;
  outcome: ThreadOutcome;
}

/** Of the whole deployment. Those that are parked are pending, too. */
export interface ActiveCounts {
  pending: number;
  running: number;
  parked: Record<ParkReason, number>;
}

/** Runs as workers see them: claimed under a lease by the database's clock, guarded by a fencing token. */
export class RunQueue {
  readonly #db: Database;
  constructor(database: Database) {
    this.#db = database;
  }

  /**
   * Takes up to `limit` runs: those whose lease ran out, then the oldest waiting one of each idle thread. A run that has
   * begun comes before all others of its thread, also while it rests: they would begin in the middle of it.
   * Each gets a fencing token newer than any before.
   */
  async claim({
    workerId,
    graphIds,
    limit,
    leaseMs,
  }: {
    workerId: string;
    graphIds: string[];
    limit: number;
    leaseMs: number;
  }): Promise<ClaimedRun[]> {
    await this.#db.requireReadable();
    try {
      const values = [workerId, graphIds, limit, leaseMs, this.#db.sealing !== null];
      const runs = await this.#db.preparedAsStored<ClaimedRun>(CLAIM, values);
      // One that cannot be read must not keep others from their worker.
      await this.#db.sealing?.openEach(runs, (run, fault) => Object.assign(run, { fault }));
      return runs;
    } catch (error) {
      // Two workers may both see a thread as idle; the index lets one of them have it. The other looks again later.
      if (breaksUnique(error, 'runs_one_running_per_thread')) return [];
      throw error;
    }
  }

  /** Extends the leases of these attempts and returns those that are still this worker's. */
  async heartbeat(tokens: number[], leaseMs: number): Promise<HeldRun[]> {
    return this.#db.prepared(EXTEND_LEASES, [tokens, leaseMs]);
  }

  /**
   * Notes where the state stands as an attempt begins. Returns how many attempts in a row began at the same place before
   * this one, and the last number in the log. Throws FencedError when the run is no longer this attempt's.
   */
  async begin(
    { run_id, thread_id, fencing_token }: AttemptRef,
    progress: string,
  ): Promise<{ idleAttempts: number; lastSeq: number }> {
    const [row] = await this.#db.prepared<{ idleAttempts: number; lastSeq: number }>(
      `update baton.runs set progress = $3,
         idle_attempts = case when progress is distinct from $3 then 0 else idle_attempts + 1 end
       where run_id = $1 and fencing_token = $2 and status = 'running'
       returning idle_attempts "idleAttempts",
         coalesce((select max(seq) from baton.run_events e where e.run_id = $1), -1) "lastSeq"`,
      [run_id, fencing_token, progress],
    );
    if (!row) throw new FencedError(thread_id);
    return row;
  }

  /** The end of a run: its status, the thread's, and the log's last row, in one transaction. Throws FencedError. */
  async finish(attempt: AttemptRef, end: RunEnd): Promise<void> {
    const { run_id, thread_id } = attempt;
    const cells = await this.#db.cells(thread_id);
    const error = end.error && (await cells.json(['run.error', run_id], end.error));
    const ended = JSON.stringify({ status: end.status });
    const data = await cells.text(['event.data', `${run_id} ${end.endSeq}`], ended);
    const shown = await outcomeValues(this.#db, thread_id, end.outcome);
    await this.#db.transaction(async (tx) => {
      const [, finished] = await Promise.all([
        lockThread(tx, thread_id),
        tx.query(FINISH, [
          run_id,
          attempt.fencing_token,
          end.status,
          error,
          end.endSeq,
          data,
          end.endAt,
          end.pauses,
          ...shown,
        ]),
      ]);
      if (finished.length === 0) throw new FencedError(thread_id);
    });
  }

  /** The end of a run that is undone: its row and its log go, the thread shows what it was before. Throws FencedError. */
  async remove(attempt: AttemptRef, outcome: ThreadOutcome): Promise<void> {
    const shown = await outcomeValues(this.#db, attempt.thread_id, outcome);
    await this.#db.transaction(async (tx) => {
      await lockThread(tx, attempt.thread_id);
      const removed = await tx.query(
        `with gone as (
           delete from baton.runs where run_id = $1 and fencing_token = $2 and status = 'running' returning run_id, thread_id
         )
         select ${notifyEvents()}, pg_notify('${CHANNELS.runs}', '') from gone`,
        [attempt.run_id, attempt.fencing_token],
      );
      if (removed.length === 0) throw new FencedError(attempt.thread_id);
      await tx.query(SETTLE, [attempt.thread_id, ...shown]);
    });
  }

  /**
   * Hands a run back: the next worker takes it without waiting for the lease. At once, it is not counted as a lost attempt;
   * with `afterMs`, after an attempt that broke off, it is.
   */
  async release({ run_id, fencing_token }: AttemptRef, { afterMs = 0 } = {}): Promise<void> {
    await this.#db.query(
      `with freed as (
         update baton.runs set status = 'pending', worker_id = null, lease_until = null, updated_at = now(),
           available_at = now() + $3 * interval '1 millisecond', progress = case when $3 > 0 then progress end
         where run_id = $1 and fencing_token = $2 and status = 'running' returning 1
       )
       select pg_notify('${CHANNELS.runs}', '') from freed`,
      [run_id, fencing_token, afterMs],
    );
  }

  /**
   * Gives up the worker until the first of these can go on. Under the thread's lock: what wakes it, or tells it to stop, came
   * before and is seen, or comes after and sees it parked. Throws FencedError.
   */
  async park({ run_id, thread_id, fencing_token }: AttemptRef, parkings: readonly Parking[]): Promise<void> {
    await this.#db.transaction(async (tx) => {
      await lockThread(tx, thread_id);
      const parked = await tx.query(
        `update baton.runs set status = 'pending', worker_id = null, lease_until = null, updated_at = now(), progress = null,
           waits_for = $3, available_at = case when cancel_action is null then coalesce((${FIRST_DUE}), now()) else now() end
         where run_id = $1 and fencing_token = $2 and status = 'running' returning pg_notify('${CHANNELS.runs}', '')`,
        [run_id, fencing_token, JSON.stringify(parkings), parkings.map(({ effect_id }) => effect_id)],
      );
      if (parked.length === 0) throw new FencedError(thread_id);
    });
  }

  /** How many runs wait, and how many any worker executes. */
  async countActive(): Promise<ActiveCounts> {
    const [counts] = await this.#db.query<{ pending: number; running: number }>(
      `select (select count(*) from baton.runs where status = 'pending') pending,
              (select count(*) from baton.runs where status = 'running') running`,
    );
    return { pending: 0, running: 0, ...counts, parked: await this.countParked() };
  }

  /** How many runs have given up their worker to wait, by what for; one that waits for several counts for each. */
  async countParked(): Promise<Record<ParkReason, number>> {
    const rows = await this.#db.query<{ reason: ParkReason; n: number }>(
      `select reason, count(*) n from (
         select distinct run_id, task->>'reason' reason from baton.runs, json_array_elements(waits_for) task
         where status = 'pending' and waits_for is not null
       ) waits group by reason`,
    );
    const none = Object.fromEntries(PARK_REASONS.map((reason) => [reason, 0])) as Record<ParkReason, number>;
    return Object.assign(none, Object.fromEntries(rows.map(({ reason, n }) => [reason, n])));
  }

  /** Threads, but for some, that were made for one stateless run which ended longer ago than this. */
  async sweepable(olderThanMs: number, except: string[] = []): Promise<string[]> {
    const rows = await this.#db.query<{ thread_id: string }>(
      `select thread_id from baton.threads t
       where temporary and status <> 'busy' and updated_at < now() - $1 * interval '1 millisecond'
         and thread_id <> all($2::uuid[]) limit 100`,
      [olderThanMs, except],
    );
    return rows.map((row) => row.thread_id);
  }
}

/** When the first of the effects $4 can go on. */
const FIRST_DUE = `
  select min(case
    when e.status <> 'waiting' or e.kind = 'event' and exists (
      select 1 from baton.thread_events t where t.thread_id = e.by_thread_id and t.name = e.name and t.taken_by is null) then now()
    else coalesce(e.wake_at, ${NEVER}) end)
  from baton.effects e where e.effect_id = any($4::uuid[])`;

/** $1: fencing tokens, $2: milliseconds. In the order of their ids, as `RunEvents.append` locks them. */
export const EXTEND_LEASES = `update baton.runs set lease_until = now() + $2 * interval '1 millisecond'
 where run_id in (
   select run_id from baton.runs where fencing_token = any($1::bigint[]) and status = 'running'
   order by run_id for no key update
 )
 returning run_id, fencing_token, cancel_action`;

/** What the thread will be busy with when run $1, which this statement still sees running, has ended, and it pauses ($8) or not. */
const IS_BUSY_WITH_OTHERS = `exists (select 1 from baton.runs r where r.thread_id = threads.thread_id and r.run_id <> $1
  and (r.status = 'running' or r.status = 'pending' and not (threads.paused or $8)))`;

/** One that is queued later tells of itself. */
const WAITING_BEHIND = `select 1 from baton.runs r where r.thread_id = ended.thread_id and r.status = 'pending'`;

const FINISH = `
  with ended as (
    update baton.runs set status = $3, error = $4, ended_at = now(), updated_at = now(), lease_until = null, worker_id = null,
      auth_user = null
    where run_id = $1 and fencing_token = $2 and status = 'running' returning run_id, thread_id
  ), log as (
    insert into baton.run_events (run_id, seq, event, data, created_at)
    select run_id, $5, '${END_EVENT}', $6, to_timestamp($7::bigint / 1000.0) from ended
  ), settled as (
    update baton.threads set paused = paused or $8, ${showOutcome(9, IS_BUSY_WITH_OTHERS)}
    where thread_id in (select thread_id from ended)
  )
  select ${notifyEvents('$5::int')}, case when exists (${WAITING_BEHIND}) then pg_notify('${CHANNELS.runs}', '') end from ended`;

const CLAIM = `
  with expired as (
    select run_id, false was_parked from baton.runs where status = 'running' and lease_until < now() and graph_id = any($2)
    order by lease_until limit $3 for update skip locked
  ), waiting as (
    select run_id, waits_for is not null was_parked from baton.runs r
    where status = 'pending' and available_at <= now() and graph_id = any($2)
      and not exists (select 1 from baton.runs o where o.thread_id = r.thread_id and o.status = 'running')
      and not exists (select 1 from baton.threads t where t.thread_id = r.thread_id and t.paused)
      and not exists (select 1 from baton.runs o where o.thread_id = r.thread_id and o.status = 'pending'
                      and (o.attempt > 0, -o.position) > (r.attempt > 0, -r.position)
                      and (o.attempt > 0 or o.available_at <= now()))
    order by available_at, position limit $3 for update skip locked
  ), chosen as (
    table expired union all table waiting limit $3
  )
  update baton.runs r set status = 'running', worker_id = $1, lease_until = now() + $4 * interval '1 millisecond',
    fencing_token = nextval('baton.fencing_token'), turn = coalesce(r.turn, nextval('baton.turn')), attempt = attempt + 1,
    started_at = coalesce(started_at, now()), updated_at = now(), waits_for = null
  from chosen where r.run_id = chosen.run_id and ($5::boolean or ${NOTHING_IS_SEALED})
  returning r.run_id, thread_id, assistant_id, graph_id, created_at, updated_at, status, metadata, kwargs, multitask_strategy,
    extract(epoch from now() - available_at)::float8 * 1000 waited_ms, fencing_token, attempt, cancel_action, was_parked, auth_user,
    (select nullif(t.state_store, '${DEFAULT_STORE}') from baton.threads t where t.thread_id = r.thread_id) state_store`;
