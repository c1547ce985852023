import { Cron as Pattern } from 'croner';
import type { Cron } from '../../core/cron.ts';
import { InvalidInputError, messageOf } from '../../core/errors.ts';

export type Schedule = Pick<Cron, 'schedule' | 'timezone'>;

/**
 * The first time after that instant. A time of the day that daylight saving skips comes when the clock has jumped, one that it
 * repeats comes once; what comes every few minutes goes on through both. Throws InvalidInputError for what is no schedule.
 */
export function nextTime({ schedule, timezone }: Schedule, after: Date): Date {
  const next = patternOf(schedule, timezone ?? 'UTC').nextRun(after);
  if (!next) throw new InvalidInputError(`body.schedule: "${schedule}" never comes: there is no such day`);
  return next;
}

/** When a cron runs next; null when it is disabled, or ends before. Throws as {@link nextTime}. */
export function nextRunDate(cron: Schedule & Pick<Cron, 'enabled' | 'end_time'>, after: Date): Date | null {
  const next = nextTime(cron, after);
  const hasEnded = cron.end_time !== null && next >= new Date(cron.end_time);
  return cron.enabled && !hasEnded ? next : null;
}

function patternOf(schedule: string, timezone: string): Pattern {
  try {
    Intl.DateTimeFormat('en', { timeZone: timezone });
  } catch {
    throw new InvalidInputError(
      `body.timezone: "${timezone}" is no time zone that is known here: use a name such as "Europe/Berlin"`,
    );
  }
  // The library would also take an instant, which comes only once.
  if (!/^\s*(@\w+|\S+(\s+\S+){4})\s*$/.test(schedule)) throw invalid(schedule, 'it has not five fields');
  try {
    return new Pattern(schedule, { mode: '5-part', timezone });
  } catch (error) {
    throw invalid(schedule, messageOf(error).replace(/^CronPattern: /, ''));
  }
}

function invalid(schedule: string, reason: string): InvalidInputError {
  return new InvalidInputError(
    `body.schedule: "${schedule}" is no schedule (${reason}): use minute, hour, day of the month, month and day of the week, such as "30 8 * * 1-5"`,
  );
}
