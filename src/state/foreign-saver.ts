import type { RunnableConfig } from '@langchain/core/runnables';
import {
  BaseCheckpointSaver,
  type ChannelVersions,
  type Checkpoint,
  type CheckpointListOptions,
  type CheckpointMetadata,
  type CheckpointTuple,
  type DeltaChannelHistory,
  type PendingWrite,
} from '@langchain/langgraph-checkpoint';
import { ConflictError, FencedError, UnsupportedFieldError } from '../core/errors.ts';
import { FENCING_TOKEN_KEY } from '../core/fencing.ts';
import { configOf, requiredAddress, writerOf } from './checkpoints/checkpoint-address.ts';
import { NO_BLOBS, type StoredSizes } from './drivers/checkpoint-driver.ts';
import { stampedMetadata } from './checkpoints/checkpoint-metadata.ts';
import { sizesAsWrites } from './history/delta-channels.ts';
import { rethrow } from './outages.ts';
import { lastingWrites, NULL_TASK_ID } from './checkpoints/pending-writes.ts';
import type { PrunePlan } from './history/prune-plan.ts';
import { type SavedStep, savedStep } from './copy/saved-steps.ts';
import type { ChannelSizes, LatestCheckpoint, StateSaver, WayTo } from './state-saver.ts';
import { oldestFirst, threadsOf, writesByTask } from './history/tuple-history.ts';
import { Underway } from './unsaved/underway.ts';

/** Whether the holder of a token has the thread still: asked before each write of a saver that knows no tokens. */
export type MayWrite = (threadId: string, token: number) => Promise<boolean>;

export interface ForeignSaverOptions {
  saver: BaseCheckpointSaver & Undoing & Partial<Record<'end' | 'close', () => unknown>>;
  /** For messages. */
  name: string;
  mayWrite: MayWrite;
  /** How to find its threads, if there is a better way than to list all. */
  threads?: (limit: number, after?: string) => Promise<string[]>;
  /** Whether it is ended with this one. */
  closes: boolean;
}

/** What a saver may have beyond LangGraph's own methods. */
interface Undoing {
  deleteRun?(threadId: string, runId: string): Promise<void>;
}

/** Stands beside a command and says whose it is: tasks never have it, so LangGraph passes over it. */
const RUN_MARK = '__baton_run__';

/**
 * Any `BaseCheckpointSaver` as a store of Baton's. It is as right as that saver is: order, versions and what is read back
 * are its own. A fence is looked up before each write, and not part of it: a worker that was superseded between the two
 * may write once more. Nothing is held in memory, so that durability `auto` saves as `sync` does.
 */
export class ForeignSaver extends BaseCheckpointSaver implements StateSaver {
  readonly undoes: boolean;
  readonly readsLater = false;
  readonly prunes = false;
  readonly #saver: ForeignSaverOptions['saver'];
  readonly #name: string;
  readonly #mayWrite: MayWrite;
  readonly #closes: boolean;
  readonly #threads: NonNullable<ForeignSaverOptions['threads']>;
  /** What the saver was asked for and has not answered, by thread. */
  readonly #underway = new Underway();
  #written = 0;

  constructor({ saver, name, mayWrite, threads, closes }: ForeignSaverOptions) {
    super(saver.serde);
    this.#saver = saver;
    this.#name = name;
    this.#mayWrite = mayWrite;
    this.#closes = closes;
    this.#threads = threads ?? ((limit, after) => threadsOf(this, limit, after));
    this.undoes = typeof saver.deleteRun === 'function';
  }

  get checkpointsWritten(): number {
    return this.#written;
  }

  override getNextVersion(current: number | undefined): number {
    return this.#saver.getNextVersion(current);
  }

  async has(config: RunnableConfig): Promise<boolean> {
    return (await this.#ask(this.#saver.getTuple(config))) !== undefined;
  }

  override async getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    const tuple = await this.#ask(this.#saver.getTuple(config));
    return tuple && withoutMarks(tuple);
  }

