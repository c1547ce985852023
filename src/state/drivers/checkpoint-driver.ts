/** Where a checkpoint stands. `checkpoint_ns` is '' for the graph itself, `node:task` for a subgraph. */
export interface CheckpointKey {
  thread_id: string;
  checkpoint_ns: string;
  /** A UUID of version 6, by the clock of whoever wrote it. That may be wrong: what is later is what was stored later. */
  checkpoint_id: string;
}

/** A checkpoint, sealed. Rows are never changed, except by the same row put again, and by `remove`. */
export interface CheckpointRow extends CheckpointKey {
  parent_id: string | null;
  run_id: string | null;
  body: Uint8Array;
}

/** What one task wrote after a checkpoint, sealed. */
export interface WritesRow extends CheckpointKey {
  task_id: string;
  task_path: string;
  run_id: string | null;
  body: Uint8Array;
}

/** A value too big for a row, by the id of its content. Ids are unique in a thread; the same content has the same id. */
export type Values = ReadonlyMap<string, Uint8Array>;

interface Change {
  /** Values that the row refers to and that are not known to be stored in the thread. */
  values: Values;
  /** The ids of all values that the row refers to: what keeps them from being swept. */
  value_ids: readonly string[];
  /** The writer's fencing token; absent, the change is not fenced. */
  token?: number | undefined;
}

export interface PutCheckpoint extends Change {
  row: CheckpointRow;
  /** The checkpoint's metadata as JSON text, for filters only. */
  search: string;
  /** Its state is made of what its ancestors wrote (DeltaChannel): they must not go before it does. */
  deltas: boolean;
}

export interface PutWrites extends Change {
  row: WritesRow;
}

/** A checkpoint and the writes after it, in the order in which they were stored. */
export interface StoredCheckpoint {
  row: CheckpointRow;
  writes: WritesRow[];
}

export interface LoadedCheckpoint extends StoredCheckpoint {
  /** At least all values that the rows refer to. */
  values: Values;
}

export interface CheckpointQuery {
  thread_id?: string | undefined;
  checkpoint_ns?: string | undefined;
  checkpoint_id?: string | undefined;
  /** Only checkpoints stored before this one. */
  before?: string | undefined;
  /** What the metadata must contain, in the sense of `@>` of Postgres. */
  filter?: Record<string, unknown> | undefined;
}

/** How much is stored of a thread, in bytes as they were handed over. */
export interface StoredSizes {
  /** With the small values in them. */
  checkpoints: { count: number; bytes: number };
  /** The big values. */
  values: { count: number; bytes: number };
  /** Of steps that are not over, and of such that were not when they were stored. */
  writes: { count: number; bytes: number };
  /** Where there is a blob store: big values that lie there, and the thread's files. */
  blobs?: BlobSizes;
}

interface BlobSizes {
  values: { count: number; bytes: number };
  files: { count: number; bytes: number };
}

export const NO_BLOBS: BlobSizes = { values: { count: 0, bytes: 0 }, files: { count: 0, bytes: 0 } };

/** What is stored of a checkpoint, without opening it. */
export interface CheckpointOutline extends CheckpointKey {
  parent_id: string | null;
  run_id: string | null;
  /** As it was put. */
  deltas: boolean;
  stored_at: Date;
  bytes: number;
  value_ids: readonly string[];
}

/** All that is stored of a thread, in bytes as they are stored: of a big value in the blob store, with it. */
export interface ThreadOutline {
  /** Of all namespaces, in the order of storing. */
  checkpoints: CheckpointOutline[];
  /** `value_ids`: at least what they refer to; of several tasks it may be what all of them do. */
  writes: (CheckpointKey & { task_id: string; bytes: number; value_ids: readonly string[] })[];
  values: { id: string; bytes: number }[];
}

/**
 * A store of checkpoints: rows of bytes, and no knowledge of what LangGraph means by them.
 *
 * A change is atomic (the row, its values and the check of its token, or nothing), is durable before it is
 * acknowledged, and may safely be made twice. Changes of one thread become visible in the order in which they were
 * asked for: a checkpoint is never seen without the writes that led to it. A change with a token is refused with
 * FencedError unless the thread has a fence and its token is not newer. Keys and filters may hold any text.
 */
export interface CheckpointDriver {
  put(change: PutCheckpoint): Promise<void>;
  /** Adds to what the checkpoint has; the checkpoint need not exist. */
  putWrites(change: PutWrites): Promise<void>;
  /** One checkpoint, or the one of the namespace that was stored last. */
  get(threadId: string, checkpointNs: string, checkpointId?: string): Promise<LoadedCheckpoint | undefined>;
  /** One page, the last stored one first, of those that come after `after` in that order. */
  list(query: CheckpointQuery, limit: number, after?: CheckpointKey): Promise<LoadedCheckpoint[]>;
  /** A checkpoint (or the latest) and its ancestors, child before parent, at most `limit`, without values. */
  chain(
    threadId: string,
    checkpointNs: string,
    checkpointId: string | undefined,
    limit: number,
  ): Promise<StoredCheckpoint[]>;
  values(threadId: string, ids: readonly string[]): Promise<Values>;
  sizes(threadId: string): Promise<StoredSizes>;
  /** The ids of threads that have checkpoints, at most `limit`, in the order of their bytes, of those after `after`. One with characters
   * that the store cannot hold may stand elsewhere, always in the same place. */
  threads(limit: number, after?: string): Promise<string[]>;
  /** Raises the thread's fence. @throws FencedError when it stands higher already. */
  fence(threadId: string, token: number): Promise<void>;
  /** Removes all of the thread, its fence too: a late change that carries a token finds no fence and is refused. */
  deleteThread(threadId: string): Promise<void>;
  /** @throws ConflictError when the target has checkpoints. */
  copyThread(fromThreadId: string, toThreadId: string): Promise<void>;
  /** Undoes a run: its checkpoints, its writes after earlier ones, and values that nothing else refers to.
   * @throws ConflictError when a later run was built on them. */
  deleteRun(threadId: string, runId: string): Promise<void>;
  outline(threadId: string): Promise<ThreadOutline>;
  /**
   * Removes checkpoints, the writes after them, and values that nothing else of the thread refers to. A child that stays
   * becomes one of the nearest ancestor that stays, or has no parent. Writes after a checkpoint that stays, stay.
   * Nobody else may change the thread meanwhile: with a token FencedError tells, as for any change, that somebody may.
   * Atomic; may be made twice, and may name checkpoints that are gone.
   */
  remove(threadId: string, checkpoints: readonly CheckpointKey[], token?: number): Promise<void>;
  close(): Promise<void>;
}
