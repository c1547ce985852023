import type { Maker } from './caller.ts';
import type { ServiceError } from './errors.ts';
import type { JsonObject } from './json.ts';

/** A run that is asked for again and again. Field names are the wire's. */
export interface Cron {
  cron_id: string;
  assistant_id: string;
  /** Null: every run gets a thread of its own. */
  thread_id: string | null;
  /** What becomes of the thread that was made for a run; null when there is none. */
  on_run_completed: 'delete' | 'keep' | null;
  /** Five fields: minute, hour, day of the month, month, day of the week. */
  schedule: string;
  /** An IANA name; null: UTC. */
  timezone: string | null;
  /** From then on it does not run. */
  end_time: string | null;
  enabled: boolean;
  /** What each run is asked for with, beside the metadata. */
  payload: JsonObject;
  metadata: JsonObject;
  user_id: string | null;
  /** Null when it is disabled or has ended. */
  next_run_date: string | null;
  created_at: string;
  updated_at: string;
}

/** A cron with what only the server knows of it. */
export interface KeptCron {
  cron: Cron;
  maker: Maker;
  /** Grows with each change and each run: what was decided on an older one no longer holds. */
  revision: number;
  /** When it was read, by the database's clock. */
  now: string;
  /** Why the cron or its maker cannot be read; then only its schedule holds. */
  fault?: ServiceError;
}
