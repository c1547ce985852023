import type { RunConfig } from './assistant.ts';
import type { Json, JsonObject } from './json.ts';

export const THREAD_STATUSES = ['idle', 'busy', 'interrupted', 'error'] as const;
export type ThreadStatus = (typeof THREAD_STATUSES)[number];

/** One question that a node has put to a person. */
export interface Interrupt {
  id?: string;
  value?: Json;
}

/** Task id -> what that task waits for. */
export type Interrupts = Record<string, Interrupt[]>;

/** A conversation, a case, a file: the place where state is kept. Field names are the wire's. */
export interface Thread {
  thread_id: string;
  created_at: string;
  updated_at: string;
  state_updated_at: string;
  metadata: JsonObject;
  status: ThreadStatus;
  /** The configuration of the latest run; never holds a checkpoint key. */
  config: RunConfig;
  /** The state's values after the latest run; null before the first. */
  values: Json;
  interrupts: Interrupts;
  /** Why the latest run failed; null when it did not. */
  error: Json;
  /** The graph in whose own store the state is kept; null: the default store, or no state yet. */
  state_store: string | null;
}

export const TTL_STRATEGIES = ['delete', 'keep_latest'] as const;
/** What happens when a thread's time is over: it goes, or all of its history that it does not need. */
export type TtlStrategy = (typeof TTL_STRATEGIES)[number];

/**
 * How long a thread or its history is kept. Counts from when it was set, and from each pruning; by default from when
 * something last happened on the thread. One that is busy then is kept until it is not.
 */
export interface ThreadTtl {
  strategy: TtlStrategy;
  ttl_minutes: number;
  expires_at: string;
}

/** What a thread looks like to the world while no run is waiting or running on it. */
export interface ThreadOutcome {
  status: Exclude<ThreadStatus, 'busy'>;
  values: Json;
  interrupts: Interrupts;
  error: Json;
}
