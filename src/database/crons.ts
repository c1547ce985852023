import { Access, type Guarded } from '../core/access.ts';
import type { Cron, KeptCron } from '../core/cron.ts';
import { OF_NO_THREAD } from '../core/data-key.ts';
import { NotFoundError, ServiceError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import type { Run } from '../core/run.ts';
import { CHANNELS } from './channels.ts';
import { breaksReference, type Database, type Queryable } from './database.ts';
import { Filter, pageClause, type Page } from './filter.ts';
import { enqueueRun, runColumns, type RunPlan } from './runs.ts';
import { type Cells, metadataInClear } from './sealing/cells.ts';
import { NOTHING_IS_SEALED } from './sealing/plain-guard.ts';
import { lockThread } from './threads.ts';

const COLUMNS = `cron_id, assistant_id, thread_id, on_run_completed, end_time, schedule, timezone, created_at, updated_at,
  auth_user, payload, next_run_date, metadata, enabled`;
const KEPT = `${COLUMNS}, has_key, headers, revision, now() now`;
const WAKE = `select pg_notify('${CHANNELS.crons}', '')`;

export type NewCron = Omit<Cron, 'created_at' | 'updated_at' | 'user_id'>;
export type CronChange = Omit<NewCron, 'cron_id' | 'assistant_id' | 'thread_id'>;

export interface CronFilter {
  assistant_id?: string | undefined;
  thread_id?: string | undefined;
  enabled?: boolean | undefined;
  metadata?: JsonObject | undefined;
}
type CronSort = 'cron_id' | 'assistant_id' | 'thread_id' | 'next_run_date' | 'end_time' | 'created_at' | 'updated_at';
export type CronPage = Page<CronSort>;

export class Crons implements Guarded<Crons> {
  readonly #db: Database;
  readonly #access: Access;
  constructor(database: Database, access = Access.everything) {
    this.#db = database;
    this.#access = access;
  }

  /** The same, as if there were no crons beyond the access. */
  within(access: Access): Crons {
    return new Crons(this.#db, access);
  }

  /** The clock that decides when a cron is due. */
  async now(): Promise<Date> {
    const [row] = await this.#db.query<{ now: string }>('select now() now');
    return new Date(row?.now ?? Number.NaN);
  }

  /** Throws NotFoundError when its assistant or thread was deleted meanwhile. */
  async insert(cron: NewCron, { user, hasKey, headers }: KeptCron['maker']): Promise<Cron> {
    const cells = await this.#db.cells(cron.thread_id ?? OF_NO_THREAD);
    const values = await changeValues(cells, cron.cron_id, cron);
    try {
      const [row] = await this.#db.query<ShownRow>(
        `with wake as (${WAKE})
         insert into baton.crons (cron_id, assistant_id, thread_id, schedule, timezone, end_time, enabled, on_run_completed,
           payload, metadata, next_run_date, auth_user, has_key, headers)
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14 from wake returning ${COLUMNS}`,
        [
          cron.cron_id,
          cron.assistant_id,
          cron.thread_id,
          ...values,
          user && (await cells.json(['cron.auth_user', cron.cron_id], user)),
          hasKey,
          await cells.json(['cron.headers', cron.cron_id], headers),
        ],
      );
      return shownCron(row as ShownRow);
    } catch (error) {
      if (breaksReference(error, 'crons_thread_id_fkey')) throw new NotFoundError('Thread', cron.thread_id ?? '');
      if (breaksReference(error, 'crons_assistant_id_fkey')) throw new NotFoundError('Assistant', cron.assistant_id);
      throw error;
    }
  }

  async get(cronId: string): Promise<KeptCron | null> {
    const [row] = await this.#db.query<CronRow>(
      `select ${KEPT} from baton.crons where cron_id = $1 and metadata @> $2`,
      [cronId, this.#access.contains],
    );
    return row ? keptCron(row) : null;
  }

  /** Null when it is gone, or was changed or run since it was read. */
  async change({ cron, revision }: KeptCron, change: CronChange): Promise<Cron | null> {
    const values = await changeValues(await this.#db.cells(cron.thread_id ?? OF_NO_THREAD), cron.cron_id, change);
    const [row] = await this.#db.query<ShownRow>(
      `with wake as (${WAKE})
       update baton.crons set schedule = $3, timezone = $4, end_time = $5, enabled = $6, on_run_completed = $7, payload = $8,
         metadata = $9, next_run_date = $10, revision = revision + 1, updated_at = now()
       from wake where cron_id = $1 and revision = $2 and metadata @> $11 returning ${COLUMNS}`,
      [cron.cron_id, revision, ...values, this.#access.contains],
    );
    return row ? shownCron(row) : null;
  }

  /** One that cannot be opened is shown without what is sealed. */
  async search(filter: CronFilter, page: CronPage): Promise<Cron[]> {
    this.#db.sealing?.requireClear(filter.metadata, 'metadata');
    const conditions = cronConditions(filter, this.#access);
    const columns = {
      cron_id: 'cron_id',
      assistant_id: 'assistant_id',
      thread_id: 'thread_id',
      next_run_date: 'next_run_date',
      end_time: 'end_time',
      created_at: 'created_at',
      updated_at: 'updated_at',
    };
    const order = pageClause(conditions, page, columns, 'cron_id');
    const text = `select ${COLUMNS} from baton.crons ${conditions.where} ${order}`;
    const rows = await this.#db.queryEach<ShownRow>(text, conditions.values, ({ metadata }) => ({
      metadata: metadataInClear(metadata),
      payload: {},
      auth_user: null,
    }));
    return rows.map(shownCron);
  }

  async count(filter: CronFilter): Promise<number> {
    this.#db.sealing?.requireClear(filter.metadata, 'metadata');
    const conditions = cronConditions(filter, this.#access);
    const [row] = await this.#db.query<{ n: number }>(
      `select count(*) n from baton.crons ${conditions.where}`,
      conditions.values,
    );
    return row?.n ?? 0;
  }

  async delete(cronId: string): Promise<boolean> {
    const rows = await this.#db.query('delete from baton.crons where cron_id = $1 and metadata @> $2 returning 1', [
      cronId,
      this.#access.contains,
    ]);
    return rows.length > 0;
  }

  /** Crons of these graphs whose time has come, the longest due first. One that cannot be read has a `fault`. */
  async due(graphIds: readonly string[], { limit, except }: { limit: number; except: string[] }): Promise<KeptCron[]> {
    await this.#db.requireReadable();
    const rows = await this.#db.preparedAsStored<CronRow>(
      `select ${KEPT} from baton.crons
       where next_run_date <= now() and ${OF_GRAPHS} and cron_id <> all($2::uuid[]) and ($4::boolean or ${NOTHING_IS_SEALED})
       order by next_run_date limit $3`,
      [graphIds, except, limit, this.#db.sealing !== null],
    );
    const due: KeptCron[] = [];
    for (const row of rows) {
      try {
        await this.#db.sealing?.open([row]);
        due.push(keptCron(row));
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        due.push({ ...keptCron(row), fault: error });
      }
    }
    return due;
  }

  /** Milliseconds until the next cron of these graphs is due, by the database's clock; null when there is none. */
  async msToNext(graphIds: readonly string[]): Promise<number | null> {
    const [row] = await this.#db.query<{ ms: number | null }>(
      `select extract(epoch from min(next_run_date) - now())::float8 * 1000 ms from baton.crons where ${OF_GRAPHS}`,
      [graphIds],
    );
    return row?.ms ?? null;
  }

  /**
   * Queues the run of a tick and sets the next one, or neither: so nothing is lost by a crash, nor twice on two schedulers.
   * Null when another one was faster. Errors as in {@link enqueueRun}.
   */
  async run({ cron, revision }: KeptCron, plan: RunPlan, nextRunDate: Date | null): Promise<Run | null> {
    const columns = await runColumns(this.#db, plan.plan);
    return this.#db.transaction(async (tx) => {
      // The thread before the cron: its deletion takes them in that order, too.
      if (cron.thread_id !== null && !(await lockThread(tx, cron.thread_id))) return null;
      if (!(await reschedule(tx, { cron, revision }, nextRunDate))) return null;
      return enqueueRun(tx, plan, columns);
    });
  }

  /** Sets the next tick without a run for this one. */
  async skip(kept: KeptCron, nextRunDate: Date | null): Promise<void> {
    await reschedule(this.#db, kept, nextRunDate);
  }
}

