import { expect, it } from 'vitest';
import { type Duration, durationMs, timeoutOf } from '../../src/core/duration.ts';

it.each<[Duration, number]>([
  [0, 0],
  [1500, 1500],
  ['0s', 0],
  ['500ms', 500],
  ['30s', 30_000],
  ['1.5m', 90_000],
  ['2h', 7_200_000],
  ['3d', 259_200_000],
  ['1w', 604_800_000],
])('%s is %d ms', (duration, ms) => {
  expect(durationMs(duration)).toBe(ms);
});

it.each([-1, Number.NaN, Number.POSITIVE_INFINITY, '', '2', 'h', '-1s', '1 day', '1e3s', '2h30m', '101000d', null, {}])(
  '%s is none',
  (duration) => {
    expect(() => durationMs(duration as Duration)).toThrow('is no duration');
  },
);

it('an instant stays one', () => {
  expect(timeoutOf(new Date(0))).toEqual({ until: '1970-01-01T00:00:00.000Z' });
  expect(timeoutOf('1s')).toEqual({ ms: 1000 });
  for (const no of [new Date(Number.NaN), new Date(8.64e15)]) expect(() => timeoutOf(no)).toThrow('a valid one');
});
