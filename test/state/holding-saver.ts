import type { RunnableConfig } from '@langchain/core/runnables';
import {
  BaseCheckpointSaver,
  type ChannelVersions,
  type Checkpoint,
  type CheckpointListOptions,
  type CheckpointMetadata,
  type PendingWrite,
} from '@langchain/langgraph-checkpoint';
import { FENCING_TOKEN_KEY } from '../../src/core/fencing.ts';
import type { DurableSaver } from '../../src/state/durable-saver.ts';
import { WorkMeter, type WorkMeterOptions } from '../../src/state/unsaved/work-meter.ts';

const TOKEN = 1;
export const NEVER = { limit: { ms: Infinity, cost: Infinity } };

/** Has a saver hold the work on every thread that it meets, as a run with durability `auto` does. */
export class HoldingSaver extends BaseCheckpointSaver {
  readonly #saver: DurableSaver;
  readonly #saves: 'before reads' | 'when due';
  readonly #meter: WorkMeterOptions;
  readonly #threads = new Set<string>();

  constructor(saver: DurableSaver, saves: 'before reads' | 'when due', meter: WorkMeterOptions = NEVER) {
    super();
    this.#saver = saver;
    this.#saves = saves;
    this.#meter = meter;
  }

  override getNextVersion(current: number | undefined): number {
    return this.#saver.getNextVersion(current);
  }

  /** LangGraph reads before it writes. */
  override async getTuple(config: RunnableConfig) {
    await this.#ready(config);
    return this.#saver.getTuple(config);
  }

  override async *list(config: RunnableConfig, options?: CheckpointListOptions) {
    await this.#ready(config);
    yield* this.#saver.list(config, options);
  }

  override put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    versions: ChannelVersions,
  ) {
    return this.#saver.put(fenced(config), checkpoint, metadata, versions);
  }

  override putWrites(config: RunnableConfig, writes: PendingWrite[], taskId: string, taskPath?: string) {
    return this.#saver.putWrites(fenced(config), writes, taskId, taskPath);
  }

  override getDeltaChannelHistory(options: { config: RunnableConfig; channels: string[] }) {
    return this.#saver.getDeltaChannelHistory(options);
  }

  override deleteThread(threadId: string) {
    return this.#saver.deleteThread(threadId);
  }

  async #ready(config: RunnableConfig): Promise<void> {
    const threadId = String(config.configurable?.['thread_id']);
    if (!this.#threads.has(threadId)) {
      this.#threads.add(threadId);
      await this.#saver.fence(threadId, TOKEN);
      this.#saver.hold(threadId, TOKEN, new WorkMeter(this.#meter));
    } else if (this.#saves === 'before reads') await this.#saver.flush(threadId);
  }
}

function fenced(config: RunnableConfig): RunnableConfig {
  return { ...config, configurable: { ...config.configurable, [FENCING_TOKEN_KEY]: TOKEN } };
}
