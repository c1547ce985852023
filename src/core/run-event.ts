import type { Json } from './json.ts';

/** What a run emits, before it is numbered. */
export interface EmittedEvent {
  event: string;
  data: Json;
}

/** One line of a run's event log. `seq` counts 0, 1, 2, … within the run, over all its attempts, and is the SSE id. */
export interface RunEvent {
  seq: number;
  /** The SSE event name: `metadata`, `values`, `updates|ns`, `messages`, `error`, …; END_EVENT ends the log and is not sent. */
  event: string;
  /** JSON text, exactly as it goes to the client. */
  data: string;
  /** When it was written, in milliseconds since the epoch: by the worker's clock, as the times of checkpoints are. */
  at: number;
}

/** The last row of every log, written in the transaction that ends the run. Its data is `{"status": RunStatus}`. */
export const END_EVENT = '__end__';
