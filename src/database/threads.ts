import { Access, type Guarded } from '../core/access.ts';
import { BusyError, InvalidInputError, NotFoundError } from '../core/errors.ts';
import type { Json, JsonObject } from '../core/json.ts';
import type { Thread, ThreadOutcome, ThreadTtl, TtlStrategy } from '../core/thread.ts';
import { DEFAULT_STORE, OtherStoreError } from '../core/state-store.ts';
import { CHANNELS, notifyEvents } from './channels.ts';
import type { Database, Queryable } from './database.ts';
import { pageClause, type Page } from './filter.ts';
import { KEY_CACHE_MS } from './sealing/thread-keys.ts';
import { spoiltThread, threadConditions, type ThreadFilter } from './thread-search.ts';

const COLUMNS = `thread_id, status, metadata, config, values, interrupts, error, created_at, updated_at, state_updated_at,
  nullif(state_store, '${DEFAULT_STORE}') state_store`;

export interface NewThread {
  thread_id: string;
  metadata: JsonObject;
  ttl_minutes?: number | undefined;
  /** With `ttl_minutes`; default `delete`. */
  ttl_strategy?: TtlStrategy | undefined;
}

/** When a thread may go. Default: now. */
export interface DeletionOptions {
  ifExpired?: boolean;
  ifIdleMinutes?: number;
}

/** What has to be known of a thread whose row is gone, to remove its state. */
export interface DeletedThread {
  state_store: string | null;
}

/** Where a thread is kept, and as of when. */
export interface ThreadPlace {
  busy: boolean;
  state_store: string | null;
  graph_id: string | null;
  /** When it was changed last: of the database, exactly. */
  at: string;
}

/** A thread that nobody else changes now. */
export interface IdleThread extends Pick<ThreadPlace, 'state_store' | 'at'> {
  token: number;
  /** From now on the thread is kept in this store, unless what is done while it is idle fails. */
  keepIn: (store: string) => Promise<void>;
}

type ThreadSort = 'thread_id' | 'status' | 'created_at' | 'updated_at' | 'state_updated_at';
export type ThreadPage = Page<ThreadSort>;

export class Threads implements Guarded<Threads> {
  readonly #db: Database;
  readonly #access: Access;
  constructor(database: Database, access = Access.everything) {
    this.#db = database;
    this.#access = access;
  }

