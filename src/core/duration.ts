import { InvalidInputError } from './errors.ts';

const MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;
const TEXT = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)$/;

/** Longer than anything waits; a sum with the clock stays a date. */
const MAX_MS = 100 * 366 * MS.d;

/** Milliseconds, or a number and a unit: `'500ms'`, `'30s'`, `'5m'`, `'2h'`, `'3d'`, `'1w'`. */
export type Duration = number | `${number}${keyof typeof MS}`;

/** @throws InvalidInputError for what is no duration, a negative one, or one of more than a hundred years. */
export function durationMs(duration: Duration): number {
  const [, count, unit] = typeof duration === 'string' ? (TEXT.exec(duration.trim()) ?? []) : [];
  const ms = typeof duration === 'number' ? duration : Number(count) * MS[unit as keyof typeof MS];
  if (Number.isFinite(ms) && ms >= 0 && ms <= MAX_MS) return ms;
  throw new InvalidInputError(
    `${JSON.stringify(duration)} is no duration: write milliseconds, or such as "30s", "2h", up to a hundred years`,
  );
}

/** An instant stays one, so that whoever waits judges it by his own clock. @throws InvalidInputError */
export function timeoutOf(timeout: Duration | Date): { ms: number } | { until: string } {
  if (!(timeout instanceof Date)) return { ms: durationMs(timeout) };
  const year = timeout.getUTCFullYear();
  if (year >= 1 && year <= 9998) return { until: timeout.toISOString() };
  throw new InvalidInputError('A Date must be a valid one, before the year 9999');
}