  override async *list(config: RunnableConfig, options?: CheckpointListOptions): AsyncGenerator<CheckpointTuple> {
    try {
      for await (const tuple of this.#saver.list(config, options)) yield withoutMarks(tuple);
    } catch (error) {
      rethrow(error, this.#name);
    }
  }

  override put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    newVersions: ChannelVersions,
  ): Promise<RunnableConfig> {
    return this.#write(config, async () => {
      const stamped = stampedMetadata(config, metadata) as CheckpointMetadata;
      const put = await this.#saver.put(withoutToken(config), checkpoint, stamped, newVersions);
      this.#written += 1;
      return put;
    });
  }

  override putWrites(config: RunnableConfig, writes: PendingWrite[], taskId: string, taskPath = ''): Promise<void> {
    return this.#write(config, async () => {
      const own = withoutToken(config);
      await this.#saver.putWrites(own, lastingWrites(writes), taskId, taskPath);
      const { run_id } = writerOf(config);
      // After the command: in between, a retried run puts the same command once more, which changes nothing.
      if (taskId === NULL_TASK_ID && run_id !== null)
        await this.#saver.putWrites(own, [[RUN_MARK, run_id]], run_id, '');
    });
  }

  override async getDeltaChannelHistory(options: {
    config: RunnableConfig;
    channels: string[];
  }): Promise<Record<string, DeltaChannelHistory>> {
    return this.#ask(this.#saver.getDeltaChannelHistory(options));
  }

  async fence(threadId: string, token: number): Promise<void> {
    if (!(await this.#mayWrite(threadId, token))) throw new FencedError(threadId);
  }

  hold(): void {}

  release(): void {}

  async flush(threadId: string): Promise<void> {
    await this.#underway.settled(threadId);
  }

  async latest(threadId: string): Promise<LatestCheckpoint | undefined> {
    const tuple = await this.#ask(this.#saver.getTuple(configOf({ thread_id: threadId, ...HEAD })));
    if (tuple === undefined) return undefined;
    const runId = runOf(tuple);
    const marks = (tuple.pendingWrites ?? []).filter(([, channel]) => channel === RUN_MARK).map(([id]) => id);
    return {
      checkpoint_id: tuple.checkpoint.id,
      run_id: runId,
      pending_writes: (tuple.pendingWrites ?? []).length - marks.length,
      touched_by: [...new Set([...(runId === null ? [] : [runId]), ...marks])],
    };
  }

  async wayTo(threadId: string, checkpointId: string | null): Promise<WayTo> {
    const ids = new Set<string>();
    const executed = new Set<string>();
    if (checkpointId === null) return { ids, executed };
    let at: RunnableConfig | undefined = configOf({ thread_id: threadId, ...HEAD, checkpoint_id: checkpointId });
    while (at !== undefined) {
      const tuple: CheckpointTuple | undefined = await this.getTuple(at);
      if (tuple !== undefined) ids.add(tuple.checkpoint.id);
      const parent: unknown = tuple?.parentConfig?.configurable?.['checkpoint_id'];
      if (tuple?.metadata?.source === 'loop' && typeof parent === 'string') executed.add(parent);
      at = tuple?.parentConfig;
    }
    return { ids, executed };
  }

  /** It names no contents that anybody else keeps for it. */
  async missingValues(_threadId: string, ids: readonly string[]): Promise<ReadonlySet<string>> {
    return new Set(ids);
  }

  /** In bytes of the saver's own serialisation, of whole checkpoints: what it shares between them is not known here. */
  async storage(threadId: string): Promise<Required<StoredSizes>> {
    const sizes = {
      blobs: NO_BLOBS,
      checkpoints: { count: 0, bytes: 0 },
      values: { count: 0, bytes: 0 },
      writes: { count: 0, bytes: 0 },
    };
    for await (const tuple of this.list({ configurable: { thread_id: threadId } })) {
      sizes.checkpoints.count += 1;
      sizes.checkpoints.bytes += await this.#sizeOf(tuple.checkpoint);
      for (const [, , value] of tuple.pendingWrites ?? []) {
        sizes.writes.count += 1;
        sizes.writes.bytes += await this.#sizeOf(value);
      }
    }
    return sizes;
  }

  async channelSizes(threadId: string): Promise<ChannelSizes> {
    const tuple = await this.getTuple(configOf({ thread_id: threadId, ...HEAD }));
    const sizes = sizesAsWrites(tuple?.metadata);
    for (const [channel, value] of Object.entries(tuple?.checkpoint.channel_values ?? {})) {
      sizes[channel] = { bytes: await this.#sizeOf(value), stored: 'inline' };
    }
    return sizes;
  }

  async prunePlan(): Promise<PrunePlan> {
    throw this.#noPruning();
  }

  async remove(): Promise<void> {
    throw this.#noPruning();
  }

  #noPruning(): UnsupportedFieldError {
    return new UnsupportedFieldError(
      'keep_latest',
      `the state store ${this.#name} can remove whole threads only: use the strategy "delete"`,
    );
  }

  /** Writes as far as a tuple tells: which task made them, in its order. */
  async *steps(threadId: string): AsyncGenerator<SavedStep> {
    for await (const tuple of oldestFirst(this, threadId)) {
      yield savedStep(tuple, writesByTask(tuple.pendingWrites ?? []));
    }
  }

  async threads(limit: number, after?: string): Promise<string[]> {
    return this.#ask(this.#threads(limit, after));
  }

  override async deleteThread(threadId: string): Promise<void> {
    await this.#ask(this.#saver.deleteThread(threadId));
  }

  /** Checkpoint by checkpoint: a crash in between leaves a copy that has not all, under an id that no thread has. */
  async copyThread(fromThreadId: string, toThreadId: string): Promise<void> {
    const target = { thread_id: toThreadId };
    if ((await this.getTuple({ configurable: target })) !== undefined) {
      throw new ConflictError(`Thread ${toThreadId} has checkpoints: copy to a new thread`);
    }
    for await (const tuple of oldestFirst(this, fromThreadId)) {
      const { checkpoint_ns } = requiredAddress(tuple.config);
      const parent = tuple.parentConfig?.configurable;
      const under = { configurable: { ...target, checkpoint_ns, checkpoint_id: parent?.['checkpoint_id'] as unknown } };
      const { checkpoint, metadata } = tuple;
      const put = this.#saver.put(under, checkpoint, metadata as CheckpointMetadata, checkpoint.channel_versions);
      const at = await this.#ask(put);
      for (const { task_id, task_path, writes } of writesByTask(tuple.pendingWrites ?? [])) {
        await this.#ask(this.#saver.putWrites(at, writes, task_id, task_path));
      }
    }
  }

  async deleteRun(threadId: string, runId: string): Promise<void> {
    if (this.#saver.deleteRun === undefined) {
      throw new UnsupportedFieldError('rollback', `the state store ${this.#name} cannot undo a run: use "interrupt"`);
    }
    await this.#ask(this.#saver.deleteRun(threadId, runId));
  }

  async close(): Promise<void> {
    if (this.#closes) await (this.#saver.end ?? this.#saver.close)?.call(this.#saver);
  }

  async #write<T>(config: RunnableConfig, work: () => Promise<T>): Promise<T> {
    const { thread_id } = requiredAddress(config);
    const { token } = writerOf(config);
    const checked = async (): Promise<T> => {
      if (token !== undefined && !(await this.#mayWrite(thread_id, token))) throw new FencedError(thread_id);
      return this.#ask(work());
    };
    return this.#underway.track(thread_id, checked());
  }

  async #ask<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      return rethrow(error, this.#name);
    }
  }

  async #sizeOf(value: unknown): Promise<number> {
    const [, bytes] = await this.serde.dumpsTyped(value);
    return bytes.length;
  }
}

/** The latest checkpoint of the graph itself. */
const HEAD = { checkpoint_ns: '', checkpoint_id: undefined as unknown as string };

function runOf({ metadata }: CheckpointTuple): string | null {
  const runId: unknown = (metadata as Record<string, unknown> | undefined)?.['run_id'];
  return typeof runId === 'string' ? runId : null;
}

function withoutMarks(tuple: CheckpointTuple): CheckpointTuple {
  const writes = tuple.pendingWrites;
  if (writes?.some(([, channel]) => channel === RUN_MARK) !== true) return tuple;
  return { ...tuple, pendingWrites: writes.filter(([, channel]) => channel !== RUN_MARK) };
}

/** The token is between the engine and its saver. */
function withoutToken(config: RunnableConfig): RunnableConfig {
  const { [FENCING_TOKEN_KEY]: _token, ...configurable } = config.configurable ?? {};
  return { ...config, configurable };
}
