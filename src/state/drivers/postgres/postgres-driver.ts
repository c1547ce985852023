import { Pool, type PoolClient } from 'pg';
import type { Logger } from 'pino';
import { ConflictError, FencedError } from '../../../core/errors.ts';
import type {
  CheckpointDriver,
  CheckpointKey,
  CheckpointQuery,
  LoadedCheckpoint,
  PutCheckpoint,
  PutWrites,
  StoredCheckpoint,
  StoredSizes,
  ThreadOutline,
  Values,
} from '../checkpoint-driver.ts';
import { outliveConnections } from '../../../core/connection-loss.ts';
import { GroupCommit } from './group-commit.ts';
import { whereClause } from './list-statement.ts';
import { migrate } from './migrate.ts';
import { lockThread, removeCheckpoints, sweepValues } from './removal.ts';
import { checkpointsOf, readRows, storedOf } from './stored-rows.ts';
import { fromKey, toKey } from '../text-key.ts';
import { outlineOf } from './thread-outline.ts';
import { transaction } from './transaction.ts';

interface PostgresDriverOptions {
  url: string;
  log: Logger;
  /** To share connections with the rest of the process. The driver then never closes it. */
  pool?: Pool | undefined;
}

/** Two commits on their way, and readers beside them. */
const MAX_CONNECTIONS = 8;

/** Checkpoints in schema `baton_state` of a Postgres. */
export class PostgresDriver implements CheckpointDriver {
  readonly #pool: Pool;
  readonly #owned: boolean;
  readonly #changes: GroupCommit;

  private constructor(pool: Pool, owned: boolean) {
    this.#pool = pool;
    this.#owned = owned;
    this.#changes = new GroupCommit(pool);
  }

  /** Connects and brings the schema up to date. */
  static async open({ url, log, pool }: PostgresDriverOptions): Promise<PostgresDriver> {
    const used = pool ?? ownPool(url, log);
    try {
      await migrate(used);
    } catch (error) {
      if (pool === undefined) await used.end();
      throw error;
    }
    return new PostgresDriver(used, pool === undefined);
  }

  put(put: PutCheckpoint): Promise<void> {
    return this.#changes.make({ put });
  }

  putWrites(putWrites: PutWrites): Promise<void> {
    return this.#changes.make({ putWrites });
  }

  async get(threadId: string, checkpointNs: string, checkpointId?: string): Promise<LoadedCheckpoint | undefined> {
    const query = { thread_id: threadId, checkpoint_ns: checkpointNs, checkpoint_id: checkpointId };
    return (await this.list(query, 1))[0];
  }