const OF_GRAPHS = `exists (select 1 from baton.assistants a where a.assistant_id = crons.assistant_id and a.graph_id = any($1))`;

type ShownRow = Omit<Cron, 'user_id'> & { auth_user: KeptCron['maker']['user'] };
type CronRow = ShownRow & {
  has_key: boolean;
  headers: Record<string, string>;
} & Pick<KeptCron, 'revision' | 'now'>;

function shownCron({ auth_user, ...cron }: ShownRow): Cron {
  return { ...cron, user_id: auth_user?.identity ?? null };
}

function keptCron({ has_key: hasKey, headers, revision, now, ...row }: CronRow): KeptCron {
  return { cron: shownCron(row), maker: { user: row.auth_user, hasKey, headers }, revision, now };
}

/** False when somebody else has it in his hands, or had since it was read. */
async function reschedule(
  tx: Queryable,
  { cron, revision }: Pick<KeptCron, 'cron' | 'revision'>,
  nextRunDate: Date | null,
): Promise<boolean> {
  const rows = await tx.query(
    `update baton.crons set next_run_date = $3, revision = revision + 1
     where cron_id = (select cron_id from baton.crons where cron_id = $1 and revision = $2 for update skip locked)
     returning 1`,
    [cron.cron_id, revision, nextRunDate],
  );
  return rows.length > 0;
}

async function changeValues(cells: Cells, cronId: string, change: CronChange): Promise<unknown[]> {
  return [
    change.schedule,
    change.timezone,
    change.end_time,
    change.enabled,
    change.on_run_completed,
    await cells.json(['cron.payload', cronId], change.payload),
    await cells.metadata(['cron.metadata', cronId], change.metadata),
    change.next_run_date,
  ];
}

function cronConditions({ assistant_id, thread_id, enabled, metadata }: CronFilter, access: Access): Filter {
  return new Filter()
    .within(access)
    .andIf('assistant_id = ?', assistant_id)
    .andIf('thread_id = ?', thread_id)
    .andIf('enabled = ?', enabled)
    .andIf('metadata @> ?', metadata);
}
