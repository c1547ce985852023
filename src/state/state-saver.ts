import type { RunnableConfig } from '@langchain/core/runnables';
import type { BaseCheckpointSaver } from '@langchain/langgraph-checkpoint';
import type { RetentionRule } from '../core/retention.ts';
import type { CheckpointKey, StoredSizes } from './drivers/checkpoint-driver.ts';
import type { PrunePlan } from './history/prune-plan.ts';
import type { SavedStep } from './copy/saved-steps.ts';
import type { WorkMeter } from './unsaved/work-meter.ts';

/** Where a thread stands, without its values. */
export interface LatestCheckpoint {
  checkpoint_id: string;
  run_id: string | null;
  /** How many writes stand after it: of finished tasks of a half-done step, of questions, of answers. */
  pending_writes: number;
  /** The runs that wrote it or after it. One that is in here has begun: its input or its command is stored. */
  touched_by: string[];
}

/** Checkpoints of the graph itself, by id. */
export interface WayTo {
  /** A checkpoint and its ancestors. */
  ids: ReadonlySet<string>;
  /** Those whose tasks were executed on that way: not one that the branch leaves by a fork, a change by hand or a new input. */
  executed: ReadonlySet<string>;
}

/**
 * Of the latest state: by channel, how much its value takes as JSON, and whether that stands in the row, partly beside it, or
 * nowhere: a value that is made of writes (DeltaChannel), which a store can only name. `bytes` null: not known here.
 */
export type ChannelSizes = Record<
  string,
  { bytes: number; stored: 'inline' | 'by_reference' } | { bytes: number | null; stored: 'as_writes' }
>;

/** What runs and threads need of a saver beyond what LangGraph does. `DurableSaver` says what each means. */
export interface StateSaver extends BaseCheckpointSaver {
  readonly checkpointsWritten: number;
  /** Whether a run can be undone: `deleteRun`. */
  readonly undoes: boolean;
  /** Whether a part of a thread can be removed: `prunePlan`, `remove`. */
  readonly prunes: boolean;
  /** Whether it heeds READ_LATER_KEY. */
  readonly readsLater: boolean;
  /** Whether there is such a checkpoint. */
  has(config: RunnableConfig): Promise<boolean>;
  fence(threadId: string, token: number): Promise<void>;
  hold(threadId: string, token: number, meter: WorkMeter): void;
  flush(threadId: string): Promise<void>;
  release(threadId: string, token: number): void;
  latest(threadId: string): Promise<LatestCheckpoint | undefined>;
  wayTo(threadId: string, checkpointId: string | null): Promise<WayTo>;
  remove(threadId: string, checkpoints: readonly CheckpointKey[], token?: number): Promise<void>;
  prunePlan(threadId: string, rule: RetentionRule, bookmarks?: readonly CheckpointKey[]): Promise<PrunePlan>;
  channelSizes(threadId: string): Promise<ChannelSizes>;
  storage(threadId: string): Promise<Required<StoredSizes>>;
  /** All that is stored of a thread, in the order of storing. */
  steps(threadId: string): AsyncIterable<SavedStep>;
  missingValues(threadId: string, ids: readonly string[]): Promise<ReadonlySet<string>>;
  threads(limit: number, after?: string): Promise<string[]>;
  copyThread(fromThreadId: string, toThreadId: string): Promise<void>;
  deleteRun(threadId: string, runId: string): Promise<void>;
  close(): Promise<void>;
}
