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
import type { RetentionRule } from '../core/retention.ts';
import { ancestry } from './history/ancestry.ts';
import { nextVersion } from './checkpoints/channel-versions.ts';
import { addressOf, requiredAddress } from './checkpoints/checkpoint-address.ts';
import {
  type CheckpointDriver,
  type CheckpointKey,
  NO_BLOBS,
  type StoredSizes,
  type ThreadOutline,
} from './drivers/checkpoint-driver.ts';
import { CheckpointReader } from './checkpoints/checkpoint-reader.ts';
import { CheckpointWriter } from './checkpoints/checkpoint-writer.ts';
import { type Codec, plainCodec } from '../core/codec.ts';
import { INLINE_CHARS } from './values/cut-values.ts';
import { sizesAsWrites } from './history/delta-channels.ts';
import { readLater } from './values/deferred-value.ts';
import { deltaHistory } from './history/delta-history.ts';
import { Heads } from './checkpoints/heads.ts';
import { type PrunePlan, PrunePlanner } from './history/prune-plan.ts';
import { serialize } from './codec/serialize.ts';
import type { CheckpointBody } from './values/packed-values.ts';
import { copyResealed } from './copy/resealed-copy.ts';
import { type SavedStep, savedSteps } from './copy/saved-steps.ts';
import type { ChannelSizes, LatestCheckpoint, StateSaver, WayTo } from './state-saver.ts';
import { SharedPath } from './history/shared-path.ts';
import { UnsavedWork } from './unsaved/unsaved-work.ts';
import type { WorkMeter } from './unsaved/work-meter.ts';

export interface DurableSaverOptions {
  driver: CheckpointDriver;
  codec?: Codec;
  /** Values with a longer JSON text are stored by reference, each content once in a thread. */
  inlineChars?: number;
}

/**
 * The saver that a graph runs on: all that LangGraph means by a checkpoint, over a driver that stores rows of bytes.
 *
 * In `config.configurable` it reads `thread_id`, `checkpoint_ns`, `checkpoint_id`, `run_id`, FENCING_TOKEN_KEY and READ_LATER_KEY. With a
 * token a write is refused with FencedError unless `fence` was called for the thread, and for no newer token. What cannot
 * be stored throws UnstorableValueError and leaves other writes alone.
 */
export class DurableSaver extends BaseCheckpointSaver implements StateSaver {
  readonly undoes = true;
  readonly prunes = true;
  readonly readsLater: boolean;
  readonly #driver: UnsavedWork;
  readonly #reader: CheckpointReader;
  readonly #writer: CheckpointWriter;
  readonly #heads = new Heads();
  readonly #codec: Codec;
  /** By the config of a listed checkpoint. */
  readonly #paths = new WeakMap<RunnableConfig, SharedPath>();

