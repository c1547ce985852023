import { Access, type Guarded } from '../core/access.ts';
import type { RunConfig } from '../core/assistant.ts';
import type { AuthUser } from '../core/caller.ts';
import { OF_NO_THREAD } from '../core/data-key.ts';
import { BusyError, NotFoundError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { planMultitask } from '../core/multitask.ts';
import { OtherStoreError } from '../core/state-store.ts';
import { END_EVENT } from '../core/run-event.ts';
import type { CancelAction, Run, RunStatus } from '../core/run.ts';
import { CHANNELS, notifyEvents } from './channels.ts';
import type { Database, Queryable } from './database.ts';
import { IS_BUSY, lockThread, UNLESS_DELETED } from './threads.ts';

/** When a run goes on that waits for nothing but an event. */
export const NEVER = `timestamptz '9999-12-31 00:00:00+00'`;

const COLUMNS = 'run_id, thread_id, assistant_id, created_at, updated_at, status, metadata, kwargs, multitask_strategy';
const SHOWN = `${COLUMNS}, case when waits_for is not null then
  json_build_object('until', nullif(available_at, ${NEVER}), 'tasks', waits_for) end waits_for`;
/** A run belongs to whom its thread belongs to. `$n` is the parameter with what the thread's metadata must contain. */
const within = (n: number) =>
  `exists (select 1 from baton.threads t where t.thread_id = runs.thread_id and t.metadata @> $${n})`;

/** What goes on with a paused thread goes before what was queued on it. Null on any other thread ($2). */
const FIRST_AFTER_PAUSE = `select min(o.position) - 1 from baton.runs o join baton.threads t using (thread_id)
  where t.thread_id = $2 and t.paused and o.status = 'pending'`;

export interface EnqueueRequest {
  run: Omit<Run, 'created_at' | 'updated_at' | 'status'> & { graph_id: string };
  ifThreadMissing: 'create' | 'reject';
  /** The run may not start earlier than this many milliseconds from now, by the database's clock. */
  delayMs: number;
  /** Who asked for it; null where there is no authentication. For the run's nodes only: it is not shown. */
  user: AuthUser | null;
  /** Of a thread that is made for this run. */
  newThreadMetadata: JsonObject;
  /** Merged into the thread's, so that a thread says which graph and assistant it belongs to. */
  threadMetadata: JsonObject;
  threadConfig: RunConfig;
  /** The names of the store that the graph's threads are kept in. A thread that has no state yet gets the first. */
  stateStores: readonly [string, ...string[]];
}

/** A run that is ready to be queued, and the threads on which whoever asked for it may do that. */
export interface RunPlan {
  access: Access;
  plan: EnqueueRequest;
}

/** What became of a request to stop a run: it ended at once, its worker was told, or it had ended before. */
export type CancelResult = 'ended' | 'signalled' | 'already_ended';

/** Runs as callers see them. What workers do with them is in RunQueue. */
export class Runs implements Guarded<Runs> {
  readonly #db: Database;
  readonly #access: Access;
  constructor(database: Database, access = Access.everything) {
    this.#db = database;
    this.#access = access;
  }

  /** The same, as if there were no threads beyond the access, and no runs on them. */
  within(access: Access): Runs {
    return new Runs(this.#db, access);
  }

  /** One statement, or one transaction of {@link enqueueRun}. Throws as that does. */
  async enqueue(request: EnqueueRequest): Promise<Run> {
    const columns = await runColumns(this.#db, request);
    return (
      (await this.#enqueueAlone(request, columns)) ??
      this.#db.transaction((tx) => enqueueRun(tx, { access: this.#access, plan: request }, columns))
    );
  }

  /**
   * On a thread that is new or idle there is nobody to make room, which its row alone tells: whoever adds a run marks it.
   * Null when it is another one, or one that cannot be had.
   */
  async #enqueueAlone(request: EnqueueRequest, columns: RunColumns): Promise<Run | null> {
    const [row] = await this.#db.prepared<Run>(ENQUEUE_ALONE, [
      ...columns.values,
      this.#access.contains,
      request.ifThreadMissing === 'create',
      request.run.kwargs.temporary_thread,
      columns.newThreadMetadata,
    ]);
    return row ?? null;
  }

  async get(threadId: string, runId: string): Promise<Run | null> {
    const [row] = await this.#db.query<Run>(
      `select ${SHOWN} from baton.runs where thread_id = $1 and run_id = $2 and ${within(3)}`,
      [threadId, runId, this.#access.contains],
    );
    return row ? shown(row) : null;
  }

  /** By its id alone. */
  async find(runId: string): Promise<Run | null> {
    const [row] = await this.#db.query<Run>(`select ${SHOWN} from baton.runs where run_id = $1 and ${within(2)}`, [
      runId,
      this.#access.contains,
    ]);
    return row ? shown(row) : null;
  }

  /** Newest first. */
  async list(
    threadId: string,
    page: { limit: number; offset: number; status?: RunStatus | undefined },
  ): Promise<Run[]> {
    const runs = await this.#db.query<Run>(
      `select ${SHOWN} from baton.runs where thread_id = $1 and ($2::text is null or status = $2) and ${within(5)}
       order by position desc limit $3 offset $4`,
      [threadId, page.status ?? null, page.limit, page.offset, this.#access.contains],
    );
    return runs.map(shown);
  }

  /** The run on this thread that a worker holds, or that has given its worker up to wait; if any. */
  async running(threadId: string): Promise<Run | null> {
    const [row] = await this.#db.query<Run>(
      `select ${COLUMNS} from baton.runs
       where thread_id = $1 and (status = 'running' or status = 'pending' and waits_for is not null) and ${within(2)}`,
      [threadId, this.#access.contains],
    );
    return row ?? null;
  }

  /** The runs that wait or run, in the order in which they came; of one thread, if one is named. */
  async active(
    statuses: readonly ('pending' | 'running')[],
    threadId?: string,
  ): Promise<Pick<Run, 'thread_id' | 'run_id'>[]> {
    return this.#db.query(
      `select thread_id, run_id from baton.runs
       where status = any($1) and ($2::uuid is null or thread_id = $2) and ${within(3)} order by position`,
      [statuses, threadId ?? null, this.#access.contains],
    );
  }

  /** Stops a run wherever it is. Throws NotFoundError. */
  async cancel(threadId: string, runId: string, action: CancelAction): Promise<CancelResult> {
    return this.#db.transaction(async (tx) => {
      if (!(await lockThread(tx, threadId, this.#access))) throw new NotFoundError('Run', runId);
      const [run] = await tx.query<ActiveRun>(
        'select run_id, status, attempt > 0 begun from baton.runs where thread_id = $1 and run_id = $2 for update',
        [threadId, runId],
      );
      if (!run) throw new NotFoundError('Run', runId);
      if (run.status === 'pending' && !run.begun && action !== 'pause') {
        await dropPending(tx, [runId], action);
        await refreshStatus(tx, threadId);
        return 'ended';
      }
      if (run.status !== 'pending' && run.status !== 'running') return 'already_ended';
      await signalCancel(tx, [runId], action);
      return 'signalled';
    });
  }

  /** Removes an ended run and its log. Throws NotFoundError, or BusyError while it is waiting or running. */
  async delete(threadId: string, runId: string): Promise<void> {
    await this.#db.transaction(async (tx) => {
      if (!(await lockThread(tx, threadId, this.#access))) throw new NotFoundError('Run', runId);
      const [run] = await tx.query<{ active: boolean }>(
        `select status in ('pending', 'running') active from baton.runs where thread_id = $1 and run_id = $2`,
        [threadId, runId],
      );
      if (!run) throw new NotFoundError('Run', runId);
      if (run.active) throw new BusyError(threadId);
      await tx.query('delete from baton.runs where run_id = $1', [runId]);
    });
  }
}

/** Where a thread is kept, from now on if it was not before. $12: the stores that the run can work with. */
const STATE_STORE = 'coalesce(threads.state_store, ($12::text[])[1])';

const ENQUEUE_ALONE = `
  with made as (
    insert into baton.threads (thread_id, status, temporary, metadata, config, state_store)
    select $2::uuid, 'busy', $15::boolean, $16::jsonb || $10::jsonb, $11::jsonb, ($12::text[])[1]
    where $14::boolean and not exists (select 1 from baton.deleted_threads d where d.thread_id = $2)
    on conflict do nothing returning thread_id
  ), rested as (
    update baton.threads set status = 'busy', metadata = metadata || $10, config = $11, updated_at = now(), state_store = ${STATE_STORE}
    where thread_id = $2 and status <> 'busy' and not paused and metadata @> $13 and ${STATE_STORE} = any($12) returning thread_id
  ), woken as (
    select thread_id, pg_notify('${CHANNELS.runs}', '') from (table made union all table rested) thread
  )
  insert into baton.runs (run_id, thread_id, assistant_id, graph_id, status, kwargs, metadata, multitask_strategy, available_at, auth_user)
  select $1, thread_id, $3, $4, 'pending', $5, $6, $7, now() + $8 * interval '1 millisecond', $9 from woken
  returning ${COLUMNS}`;

/**
 * Applies the multitask strategy, inserts the run, marks the thread busy and wakes a worker. A paused thread goes on with it.
 * Throws NotFoundError (thread), OtherStoreError and BusyError (`reject`).
 */
export async function enqueueRun(tx: Queryable, { access, plan }: RunPlan, columns: RunColumns): Promise<Run> {
  const { run } = plan;
  const isNew = plan.ifThreadMissing === 'create' && (await insertThread(tx, plan, columns));
  if (!isNew && !(await lockThread(tx, run.thread_id, access))) throw new NotFoundError('Thread', run.thread_id);
  await checkStore(tx, plan);
  await makeRoom(tx, run);
  const [row] = await tx.query<Run>(
    `with thread as (
       update baton.threads set status = 'busy', paused = false, metadata = metadata || $10, config = $11, updated_at = now(), state_store = ${STATE_STORE}
       where thread_id = $2
     ), wake as (select pg_notify('${CHANNELS.runs}', ''))
     insert into baton.runs (run_id, thread_id, assistant_id, graph_id, status, kwargs, metadata, multitask_strategy, available_at, auth_user, position)
     select $1, $2, $3, $4, 'pending', $5, $6, $7, now() + $8 * interval '1 millisecond', $9,
       coalesce((${FIRST_AFTER_PAUSE}), nextval(pg_get_serial_sequence('baton.runs', 'position'))) from wake
     returning ${COLUMNS}`,
    columns.values,
  );
  if (!row) throw new NotFoundError('Thread', run.thread_id);
  return row;
}

/** A request as columns take it. */
export interface RunColumns {
  /** The run ($1 to $9), and what its thread takes from it ($10 to $12). */
  values: unknown[];
  newThreadMetadata: JsonObject;
}

/** Before the transaction in which the run is queued. */
export async function runColumns(database: Database, plan: EnqueueRequest): Promise<RunColumns> {
  const { run, user, delayMs, threadMetadata, threadConfig, newThreadMetadata, stateStores } = plan;
  const { run_id, thread_id, kwargs } = run;
  const cells = await database.cells(thread_id);
  return {
    values: [
      run_id,
      thread_id,
      run.assistant_id,
      run.graph_id,
      await cells.json(['run.kwargs', run_id], kwargs, await shownKwargs(database, run)),
      await cells.metadata(['run.metadata', run_id], run.metadata),
      run.multitask_strategy,
      delayMs,
      user && (await cells.json(['run.auth_user', run_id], user)),
      await cells.metadata(['thread.metadata', thread_id], threadMetadata),
      await cells.json(['thread.config', thread_id], threadConfig),
      stateStores,
    ],
    newThreadMetadata: await cells.metadata(['thread.metadata', thread_id], newThreadMetadata),
  };
}

/** What SQL needs of sealed kwargs. The webhook is told of the run's end also when the thread, with its key, is gone. */
async function shownKwargs(database: Database, { run_id, kwargs }: EnqueueRequest['run']): Promise<JsonObject> {
  const shown: JsonObject = kwargs.protocol ? { protocol: kwargs.protocol } : {};
  if (database.sealing === null || kwargs.webhook === undefined) return shown;
  const server = await database.cells(OF_NO_THREAD);
  const host = URL.canParse(kwargs.webhook) ? server.name('host', new URL(kwargs.webhook).host) : '';
  return { ...shown, webhook: await server.text(['run.url', run_id], kwargs.webhook, host) };
}

/** Only a run that waits says so. */
function shown({ waits_for, ...run }: Run): Run {
  return waits_for ? { ...run, waits_for } : run;
}

async function checkStore(tx: Queryable, { run: { thread_id }, stateStores }: EnqueueRequest): Promise<void> {
  const [thread] = await tx.query<{ state_store: string | null }>(
    'select state_store from baton.threads where thread_id = $1',
    [thread_id],
  );
  const kept = thread?.state_store ?? stateStores[0];
  if (!stateStores.includes(kept)) throw new OtherStoreError(thread_id, kept, stateStores[0]);
}

/** False when there is such a thread already. Whoever made it holds its lock. */
async function insertThread(
  tx: Queryable,
  { run }: EnqueueRequest,
  { newThreadMetadata }: RunColumns,
): Promise<boolean> {
  const made = await tx.query(
    `insert into baton.threads (thread_id, temporary, metadata)
     select $1::uuid, $2::boolean, $3::jsonb ${UNLESS_DELETED} on conflict do nothing returning 1`,
    [run.thread_id, run.kwargs.temporary_thread, newThreadMetadata],
  );
  return made.length > 0;
}

/** A run that its thread is busy with. Begun = a worker has had it, so that the state may hold something of it. */
type ActiveRun = Pick<Run, 'run_id' | 'status'> & { begun: boolean };

/** The thread's status from its runs, and from what it rests at when there are none. Under the thread's row lock. */
async function refreshStatus(tx: Queryable, threadId: string): Promise<void> {
  await tx.query(
    `update baton.threads set updated_at = now(),
       status = case when ${IS_BUSY} then 'busy' else resting_status end
     where thread_id = $1`,
    [threadId],
  );
}

/** Applies the multitask strategy of a new run to those that its thread is busy with. Under the thread's row lock. */
async function makeRoom(tx: Queryable, run: EnqueueRequest['run']): Promise<void> {
  const active = await tx.query<ActiveRun>(
    `select run_id, status, attempt > 0 begun from baton.runs where thread_id = $1 and status in ('pending', 'running') for update`,
    [run.thread_id],
  );
  const plan = planMultitask(run.multitask_strategy, active.length);
  if (plan.refuse) throw new BusyError(run.thread_id);
  if (plan.cancel === null) return;
  const idsOf = (begun: boolean) => active.filter((other) => other.begun === begun).map((other) => other.run_id);
  await dropPending(tx, idsOf(false), plan.cancel);
  await signalCancel(tx, idsOf(true), plan.cancel);
}

/** Ends runs that no worker has ever taken: there is nothing to stop, and nothing of theirs in the state. */
async function dropPending(tx: Queryable, runIds: string[], action: 'interrupt' | 'rollback'): Promise<void> {
  if (runIds.length === 0) return;
  await tx.query(`select ${notifyEvents()} from baton.runs where run_id = any($1::uuid[])`, [runIds]);
  if (action === 'rollback') {
    await tx.query('delete from baton.runs where run_id = any($1::uuid[])', [runIds]);
  } else {
    await tx.query(
      `with ended as (
         update baton.runs set status = 'interrupted', turn = coalesce(turn, nextval('baton.turn')),
           ended_at = now(), updated_at = now(), auth_user = null
         where run_id = any($1::uuid[]) returning run_id
       )
       insert into baton.run_events (run_id, seq, event, data)
       select e.run_id, coalesce((select max(seq) + 1 from baton.run_events l where l.run_id = e.run_id), 0),
              '${END_EVENT}', '{"status":"interrupted"}' from ended e`,
      [runIds],
    );
  }
}

/**
 * Tells the worker that holds a run, or the next one that takes it up, to stop it. The row keeps the order, so a lost
 * NOTIFY or worker loses nothing.
 */
async function signalCancel(tx: Queryable, runIds: string[], action: CancelAction): Promise<void> {
  if (runIds.length === 0) return;
  await tx.query(
    `with told as (update baton.runs set cancel_action = $2, available_at = least(available_at, now()), updated_at = now() where run_id = any($1::uuid[]) returning run_id)
     select pg_notify('${CHANNELS.cancel}', run_id::text), pg_notify('${CHANNELS.runs}', '') from told`,
    [runIds, action],
  );
}