  /** The same, as if there were no threads beyond the access. */
  within(access: Access): Threads {
    return new Threads(this.#db, access);
  }

  /** Null when the id is taken, or was until just now: the state of a deleted thread may still be there. */
  async insert(thread: NewThread): Promise<Thread | null> {
    const [row] = await this.#db.query<Thread>(
      `insert into baton.threads (thread_id, metadata, ttl_minutes, expires_at, ttl_strategy)
       select $1::uuid, $2::jsonb, $3::float8, now() + $3 * interval '1 minute', $4 ${UNLESS_DELETED}
       on conflict do nothing returning ${COLUMNS}`,
      [thread.thread_id, await this.#metadata(thread), thread.ttl_minutes ?? null, thread.ttl_strategy ?? 'delete'],
    );
    return row ?? null;
  }

  async get(threadId: string): Promise<Thread | null> {
    const [row] = await this.#db.prepared<Thread>(
      `select ${COLUMNS} from baton.threads where thread_id = $1 and metadata @> $2`,
      [threadId, this.#access.contains],
    );
    return row ?? null;
  }

  /** Merges metadata; with `ttl_minutes` the thread is kept that long from now. */
  async update(change: NewThread): Promise<Thread | null> {
    const { thread_id, ttl_minutes, ttl_strategy } = change;
    // To seal for a thread makes its key, which would stay where there is no thread.
    if (this.#db.sealing !== null && (await this.get(thread_id)) === null) return null;
    const [row] = await this.#db.query<Thread>(
      `update baton.threads set metadata = metadata || $2, updated_at = now(),
         ttl_minutes = coalesce($4, ttl_minutes), expires_at = coalesce(now() + $4 * interval '1 minute', expires_at),
         ttl_strategy = coalesce($5, ttl_strategy)
       where thread_id = $1 and metadata @> $3 returning ${COLUMNS}`,
      [thread_id, await this.#metadata(change), this.#access.contains, ttl_minutes ?? null, ttl_strategy ?? null],
    );
    return row ?? null;
  }

  /** Null for a thread that stays until it is deleted. */
  async ttl(threadId: string): Promise<ThreadTtl | null> {
    const [row] = await this.#db.query<ThreadTtl>(
      `select ttl_strategy strategy, ttl_minutes, expires_at from baton.threads
       where thread_id = $1 and metadata @> $2 and expires_at is not null`,
      [threadId, this.#access.contains],
    );
    return row ?? null;
  }

  /** Threads that are to go, since their time is over, and that nobody is busy with. `except`, here and below: whose turn it is not. */
  async expired(except: string[] = []): Promise<string[]> {
    const rows = await this.#db.query<{ thread_id: string }>(
      `select thread_id from baton.threads
       where expires_at <= now() and ttl_strategy = 'delete' and status <> 'busy' and thread_id <> all($1::uuid[])
       order by expires_at limit 100`,
      [except],
    );
    return rows.map((row) => row.thread_id);
  }

  /** Threads whose history is to go, since its time is over, and that nobody is busy with. */
  async prunable(limit: number, except: string[] = []): Promise<string[]> {
    const rows = await this.#db.query<{ thread_id: string }>(
      `select thread_id from baton.threads
       where expires_at <= now() and ttl_strategy = 'keep_latest' and status <> 'busy' and thread_id <> all($2::uuid[])
       order by expires_at limit $1`,
      [limit, except],
    );
    return rows.map((row) => row.thread_id);
  }

