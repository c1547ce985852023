import { setImmediate } from 'node:timers/promises';
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
import { fromKey, toKey, toNullableKey } from '../text-key.ts';
import { fileOfUrl } from './file-of-url.ts';
import { ChangeQueue } from './change-queue.ts';
import { removeCheckpoints, removeRun } from './removal.ts';
import { outlive } from './sqlite-failure.ts';
import { SqliteFile } from './sqlite-file.ts';
import { findCheckpoints, parentOf, readValues, withValues } from './stored-rows.ts';
import { addThread, threadOf } from './thread-number.ts';
import { outlineOf } from './thread-outline.ts';

/** So many pages are given back to the file system in one go. */
const PAGES = 1000;

/** Checkpoints in one file, for any number of processes of one machine. */
export class SqliteDriver implements CheckpointDriver {
  readonly #file: SqliteFile;
  readonly #changes: ChangeQueue;

  constructor(file: SqliteFile) {
    this.#file = file;
    this.#changes = new ChangeQueue(file);
  }

  /** @param options.url `sqlite:/absolute/path` */
  static async open({ url }: { url: string }): Promise<SqliteDriver> {
    return new SqliteDriver(await SqliteFile.open(fileOfUrl(url)));
  }

  put(change: PutCheckpoint): Promise<void> {
    const { row, search, value_ids, deltas } = change;
    return this.#changes.make(() => {
      const thread = this.#writable(change);
      this.#file.run(
        `insert into checkpoints (thread, checkpoint_ns, checkpoint_id, parent_id, run_id, metadata, value_ids, deltas, body)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?)
        on conflict (thread, checkpoint_ns, checkpoint_id) do update set
          parent_id = excluded.parent_id, run_id = excluded.run_id, metadata = excluded.metadata,
          value_ids = excluded.value_ids, deltas = excluded.deltas, body = excluded.body`,
        thread,
        toKey(row.checkpoint_ns),
        toKey(row.checkpoint_id),
        toNullableKey(row.parent_id),
        toNullableKey(row.run_id),
        search,
        JSON.stringify(value_ids),
        Number(deltas),
        row.body,
      );
    }, lineOf(change));
  }

  putWrites(change: PutWrites): Promise<void> {
    const { row, value_ids } = change;
    return this.#changes.make(() => {
      const thread = this.#writable(change);
      this.#file.run(
        `insert into writes (thread, checkpoint_ns, checkpoint_id, task_id, task_path, run_id, value_ids, body)
        values (?, ?, ?, ?, ?, ?, ?, ?)`,
        thread,
        toKey(row.checkpoint_ns),
        toKey(row.checkpoint_id),
        toKey(row.task_id),
        toKey(row.task_path),
        toNullableKey(row.run_id),
        JSON.stringify(value_ids),
        row.body,
      );
    }, lineOf(change));
  }

  async get(threadId: string, checkpointNs: string, checkpointId?: string): Promise<LoadedCheckpoint | undefined> {
    const [found] = await this.list(
      { thread_id: threadId, checkpoint_ns: checkpointNs, checkpoint_id: checkpointId },
      1,
    );
    return found;
  }

  list(query: CheckpointQuery, limit: number, after?: CheckpointKey): Promise<LoadedCheckpoint[]> {
    return this.#read(() => withValues(this.#file, findCheckpoints(this.#file, query, limit, after)));
  }

  chain(
    threadId: string,
    checkpointNs: string,
    checkpointId: string | undefined,
    limit: number,
  ): Promise<StoredCheckpoint[]> {
    const query = { thread_id: threadId, checkpoint_ns: checkpointNs, checkpoint_id: checkpointId };
    return this.#read(() => {
      const path: StoredCheckpoint[] = [];
      let [hit] = findCheckpoints(this.#file, query, 1);
      while (hit !== undefined && path.length < limit) {
        path.push({ row: hit.row, writes: hit.writes });
        hit = parentOf(this.#file, hit);
      }
      return path;
    });
  }

  values(threadId: string, ids: readonly string[]): Promise<Values> {
    return this.#read(() => {
      const thread = threadOf(this.#file, threadId);
      return thread === undefined ? new Map<string, Uint8Array>() : readValues(this.#file, thread.number, ids);
    });
  }

  sizes(threadId: string): Promise<StoredSizes> {
    const sizeOf = (table: string): StoredSizes['values'] =>
      this.#file.rows<StoredSizes['values']>(
        `select count(*) as count, coalesce(sum(length(body)), 0) as bytes from ${table}
        where thread = (select number from threads where thread_id = ?)`,
        toKey(threadId),
      )[0] ?? { count: 0, bytes: 0 };
    return this.#read(() => ({
      checkpoints: sizeOf('checkpoints'),
      values: sizeOf('big_values'),
      writes: sizeOf('writes'),
    }));
  }

  threads(limit: number, after?: string): Promise<string[]> {
    return this.#read(() =>
      this.#file
        .rows<{ thread_id: string }>(
          `select thread_id from threads where thread_id > ? and exists (select 1 from checkpoints where thread = number)
          order by thread_id limit ?`,
          toKey(after ?? ''),
          limit,
        )
        .map(({ thread_id }) => fromKey(thread_id)),
    );
  }

  fence(threadId: string, token: number): Promise<void> {
    return this.#changes.make(() => {
      const [stored] = this.#file.rows<{ token: number }>(
        `insert into threads (thread_id, token) values (?, ?)
        on conflict (thread_id) do update set token = max(coalesce(token, excluded.token), excluded.token)
        returning token`,
        toKey(threadId),
        token,
      );
      if (stored !== undefined && stored.token > token) throw new FencedError(threadId);
    });
  }

  async deleteThread(threadId: string): Promise<void> {
    await this.#changes.make(() => this.#file.run('delete from threads where thread_id = ?', toKey(threadId)));
    await this.#giveBack();
  }

  copyThread(fromThreadId: string, toThreadId: string): Promise<void> {
    return this.#changes.make(() => {
      const from = threadOf(this.#file, fromThreadId)?.number;
      const to = threadOf(this.#file, toThreadId)?.number ?? addThread(this.#file, toThreadId);
      if (this.#file.rows('select 1 from checkpoints where thread = ? limit 1', to).length > 0) {
        throw new ConflictError(`Thread ${toThreadId} has checkpoints: copy to a new thread`);
      }
      if (from === undefined) return;
      for (const [table, columns] of Object.entries(COPIED)) {
        this.#file.run(
          `insert into ${table} (thread, ${columns}) select ?, ${columns} from ${table} where thread = ? order by rowid`,
          to,
          from,
        );
      }
    });
  }

  async deleteRun(threadId: string, runId: string): Promise<void> {
    await this.#changes.make(() => {
      const thread = threadOf(this.#file, threadId);
      if (thread !== undefined) removeRun(this.#file, thread.number, runId);
    });
    await this.#giveBack();
  }

  outline(threadId: string): Promise<ThreadOutline> {
    return this.#read(() => outlineOf(this.#file, threadId, threadOf(this.#file, threadId)?.number));
  }

  async remove(threadId: string, checkpoints: readonly CheckpointKey[], token?: number): Promise<void> {
    await this.#changes.make(() => {
      const thread = threadOf(this.#file, threadId);
      if (token !== undefined && token < (thread?.token ?? Infinity)) throw new FencedError(threadId);
      if (thread !== undefined) removeCheckpoints(this.#file, thread.number, checkpoints);
    });
    await this.#giveBack();
  }

  async close(): Promise<void> {
    await this.#changes.idle();
    this.#file.close();
  }

  /** Reads of one moment, after a turn of the event loop: one read after another would starve timers and sockets. */
  async #read<T>(work: () => T): Promise<T> {
    await setImmediate();
    return outlive(() => this.#file.read(work));
  }

  /** The thread's number, with the values of a change stored in it. @throws FencedError when its token is refused. */
  #writable({ row: { thread_id }, token, values }: PutCheckpoint | PutWrites): number {
    const known = threadOf(this.#file, thread_id);
    if (token !== undefined && token < (known?.token ?? Infinity)) throw new FencedError(thread_id);
    const thread = known?.number ?? addThread(this.#file, thread_id);
    for (const [id, body] of values) {
      this.#file.run(
        'insert into big_values (thread, id, body) values (?, ?, ?) on conflict do nothing',
        thread,
        id,
        body,
      );
    }
    return thread;
  }

  /** Makes the file smaller by what was removed, a little at a time. */
  async #giveBack(): Promise<void> {
    const free = (): number =>
      this.#file.rows<{ freelist_count: number }>('pragma freelist_count')[0]?.freelist_count ?? 0;
    // A file that was not made for it, or whose vacuum was changed, gives nothing back.
    for (let [left, before] = [await this.#read(free), Infinity]; left > 0 && left < before;) {
      await this.#changes.make(() => void this.#file.rows(`pragma incremental_vacuum(${PAGES})`));
      [left, before] = [await this.#read(free), left];
    }
  }
}

/** The changes of one writer of a thread build on each other. */
function lineOf({ row: { thread_id }, token }: PutCheckpoint | PutWrites): string {
  return `${token} ${thread_id}`;
}

/** What is copied with a thread. */
const COPIED = {
  big_values: 'id, body',
  writes: 'checkpoint_ns, checkpoint_id, task_id, task_path, run_id, value_ids, body',
  checkpoints: 'checkpoint_ns, checkpoint_id, parent_id, run_id, metadata, value_ids, deltas, stored_at, body',
};