  constructor({ driver, codec = plainCodec, inlineChars = INLINE_CHARS }: DurableSaverOptions) {
    super();
    this.readsLater = codec.far !== undefined;
    this.#codec = codec;
    this.#driver = new UnsavedWork(driver);
    this.#reader = new CheckpointReader(this.#driver, codec);
    this.#writer = new CheckpointWriter({
      driver: this.#driver,
      codec,
      heads: this.#heads,
      reader: this.#reader,
      inlineChars,
    });
  }

  /** How many checkpoints it has stored. */
  get checkpointsWritten(): number {
    return this.#driver.checkpointsWritten;
  }

  override getNextVersion(current: number | undefined): number {
    return nextVersion(current);
  }

  override async getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    const address = addressOf(config);
    if (address === undefined) return undefined;
    const loaded = await this.#driver.get(address.thread_id, address.checkpoint_ns, address.checkpoint_id);
    if (loaded === undefined) return undefined;
    const body = await this.#reader.body(loaded.row);
    this.#heads.remember(loaded.row, body);
    return this.#reader.tuple(loaded, body, readLater(config));
  }

  /** Whether there is such a checkpoint, without reading its values. */
  async has(config: RunnableConfig): Promise<boolean> {
    const { thread_id, checkpoint_ns, checkpoint_id } = requiredAddress(config);
    return (await this.#driver.chain(thread_id, checkpoint_ns, checkpoint_id, 1)).length > 0;
  }

  /** Newest first, read page by page as the caller asks for more. */
  override async *list(config: RunnableConfig, options: CheckpointListOptions = {}): AsyncGenerator<CheckpointTuple> {
    // LangGraph asks for the history of each checkpoint of a list, with the config that it got here.
    const path = new SharedPath(this.#driver);
    try {
      for await (const tuple of this.#reader.list(config, options)) {
        this.#paths.set(tuple.config, path);
        yield tuple;
      }
    } finally {
      path.forget();
    }
  }

  override put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    newVersions: ChannelVersions,
  ): Promise<RunnableConfig> {
    return this.#writer.put(config, checkpoint, metadata, newVersions);
  }

  override putWrites(config: RunnableConfig, writes: PendingWrite[], taskId: string, taskPath = ''): Promise<void> {
    return this.#writer.putWrites(config, writes, taskId, taskPath);
  }

  /**
   * From now on holds in memory what the writer with this token saves of the thread, until the meter finds it worth saving
   * or somebody calls `flush`. What can be read through this saver is as if it were stored. Of the checkpoints in between
   * only the last is ever stored. `fence` first; `release` at the end.
   */
  hold(threadId: string, token: number, meter: WorkMeter): void {
    this.#driver.hold(threadId, token, meter);
  }

  /**
   * Resolves when all that was put for the thread before is durable: whether it was held, or is on its way.
   * @throws FencedError when somebody else has the thread.
   */
  flush(threadId: string): Promise<void> {
    return this.#writer.flush(threadId);
  }

  /** Ends what `hold` began. What was not flushed is lost, as in a crash. */
  release(threadId: string, token: number): void {
    if (this.#driver.release(threadId, token)) this.#heads.forget(threadId);
  }

  /** The graph's own checkpoints on the way to one, with it, and those of them whose tasks were executed on that way. */
  async wayTo(threadId: string, checkpointId: string | null): Promise<WayTo> {
    const ids = new Set<string>();
    const executed = new Set<string>();
    if (checkpointId === null) return { ids, executed };
    const key = { thread_id: threadId, checkpoint_ns: '', checkpoint_id: checkpointId };
    for await (const row of ancestry(this.#driver, key)) {
      ids.add(row.checkpoint_id);
      if (row.parent_id !== null && (await this.#reader.sourceOf(row)) === 'loop') executed.add(row.parent_id);
    }
    return { ids, executed };
  }

  override async getDeltaChannelHistory(options: {
    config: RunnableConfig;
    channels: string[];
  }): Promise<Record<string, DeltaChannelHistory>> {
    if (options.channels.length === 0) return {};
    const path = this.#paths.get(options.config) ?? this.#driver;
    return deltaHistory(path, this.#reader, requiredAddress(options.config), options.channels);
  }

  /**
   * Gives the thread to the holder of `token`: from now on writes with an older one are refused, and those that are on
   * their way are done or refused when this returns.
   * @throws FencedError when a newer token was here before.
   */
  async fence(threadId: string, token: number): Promise<void> {
    await this.#driver.fence(threadId, token);
    // What was known of the thread may be void: another process may have had it meanwhile.
    this.#heads.forget(threadId);
  }

  /** The latest checkpoint of the graph itself, or undefined for a thread that has none. */
  async latest(threadId: string): Promise<LatestCheckpoint | undefined> {
    const [stored] = await this.#driver.chain(threadId, '', undefined, 1);
    if (stored === undefined) return undefined;
    const { row, writes } = stored;
    const runs = [row, ...writes].map(({ run_id }) => run_id).filter((id) => id !== null);
    return {
      checkpoint_id: row.checkpoint_id,
      run_id: row.run_id,
      pending_writes: (await this.#reader.standingWrites(stored)).length,
      touched_by: [...new Set(runs)],
    };
  }

  /** How much is stored of a thread. */
  async storage(threadId: string): Promise<Required<StoredSizes>> {
    return { blobs: NO_BLOBS, ...(await this.#driver.sizes(threadId)) };
  }

  /** All that is stored of a thread, in the order of storing, one step at a time. */
  steps(threadId: string): AsyncIterable<SavedStep> {
    return savedSteps(this.#driver, this.#reader, threadId);
  }

  /** The ids of threads that have stored checkpoints, in the order of their bytes, at most `limit`, of those after `after`. */
  threads(limit: number, after?: string): Promise<string[]> {
    return this.#driver.threads(limit, after);
  }

  /** How much the channels of the thread's latest state take. One whose value is made of writes (DeltaChannel) is only named. */
  async channelSizes(threadId: string): Promise<ChannelSizes> {
    const loaded = await this.#driver.get(threadId, '');
    if (loaded === undefined) return {};
    const text = await this.#reader.body(loaded.row);
    const { refs } = JSON.parse(text) as CheckpointBody;
    const { checkpoint, metadata } = await this.#reader.tuple(loaded, text);
    const stored = Object.fromEntries(
      Object.entries(checkpoint.channel_values).map(([channel, value]): [string, ChannelSizes[string]] => [
        channel,
        {
          bytes: Buffer.byteLength(serialize(value, channel)),
          stored: Object.hasOwn(refs, channel) ? 'by_reference' : 'inline',
        },
      ]),
    );
    return { ...sizesAsWrites(metadata), ...stored };
  }

  /** Those of the contents that are not stored in the thread. */
  async missingValues(threadId: string, ids: readonly string[]): Promise<Set<string>> {
    const values = await this.#driver.values(threadId, ids);
    return new Set(ids.filter((id) => !values.has(id)));
  }

  /** Removes all that is stored of a thread. A worker that still runs on it is refused from then on, if it is fenced. */
  override async deleteThread(threadId: string): Promise<void> {
    this.#heads.forget(threadId);
    await this.#driver.deleteThread(threadId);
    this.#heads.forget(threadId);
  }

  /** Copies the whole history of a thread: byte for byte, or sealed anew. @throws ConflictError when the target has checkpoints. */
  async copyThread(fromThreadId: string, toThreadId: string): Promise<void> {
    if (this.#codec.clearMetadata === undefined) return this.#driver.copyThread(fromThreadId, toThreadId);
    await this.#driver.save(fromThreadId);
    await copyResealed(this.#driver, this.#codec, fromThreadId, toThreadId);
  }

  /**
   * Rolls a run back: the thread is as it was before it, answers and half-done steps included. Only for a run that no longer writes.
   * @throws ConflictError when a later run was built on it.
   */
  async deleteRun(threadId: string, runId: string): Promise<void> {
    this.#heads.forget(threadId);
    await this.#driver.deleteRun(threadId, runId);
    this.#heads.forget(threadId);
  }

  /** What is stored of a thread, without opening any of it. What is held is not in it. */
  async outline(threadId: string): Promise<ThreadOutline> {
    return this.#driver.outline(threadId);
  }

  /**
   * Removes checkpoints with the writes after them. Their children become those of the nearest ancestor that is left.
   * Only while nobody else writes the thread: with a token, FencedError when a newer one may.
   */
  async remove(threadId: string, checkpoints: readonly CheckpointKey[], token?: number): Promise<void> {
    this.#heads.forget(threadId);
    await this.#driver.remove(threadId, checkpoints, token);
    this.#heads.forget(threadId);
  }

  /**
   * What a rule lets go and nothing needs, but for `bookmarks`: when it was removed, each checkpoint that stays reads as
   * before, and can be gone on from. What is held is not seen.
   */
  async prunePlan(threadId: string, rule: RetentionRule, bookmarks: readonly CheckpointKey[] = []): Promise<PrunePlan> {
    const outline = await this.#driver.outline(threadId);
    return new PrunePlanner({ driver: this.#driver, reader: this.#reader }, threadId, outline).plan(rule, bookmarks);
  }

  async close(): Promise<void> {
    await this.#driver.close();
  }
}