  /** Threads without a time to live of their own on which nothing happened for so long, and that were not pruned since. */
  async idleSince(minutes: number, limit: number, except: string[] = []): Promise<string[]> {
    const rows = await this.#db.query<{ thread_id: string }>(
      `select thread_id from baton.threads
       where updated_at <= now() - $1 * interval '1 minute' and expires_at is null and status <> 'busy' and not temporary
         and (pruned_at is null or pruned_at < updated_at) and thread_id <> all($3::uuid[])
       order by updated_at limit $2`,
      [minutes, limit, except],
    );
    return rows.map((row) => row.thread_id);
  }

  /** The thread's history was pruned by itself: its time begins anew. */
  async pruned(threadId: string): Promise<void> {
    await this.#db.query(
      `update baton.threads set pruned_at = now(), expires_at = now() + ttl_minutes * interval '1 minute'
       where thread_id = $1 and (expires_at is null or expires_at <= now())`,
      [threadId],
    );
  }

  /**
   * Does what needs that nobody changes the thread, under its row's lock: so it should not take long. `token` is newer than
   * that of any run or change that has begun; one by hand may be under way until the token is a fence. `busy`: a run waits
   * or runs, and nothing was done. Null: no such thread.
   */
  async whileIdle<T>(threadId: string, work: (thread: IdleThread) => Promise<T>): Promise<T | 'busy' | null> {
    return this.#db.transaction(async (tx) => {
      if (!(await lockThread(tx, threadId, this.#access))) return null;
      const [row] = await tx.query<Omit<IdleThread, 'keepIn'> & { has_runs: boolean }>(
        `select state_store, updated_at::text at, nextval('baton.fencing_token') token, exists (
           select from baton.runs r where r.thread_id = t.thread_id and r.status in ('pending', 'running')
         ) has_runs from baton.threads t where thread_id = $1`,
        [threadId],
      );
      if (!row) return null;
      if (row.has_runs) return 'busy';
      const keepIn = async (store: string): Promise<void> => {
        await tx.query('update baton.threads set state_store = $2, reserved_token = $3 where thread_id = $1', [
          threadId,
          store,
          row.token,
        ]);
      };
      return work({ ...row, keepIn });
    });
  }

  /**
   * Removes the thread, its runs and their events. A worker that still runs one is told to stop and fenced by the missing
   * row; readers of its log are told to look, and find it gone. `ifExpired`: not when it was given more time, or got busy; `ifIdleMinutes`: nor when
   * something happened on it meanwhile.
   * Null when there is no such thread.
   */
  async delete(
    threadId: string,
    { ifExpired = false, ifIdleMinutes }: DeletionOptions = {},
  ): Promise<DeletedThread | null> {
    const [row] = await this.#db.query<DeletedThread & { deleted: boolean }>(
      `with gone as (
         delete from baton.threads where thread_id = $1 and metadata @> $2
           and (not $3 or (expires_at <= now() and status <> 'busy'))
           and ($4::float8 is null or (expires_at is null and updated_at <= now() - $4 * interval '1 minute' and status <> 'busy'))
         returning thread_id, state_store
       ),
       noted as (
         insert into baton.deleted_threads (thread_id, state_store) select thread_id, state_store from gone on conflict do nothing
       ),
       told as (
         select pg_notify('${CHANNELS.cancel}', run_id::text), ${notifyEvents()}
         from baton.runs join gone using (thread_id) where status in ('pending', 'running')
       ), left_alone as (select pg_notify('${CHANNELS.events}', thread_id::text) from gone)
       select exists (select from left_alone) deleted, (select count(*) from told) told, (select state_store from gone) state_store`,
      [threadId, this.#access.contains, ifExpired, ifIdleMinutes ?? null],
    );
    return row?.deleted ? { state_store: row.state_store } : null;
  }

  /**
   * Whether nobody has got the thread after the holder of this token. For state stores that have no fences: it holds for
   * now, and not until something was written.
   */
  async isHeldBy(threadId: string, token: number): Promise<boolean> {
    const [row] = await this.#db.prepared<{ held: boolean }>(
      `select coalesce(reserved_token, 0) <= $2
         and not exists (select 1 from baton.runs r where r.thread_id = $1 and r.fencing_token > $2) held
       from baton.threads where thread_id = $1`,
      [threadId, token],
    );
    return row?.held ?? false;
  }

  /** The state of a deleted thread is gone too: its id may be used again, once no process can have its key in memory any more. */
  async forgetDeleted(threadId: string): Promise<void> {
    await this.#db.query(
      `with rested as (
         delete from baton.deleted_threads where thread_id = $1 and deleted_at <= now() - $2 * interval '1 millisecond' returning thread_id
       )
       delete from baton.thread_keys k using rested where k.thread_id = rested.thread_id::text`,
      [threadId, this.#restsMs],
    );
  }

  /** A thread whose deletion was not brought to its end. */
  async halfDeletion(threadId: string): Promise<DeletedThread | null> {
    const [row] = await this.#db.query<DeletedThread>(
      'select state_store from baton.deleted_threads where thread_id = $1',
      [threadId],
    );
    return row ?? null;
  }

  /** Threads whose deletion was not brought to its end. */
  async halfDeleted(olderThanMs: number, except: string[] = []): Promise<string[]> {
    const rows = await this.#db.query<{ thread_id: string }>(
      `select thread_id from baton.deleted_threads where deleted_at < now() - $1 * interval '1 millisecond'
       and thread_id <> all($2::uuid[]) limit 100`,
      [Math.max(olderThanMs, this.#restsMs), except],
    );
    return rows.map((row) => row.thread_id);
  }

  /**
   * Takes an idle thread for a change of its state by hand. Returns a fencing token that is older than that of any run
   * enqueued later: enqueue and reserve take the same row lock, and a run claims its token after it was enqueued.
   * `stores`: the names of the store that the change is meant for; returns the one that has the thread, from now on.
   * Throws NotFoundError, OtherStoreError, or BusyError when a run is waiting or running.
   */
  async reserve(
    threadId: string,
    stores: readonly [string, ...string[]] = [DEFAULT_STORE],
  ): Promise<{ token: number; state_store: string }> {
    return this.#db.transaction(async (tx) => {
      if (!(await lockThread(tx, threadId, this.#access))) throw new NotFoundError('Thread', threadId);
      if (await isBusy(tx, threadId)) throw new BusyError(threadId);
      const [row] = await tx.query<{ token: number; state_store: string }>(
        `update baton.threads set state_store = coalesce(state_store, $2), reserved_token = nextval('baton.fencing_token')
         where thread_id = $1 returning reserved_token token, state_store`,
        [threadId, stores[0]],
      );
      if (!row) throw new NotFoundError('Thread', threadId);
      if (!stores.includes(row.state_store)) throw new OtherStoreError(threadId, row.state_store, stores[0]);
      return row;
    });
  }

  /**
   * Shows a state that was changed by hand under this token. A run that was enqueued meanwhile keeps the thread busy; one
   * that was even claimed shows what it comes to by itself. `checkpoint`: where the change led to, for readers of the thread.
   */
  async settle(
    threadId: string,
    outcome: ThreadOutcome,
    token: number,
    checkpoint: Json = null,
  ): Promise<Thread | null> {
    const shown = await outcomeValues(this.#db, threadId, outcome);
    return this.#db.transaction(async (tx) => {
      if (!(await lockThread(tx, threadId, this.#access))) return null;
      const [row] = await tx.query<Thread>(
        `${SETTLE} and not exists (select 1 from baton.runs r where r.thread_id = $1 and r.fencing_token > $6) returning ${COLUMNS}`,
        [threadId, ...shown, token],
      );
      if (row && checkpoint !== null) {
        await tx.query(
          `with change as (insert into baton.thread_changes (thread_id, checkpoint) values ($1, $2))
           select pg_notify('${CHANNELS.events}', $1::uuid::text)`,
          [threadId, JSON.stringify(checkpoint)],
        );
      }
      return row ?? null;
    });
  }

  /** Null when there is no such thread. */
  async place(threadId: string): Promise<ThreadPlace | null> {
    const [row] = await this.#db.query<ThreadPlace>(
      `select status = 'busy' busy, state_store, metadata->>'graph_id' graph_id, updated_at::text at
       from baton.threads where thread_id = $1 and metadata @> $2`,
      [threadId, this.#access.contains],
    );
    return row ?? null;
  }

  /** A new thread with the source's shown state and metadata of its own. Null when the source is missing. */
  async copy(fromThreadId: string, toThreadId: string, metadata: JsonObject): Promise<Thread | null> {
    const [source] = await this.#db.query<CopiedThread>(
      `select thread_id, config, values, interrupts, error, resting_status status, state_store
       from baton.threads where thread_id = $1 and metadata @> $2`,
      [fromThreadId, this.#access.contains],
    );
    if (source === undefined) return null;
    const [row] = await this.#db.query<Thread>(
      `insert into baton.threads (thread_id, metadata, config, values, interrupts, error, status, resting_status, state_store)
       values ($1, $2, $3, $4, $5, $6, $7, $7, $8) returning ${COLUMNS}`,
      [
        toThreadId,
        await this.#metadata({ thread_id: toThreadId, metadata }),
        await (await this.#db.cells(toThreadId)).json(['thread.config', toThreadId], source.config),
        ...(await outcomeValues(this.#db, toThreadId, source)),
        source.state_store,
      ],
    );
    return row ?? null;
  }

  /** One that cannot be opened is shown without what is sealed; its `error` says why. */
  async search(filter: ThreadFilter, page: ThreadPage): Promise<Thread[]> {
    this.#requireClear(filter);
    const conditions = threadConditions(filter, this.#access);
    const columns = {
      thread_id: 'thread_id',
      status: 'status',
      created_at: 'created_at',
      updated_at: 'updated_at',
      state_updated_at: 'state_updated_at',
    };
    const order = pageClause(conditions, page, columns, 'thread_id');
    const text = `select ${COLUMNS} from baton.threads ${conditions.where} ${order}`;
    return this.#db.queryEach<Thread>(text, conditions.values, spoiltThread);
  }

  async count(filter: ThreadFilter): Promise<number> {
    this.#requireClear(filter);
    const conditions = threadConditions(filter, this.#access);
    const [row] = await this.#db.query<{ n: number }>(
      `select count(*) n from baton.threads ${conditions.where}`,
      conditions.values,
    );
    return row?.n ?? 0;
  }

  async #metadata({ thread_id, metadata }: NewThread): Promise<JsonObject> {
    return (await this.#db.cells(thread_id)).metadata(['thread.metadata', thread_id], metadata);
  }

  /** How long a deleted thread's id is not used again. */
  get #restsMs(): number {
    return this.#db.sealing === null ? 0 : ID_RESTS_MS;
  }

  #requireClear({ metadata, values }: ThreadFilter): void {
    this.#db.sealing?.requireClear(metadata, 'metadata');
    if (this.#db.sealing !== null && values !== undefined) {
      throw new InvalidInputError(
        'The values of threads are encrypted, and nothing can be found by them: search by metadata',
      );
    }
  }
}

type CopiedThread = Pick<Thread, 'thread_id' | 'config'> & ThreadOutcome & { state_store: string | null };

/** Longer than any process keeps a key in memory. */
const ID_RESTS_MS = KEY_CACHE_MS + 10_000;

/**
 * Takes the thread's row lock: whoever enqueues, ends or cancels a run of it holds the same one. False when it is missing
 * or beyond the access.
 * Always a statement of its own, so that what is read afterwards is read after the lock was given.
 */
export async function lockThread(tx: Queryable, threadId: string, access = Access.everything): Promise<boolean> {
  const rows = await tx.query('select 1 from baton.threads where thread_id = $1 and metadata @> $2 for update', [
    threadId,
    access.contains,
  ]);
  return rows.length > 0;
}

/** Whether a row of `threads` has a run that is running, or one that waits for nothing but a worker. */
export const IS_BUSY = `exists (select 1 from baton.runs r where r.thread_id = threads.thread_id
  and (r.status = 'running' or r.status = 'pending' and not threads.paused))`;

/** Assignments that show an outcome, given in four parameters from `first` on (`outcomeValues`). Right only under the thread's row lock. */
export const showOutcome = (first: number, isBusy: string): string =>
  `values = $${first}, interrupts = $${first + 1}, error = $${first + 2}, resting_status = $${first + 3},
  updated_at = now(), state_updated_at = now(), status = case when ${isBusy} then 'busy' else $${first + 3} end`;

/** Shows an outcome ($2 …) on thread $1. */
export const SETTLE = `update baton.threads set ${showOutcome(2, IS_BUSY)} where thread_id = $1`;

/** For the insertion of thread $1. */
export const UNLESS_DELETED = 'where not exists (select 1 from baton.deleted_threads d where d.thread_id = $1::uuid)';

/** Parameters of `showOutcome`: values, interrupts, error as JSON text, then the status. Not within a transaction. */
export async function outcomeValues(
  database: Database,
  threadId: string,
  { values, interrupts, error, status }: ThreadOutcome,
): Promise<unknown[]> {
  const cells = await database.cells(threadId);
  return [
    await cells.json(['thread.values', threadId], values),
    await cells.json(['thread.interrupts', threadId], interrupts),
    await cells.json(['thread.error', threadId], error),
    status,
  ];
}

async function isBusy(tx: Queryable, threadId: string): Promise<boolean> {
  const rows = await tx.query(`select 1 from baton.threads where thread_id = $1 and ${IS_BUSY}`, [threadId]);
  return rows.length > 0;
}
