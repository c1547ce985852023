import { setImmediate } from 'node:timers/promises';
import { ConflictError, FencedError } from '../../../core/errors.ts';
import type {
  CheckpointDriver,
  CheckpointKey,
  CheckpointQuery,
  CheckpointRow,
  LoadedCheckpoint,
  PutCheckpoint,
  PutWrites,
  StoredCheckpoint,
  StoredSizes,
  ThreadOutline,
  Values,
  WritesRow,
} from '../checkpoint-driver.ts';
import { placeOf } from '../../../core/checkpoint-place.ts';
import { matches, nearestKept, newestFirst, placeAfter } from '../../checkpoints/checkpoint-query.ts';

interface Entry {
  /** The order of storing. */
  seq: number;
  stored_at: Date;
  deltas: boolean;
  row: CheckpointRow;
  search: unknown;
  value_ids: readonly string[];
}

interface ThreadRows {
  checkpoints: Map<string, Entry>;
  /** By the place of the checkpoint. */
  writes: Map<string, { row: WritesRow; value_ids: readonly string[] }[]>;
  values: Map<string, Uint8Array>;
}

/** Checkpoints of this process, gone with it. For tests and for what need not survive. */
export class MemoryDriver implements CheckpointDriver {
  readonly #threads = new Map<string, ThreadRows>();
  readonly #fences = new Map<string, number>();
  #stored = 0;

