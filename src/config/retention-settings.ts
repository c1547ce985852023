import { z } from 'zod';
import type { RetentionSettings } from '../core/retention-settings.ts';
import { TTL_STRATEGIES } from '../core/thread.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 1440 * MINUTE_MS;
/** A hundred years: beyond, the database has no dates. */
const MAX_MINUTES = 52_560_000;
/** What a timer of Node can wait for. */
const MAX_SWEEP_MINUTES = 35_000;

/** The key `checkpointer` of langgraph.json. Of the platform's keys these mean something here. */
export const CheckpointerKey = z.looseObject({
  ttl: z
    .strictObject({
      strategy: z.enum(TTL_STRATEGIES).nullish(),
      default_ttl: z.number().positive().max(MAX_MINUTES).nullish(),
      sweep_interval_minutes: z.number().positive().max(MAX_SWEEP_MINUTES).nullish(),
      sweep_limit: z.int().min(1).max(100_000).nullish(),
    })
    .nullish(),
});

/** Zero days: at once. Null: for ever, or as long as the thread. */
const days = z.number().min(0).max(36_500).nullable();

/** `baton.retention` of langgraph.json. */
export const RetentionKey = z.strictObject({
  run_logs_days: days.default(7),
  runs_days: days.default(null),
  changes_days: days.default(null),
  taken_events_days: days.default(null),
  usage_days: days.default(null),
  global_effects_days: days.default(null),
});

export function retentionSettings(
  { ttl }: z.infer<typeof CheckpointerKey>,
  kept: z.infer<typeof RetentionKey>,
): RetentionSettings {
  const minutes = ttl?.default_ttl ?? null;
  return {
    everyMs: (ttl?.sweep_interval_minutes ?? 5) * MINUTE_MS,
    threadLimit: ttl?.sweep_limit ?? 1000,
    threads: minutes === null ? null : { strategy: ttl?.strategy ?? 'delete', minutes },
    logsMs: inMs(kept.run_logs_days),
    runsMs: inMs(kept.runs_days),
    changesMs: inMs(kept.changes_days),
    takenEventsMs: inMs(kept.taken_events_days),
    usageMs: inMs(kept.usage_days),
    globalEffectsMs: inMs(kept.global_effects_days),
  };
}

function inMs(count: number | null): number | null {
  return count === null ? null : count * DAY_MS;
}
