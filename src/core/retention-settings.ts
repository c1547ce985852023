import type { TtlStrategy } from './thread.ts';

/** How long things are kept, in milliseconds; null: for ever, or as long as their thread. */
export interface RetentionSettings {
  /** How often it is looked. */
  everyMs: number;
  /** Threads at once. */
  threadLimit: number;
  /** Of threads without a time to live of their own; null: they stay. */
  threads: { strategy: TtlStrategy; minutes: number } | null;
  logsMs: number | null;
  runsMs: number | null;
  changesMs: number | null;
  takenEventsMs: number | null;
  usageMs: number | null;
  globalEffectsMs: number | null;
}