  async list(query: CheckpointQuery, limit: number, after?: CheckpointKey): Promise<LoadedCheckpoint[]> {
    const { shape, text: where, values } = whereClause(query, after);
    const text = `with hit as (
      select *, row_number() over () as at from (
        select * from baton_state.checkpoints ${where}
        order by seq desc, thread_id desc, checkpoint_ns desc limit ${limit}
      ) page
    ) ${storedOf(true)}`;
    // The limit is part of the text: as a parameter it would have the statement planned anew each time.
    return checkpointsOf(await readRows(this.#pool, `baton_state_list_${shape}_${limit}`, text, values));
  }

  async chain(
    threadId: string,
    ns: string,
    checkpointId: string | undefined,
    limit: number,
  ): Promise<StoredCheckpoint[]> {
    const {
      shape,
      text: where,
      values,
    } = whereClause({ thread_id: threadId, checkpoint_ns: ns, checkpoint_id: checkpointId }, undefined);
    const text = `with recursive path as (
      (select thread_id, checkpoint_ns, checkpoint_id, parent_id, 1::int8 as at
        from baton_state.checkpoints ${where} order by seq desc limit 1)
      union all
      select path.thread_id, path.checkpoint_ns, parent.checkpoint_id, parent.parent_id, at + 1
      from path join baton_state.checkpoints parent
        on parent.thread_id = path.thread_id and parent.checkpoint_ns = path.checkpoint_ns
        and parent.checkpoint_id = path.parent_id
      where at < $${values.length + 1}
    ),
    hit as (
      select stored.*, path.at from path join baton_state.checkpoints stored using (thread_id, checkpoint_ns, checkpoint_id)
    ) ${storedOf(false)}`;
    return checkpointsOf(await readRows(this.#pool, `baton_state_chain_${shape}`, text, [...values, limit]));
  }

  async values(threadId: string, ids: readonly string[]): Promise<Values> {
    const text = `select 'v' as kind, thread_id, '' as checkpoint_ns, id, body
      from baton_state.values where thread_id = $1 and id = any($2::text[])`;
    const rows = await readRows(this.#pool, 'baton_state_values', text, [toKey(threadId), ids]);
    return new Map(rows.map(({ id, body }) => [id, body]));
  }

  async sizes(threadId: string): Promise<StoredSizes> {
    const { rows } = await this.#pool.query<Record<string, number>>(
      `select c.*, v.*, w.* from
        (select count(*)::float8 checkpoints, coalesce(sum(octet_length(body) + coalesce(octet_length(parent_writes), 0)), 0)::float8 checkpoint_bytes
          from baton_state.checkpoints where thread_id = $1) c,
        (select count(*)::float8 values, coalesce(sum(octet_length(body)), 0)::float8 value_bytes
          from baton_state.values where thread_id = $1) v,
        (select count(*)::float8 writes, coalesce(sum(octet_length(body)), 0)::float8 write_bytes
          from baton_state.writes where thread_id = $1) w`,
      [toKey(threadId)],
    );
    const {
      checkpoints = 0,
      checkpoint_bytes = 0,
      values = 0,
      value_bytes = 0,
      writes = 0,
      write_bytes = 0,
    } = rows[0] ?? {};
    return {
      checkpoints: { count: checkpoints, bytes: checkpoint_bytes },
      values: { count: values, bytes: value_bytes },
      writes: { count: writes, bytes: write_bytes },
    };
  }

  async threads(limit: number, after?: string): Promise<string[]> {
    // One step in the index for each thread, however many checkpoints it has.
    const next = 'select thread_id from baton_state.checkpoints where thread_id >';
    const { rows } = await outliveConnections(() =>
      this.#pool.query<{ thread_id: string }>(
        `with recursive thread as (
          (${next} $1 order by thread_id limit 1)
          union all
          select found.thread_id from thread, lateral (${next} thread.thread_id order by thread_id limit 1) found
        )
        select thread_id from thread limit $2`,
        [after === undefined ? '' : toKey(after), limit],
      ),
    );
    return rows.map(({ thread_id }) => fromKey(thread_id));
  }

  async fence(threadId: string, token: number): Promise<void> {
    const { rows } = await outliveConnections(() =>
      this.#pool.query<{ newer: boolean }>({
        name: 'baton_state_fence',
        text: `insert into baton_state.fences as fence (thread_id, token) values ($1, $2)
          on conflict (thread_id) do update set token = greatest(fence.token, excluded.token)
          returning token > $2 as newer`,
        values: [toKey(threadId), token],
      }),
    );
    if (rows[0]?.newer === true) throw new FencedError(threadId);
  }

  async deleteThread(threadId: string): Promise<void> {
    await this.#transaction(async (client) => {
      const thread = [toKey(threadId)];
      // The fence first: this waits for the fenced writes on their way, so that what follows sees their rows.
      await client.query('delete from baton_state.fences where thread_id = $1', thread);
      await client.query(
        `with checkpoint as (delete from baton_state.checkpoints where thread_id = $1),
          writes as (delete from baton_state.writes where thread_id = $1)
        delete from baton_state.values where thread_id = $1`,
        thread,
      );
    });
  }

  async copyThread(fromThreadId: string, toThreadId: string): Promise<void> {
    const threads = [toKey(fromThreadId), toKey(toThreadId)];
    // Before the transaction, which may be done twice.
    if ((await this.chain(toThreadId, '', undefined, 1)).length > 0) {
      throw new ConflictError(`Thread ${toThreadId} has checkpoints: copy to a new thread`);
    }
    await this.#transaction(async (client) => {
      await client.query(
        `with value as (
          insert into baton_state.values (thread_id, id, body)
          select $2, id, body from baton_state.values where thread_id = $1 on conflict do nothing
        ),
        writes as (
          insert into baton_state.writes (thread_id, checkpoint_ns, checkpoint_id, seq, task_id, task_path, run_id, value_ids, body, folded)
          select $2, checkpoint_ns, checkpoint_id, seq, task_id, task_path, run_id, value_ids, body, folded
          from baton_state.writes where thread_id = $1 on conflict do nothing
        )
        insert into baton_state.checkpoints
          (thread_id, checkpoint_ns, checkpoint_id, parent_id, run_id, seq, metadata, value_ids, body, parent_writes,
            parent_value_ids, stored_at, deltas)
        select $2, checkpoint_ns, checkpoint_id, parent_id, run_id, seq, metadata, value_ids, body, parent_writes,
          parent_value_ids, stored_at, deltas
        from baton_state.checkpoints where thread_id = $1 on conflict do nothing`,
        threads,
      );
    });
  }

  async deleteRun(threadId: string, runId: string): Promise<void> {
    await this.#transaction(async (client) => {
      const run = [toKey(threadId), toKey(runId)];
      await lockThread(client, toKey(threadId));
      const later = await client.query<{ checkpoint_id: string }>(
        `select child.checkpoint_id from baton_state.checkpoints child join baton_state.checkpoints parent
          on parent.thread_id = child.thread_id and parent.checkpoint_ns = child.checkpoint_ns
          and parent.checkpoint_id = child.parent_id
        where child.thread_id = $1 and parent.run_id = $2 and child.run_id is distinct from $2 limit 1`,
        run,
      );
      if (later.rows[0] !== undefined) {
        const { checkpoint_id } = later.rows[0];
        throw new ConflictError(`Run ${runId} cannot be undone: the checkpoint ${checkpoint_id} was built on it`);
      }
      await client.query(
        `with gone as (
          delete from baton_state.checkpoints where thread_id = $1 and run_id = $2 returning checkpoint_ns, checkpoint_id
        )
        delete from baton_state.writes
        where thread_id = $1 and (run_id = $2 or (checkpoint_ns, checkpoint_id) in (select * from gone))`,
        run,
      );
      await sweepValues(client, toKey(threadId));
    });
  }

  outline(threadId: string): Promise<ThreadOutline> {
    return outlineOf(this.#pool, threadId);
  }

  async remove(threadId: string, checkpoints: readonly CheckpointKey[], token?: number): Promise<void> {
    await this.#transaction((client) => removeCheckpoints(client, threadId, checkpoints, token));
  }

  async close(): Promise<void> {
    if (this.#owned) await this.#pool.end();
  }

  #transaction(work: (client: PoolClient) => Promise<void>): Promise<void> {
    return outliveConnections(() => transaction(this.#pool, work));
  }
}

function ownPool(url: string, log: Logger): Pool {
  const pool = new Pool({
    connectionString: url,
    application_name: 'baton state',
    max: MAX_CONNECTIONS,
    keepAlive: true,
    connectionTimeoutMillis: 10_000,
    statement_timeout: 60_000,
    idle_in_transaction_session_timeout: 60_000,
  });
  // Without a listener a killed idle backend would end the process.
  pool.on('error', (error) => log.warn({ err: error }, 'an idle connection to the state store was lost'));
  return pool;
}
