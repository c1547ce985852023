import type { BaseCheckpointSaver } from '@langchain/langgraph-checkpoint';
import type { StoredSizes } from './checkpoint-driver.ts';
import type { WorkMeter } from './work-meter.ts';

/** Where a thread stands, without its values. */
export interface LatestCheckpoint {
  checkpoint_id: string;
  run_id: string | null;
  /** How many writes stand after it: of finished tasks of a half-done step, of questions, of answers. */
  pending_writes: number;
  /** The runs that wrote it or after it. One that is in here has begun: its input or its command is stored. */
  touched_by: string[];
}

/** What runs and threads need of a saver beyond what LangGraph does. `DurableSaver` says what each means. */
export interface StateSaver extends BaseCheckpointSaver {
  readonly checkpointsWritten: number;
  /** Whether a run can be undone: `deleteRun`. */
  readonly undoes: boolean;
  fence(threadId: string, token: number): Promise<void>;
  hold(threadId: string, token: number, meter: WorkMeter): void;
  flush(threadId: string): Promise<void>;
  release(threadId: string, token: number): void;
  latest(threadId: string): Promise<LatestCheckpoint | undefined>;
  executedBefore(threadId: string, checkpointId: string | null): Promise<ReadonlySet<string>>;
  storage(threadId: string): Promise<StoredSizes>;
  threads(limit: number, after?: string): Promise<string[]>;
  copyThread(fromThreadId: string, toThreadId: string): Promise<void>;
  deleteRun(threadId: string, runId: string): Promise<void>;
  close(): Promise<void>;
}