  async put({ row, search, value_ids, values, deltas, token }: PutCheckpoint): Promise<void> {
    const thread = this.#writable(row.thread_id, token);
    for (const [id, bytes] of values) thread.values.set(id, bytes);
    const place = placeOf(row);
    const { seq, stored_at } = thread.checkpoints.get(place) ?? { seq: this.#stored++, stored_at: new Date() };
    thread.checkpoints.set(place, { seq, stored_at, deltas, row, search: JSON.parse(search), value_ids });
    // Otherwise a graph of synchronous nodes would starve timers and sockets.
    await setImmediate();
  }

  async putWrites({ row, value_ids, values, token }: PutWrites): Promise<void> {
    const thread = this.#writable(row.thread_id, token);
    for (const [id, bytes] of values) thread.values.set(id, bytes);
    const place = placeOf(row);
    thread.writes.set(place, [...(thread.writes.get(place) ?? []), { row, value_ids }]);
  }

  async get(threadId: string, checkpointNs: string, checkpointId?: string): Promise<LoadedCheckpoint | undefined> {
    const thread = this.#threads.get(threadId);
    let found: CheckpointRow | undefined;
    for (const { row } of thread?.checkpoints.values() ?? []) {
      if (row.checkpoint_ns !== checkpointNs || (checkpointId !== undefined && row.checkpoint_id !== checkpointId))
        continue;
      found = row; // they are in the order of storing
    }
    return found && this.#loaded(found);
  }

  async list(query: CheckpointQuery, limit: number, after?: CheckpointKey): Promise<LoadedCheckpoint[]> {
    const threads = query.thread_id === undefined ? this.#threads.values() : [this.#threads.get(query.thread_id)];
    const stored = [...threads]
      .flatMap((thread) => Array.from(thread?.checkpoints.values() ?? []))
      .toSorted((a, b) => b.seq - a.seq || newestFirst(a.row, b.row));
    return stored
      .slice(Math.max(placeAfter(stored, after ?? {}), placeAfter(stored, { ...query, checkpoint_id: query.before })))
      .filter(({ row, search }) => matches(query, row, search))
      .slice(0, limit)
      .map(({ row }) => this.#loaded(row));
  }

  async chain(
    threadId: string,
    ns: string,
    checkpointId: string | undefined,
    limit: number,
  ): Promise<StoredCheckpoint[]> {
    const path: StoredCheckpoint[] = [];
    let row = (await this.get(threadId, ns, checkpointId))?.row;
    while (row !== undefined && path.length < limit) {
      path.push(this.#withWrites(row));
      const parent: CheckpointKey = { ...row, checkpoint_id: row.parent_id ?? '' };
      row = this.#threads.get(threadId)?.checkpoints.get(placeOf(parent))?.row;
    }
    return path;
  }

  async values(threadId: string): Promise<Values> {
    return this.#threads.get(threadId)?.values ?? new Map<string, Uint8Array>();
  }

  async sizes(threadId: string): Promise<StoredSizes> {
    const { checkpoints, writes, values } = this.#threads.get(threadId) ?? emptyThread();
    return {
      checkpoints: sizeOf([...checkpoints.values()].map(({ row }) => row.body)),
      values: sizeOf([...values.values()]),
      writes: sizeOf([...writes.values()].flat().map(({ row }) => row.body)),
    };
  }

  async threads(limit: number, after?: string): Promise<string[]> {
    return [...this.#threads]
      .filter(([, { checkpoints }]) => checkpoints.size > 0)
      .map(([threadId]) => Buffer.from(threadId))
      .filter((id) => after === undefined || Buffer.compare(id, Buffer.from(after)) > 0)
      .toSorted((a, b) => Buffer.compare(a, b))
      .slice(0, limit)
      .map(String);
  }

  async fence(threadId: string, token: number): Promise<void> {
    if ((this.#fences.get(threadId) ?? token) > token) throw new FencedError(threadId);
    this.#fences.set(threadId, token);
  }

  async deleteThread(threadId: string): Promise<void> {
    this.#threads.delete(threadId);
    this.#fences.delete(threadId);
  }

  async copyThread(fromThreadId: string, toThreadId: string): Promise<void> {
    if (this.#threads.has(toThreadId))
      throw new ConflictError(`Thread ${toThreadId} has checkpoints: copy to a new thread`);
    const from = this.#threads.get(fromThreadId);
    if (from === undefined) return;
    const moved = <T extends { row: CheckpointKey }>(entry: T): T => ({
      ...entry,
      row: { ...entry.row, thread_id: toThreadId },
    });
    this.#threads.set(toThreadId, {
      checkpoints: new Map([...from.checkpoints].map(([place, entry]) => [place, moved(entry)])),
      writes: new Map([...from.writes].map(([place, rows]) => [place, rows.map(moved)])),
      values: new Map(from.values),
    });
  }

  async deleteRun(threadId: string, runId: string): Promise<void> {
    const thread = this.#threads.get(threadId);
    if (thread === undefined) return;
    const ofRun = new Set(
      [...thread.checkpoints].filter(([, { row }]) => row.run_id === runId).map(([place]) => place),
    );
    for (const { row } of thread.checkpoints.values()) {
      const parent = placeOf({ ...row, checkpoint_id: row.parent_id ?? '' });
      if (row.run_id !== runId && ofRun.has(parent)) {
        throw new ConflictError(`Run ${runId} cannot be undone: the checkpoint ${row.checkpoint_id} was built on it`);
      }
    }
    for (const place of ofRun) thread.checkpoints.delete(place);
    for (const [place, rows] of thread.writes) {
      const kept = ofRun.has(place) ? [] : rows.filter(({ row }) => row.run_id !== runId);
      if (kept.length > 0) thread.writes.set(place, kept);
      else thread.writes.delete(place);
    }
    sweepValues(thread);
    if (thread.checkpoints.size === 0) this.#threads.delete(threadId);
  }

  async outline(threadId: string): Promise<ThreadOutline> {
    const { checkpoints, writes, values } = this.#threads.get(threadId) ?? emptyThread();
    return {
      checkpoints: [...checkpoints.values()].map(({ row, stored_at, deltas, value_ids }) => {
        const { thread_id, checkpoint_ns, checkpoint_id, parent_id, run_id, body } = row;
        const key = { thread_id, checkpoint_ns, checkpoint_id };
        return Object.assign(key, { parent_id, run_id, stored_at, deltas, bytes: body.byteLength, value_ids });
      }),
      writes: [...writes.values()].flat().map(({ row, value_ids }) => {
        const { thread_id, checkpoint_ns, checkpoint_id, task_id, body } = row;
        return { thread_id, checkpoint_ns, checkpoint_id, task_id, bytes: body.byteLength, value_ids };
      }),
      values: [...values].map(([id, { byteLength }]) => ({ id, bytes: byteLength })),
    };
  }

  async remove(threadId: string, checkpoints: readonly CheckpointKey[], token?: number): Promise<void> {
    this.#guard(threadId, token);
    const thread = this.#threads.get(threadId);
    if (thread === undefined) return;
    const parents = new Map<string, string | null>();
    for (const place of checkpoints.map(placeOf)) {
      const entry = thread.checkpoints.get(place);
      if (entry !== undefined) parents.set(place, entry.row.parent_id);
      thread.checkpoints.delete(place);
      thread.writes.delete(place);
    }
    for (const entry of thread.checkpoints.values()) {
      entry.row = { ...entry.row, parent_id: nearestKept(entry.row, parents) };
    }
    sweepValues(thread);
  }

  async close(): Promise<void> {
    this.#threads.clear();
    this.#fences.clear();
  }

  #guard(threadId: string, token: number | undefined): void {
    const fence = this.#fences.get(threadId);
    if (token !== undefined && (fence === undefined || fence > token)) throw new FencedError(threadId);
  }

  #writable(threadId: string, token: number | undefined): ThreadRows {
    this.#guard(threadId, token);
    const known = this.#threads.get(threadId);
    if (known !== undefined) return known;
    const thread = emptyThread();
    this.#threads.set(threadId, thread);
    return thread;
  }

  #loaded(row: CheckpointRow): LoadedCheckpoint {
    return {
      ...this.#withWrites(row),
      values: this.#threads.get(row.thread_id)?.values ?? new Map<string, Uint8Array>(),
    };
  }

  #withWrites(row: CheckpointRow): StoredCheckpoint {
    const writes = this.#threads.get(row.thread_id)?.writes.get(placeOf(row)) ?? [];
    return { row, writes: writes.map((write) => write.row) };
  }
}

function emptyThread(): ThreadRows {
  return { checkpoints: new Map(), writes: new Map(), values: new Map() };
}

function sweepValues({ checkpoints, writes, values }: ThreadRows): void {
  const used = new Set([...checkpoints.values(), ...[...writes.values()].flat()].flatMap(({ value_ids }) => value_ids));
  for (const id of values.keys()) if (!used.has(id)) values.delete(id);
}

function sizeOf(bodies: Uint8Array[]): { count: number; bytes: number } {
  return { count: bodies.length, bytes: bodies.reduce((bytes, body) => bytes + body.byteLength, 0) };
}
