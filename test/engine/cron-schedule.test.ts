import { afterEach, describe, expect, it, vi } from 'vitest';
import { nextRunDate, nextTime } from '../../src/engine/crons/cron-schedule.ts';

/** The first times after an instant. */
function times(schedule: string, timezone: string | null, after: string, count = 3): string[] {
  const found: string[] = [];
  let last = new Date(after);
  while (found.length < count) {
    last = nextTime({ schedule, timezone }, last);
    found.push(last.toISOString().replace(':00.000Z', 'Z'));
  }
  return found;
}

afterEach(() => void vi.useRealTimers());

describe('a schedule', () => {
  it.each([
    ['30 8 * * 1-5', '2025-01-02T08:30:00Z', ['2025-01-03T08:30Z', '2025-01-06T08:30Z', '2025-01-07T08:30Z']],
    ['0 0 29 2 *', '2025-01-01T00:00:00Z', ['2028-02-29T00:00Z', '2032-02-29T00:00Z', '2036-02-29T00:00Z']],
    ['0 0 13 * FRI', '2025-06-12T12:00:00Z', ['2025-06-13T00:00Z', '2025-06-20T00:00Z', '2025-06-27T00:00Z']],
    ['@daily', '2025-01-01T00:00:00Z', ['2025-01-02T00:00Z', '2025-01-03T00:00Z', '2025-01-04T00:00Z']],
    [' */20  * * * * ', '2025-01-01T00:00:59Z', ['2025-01-01T00:20Z', '2025-01-01T00:40Z', '2025-01-01T01:00Z']],
  ])('%s after %s', (schedule, after, expected) => {
    expect(times(schedule, null, after)).toEqual(expected);
  });

  it('is read in its time zone, also when the clock skips its time or shows it twice', () => {
    const newYork = (schedule: string, after: string) => times(schedule, 'America/New_York', after);
    // On 9 March 2:00 becomes 3:00, on 2 November it becomes 1:00 again.
    expect(newYork('30 2 * * *', '2025-03-08T12:00:00Z')).toEqual([
      '2025-03-09T07:00Z',
      '2025-03-10T06:30Z',
      '2025-03-11T06:30Z',
    ]);
    expect(newYork('30 1 * * *', '2025-11-01T12:00:00Z')).toEqual([
      '2025-11-02T05:30Z',
      '2025-11-03T06:30Z',
      '2025-11-04T06:30Z',
    ]);
    expect(newYork('30 * * * *', '2025-11-02T04:59:00Z')).toEqual([
      '2025-11-02T05:30Z',
      '2025-11-02T06:30Z',
      '2025-11-02T07:30Z',
    ]);
    expect(newYork('30 * * * *', '2025-03-09T06:00:00Z')).toEqual([
      '2025-03-09T06:30Z',
      '2025-03-09T07:30Z',
      '2025-03-09T08:30Z',
    ]);
  });

  it('does not look at the clock of this machine', () => {
    vi.useFakeTimers({ toFake: ['Date'], now: new Date('2099-01-01T00:00:00Z') });
    expect(times('? * * * *', null, '2025-01-01T00:00:00Z', 1)).toEqual(['2025-01-01T00:01Z']);
    expect(times('0 12 * * *', 'Asia/Tokyo', '2025-01-01T00:00:00Z', 1)).toEqual(['2025-01-01T03:00Z']);
  });

  it.each([
    ['* * * * * *', 'it has not five fields'],
    ['0 0 * *', 'it has not five fields'],
    ['', 'it has not five fields'],
    ['2030-01-01T00:00:00', 'it has not five fields'],
    ['61 * * * *', 'Invalid value for minute: 61'],
    ['* 25 * * *', 'Invalid value for hour: 25'],
    ['*/0 * * * *', 'illegal stepping: 0'],
    ['a b c d e', 'contains illegal characters'],
    ['@sometimes', 'is no schedule'],
    ['0 0 31 2 *', 'never comes'],
  ])('"%s" is refused: %s', (schedule, reason) => {
    const wrong = () => times(schedule, null, '2025-01-01T00:00:00Z');
    expect(wrong).toThrow(expect.objectContaining({ code: 'invalid_input' }));
    expect(wrong).toThrow(reason);
    expect(wrong).toThrow(/^body\.schedule: /);
  });

  it.each(['Mars/Phobos', '+02:00', ''])('time zone "%s" is refused', (timezone) => {
    expect(() => times('* * * * *', timezone, '2025-01-01T00:00:00Z')).toThrow(`body.timezone: "${timezone}" is no`);
  });

  it('ends', () => {
    const daily = { schedule: '0 0 * * *', timezone: null, enabled: true };
    const after = new Date('2025-01-01T12:00:00Z');
    const next = (end_time: string | null, enabled = true) => nextRunDate({ ...daily, end_time, enabled }, after);
    expect(next(null)).toEqual(new Date('2025-01-02T00:00:00Z'));
    expect(next('2025-01-02T00:00:00.001Z')).toEqual(new Date('2025-01-02T00:00:00Z'));
    expect(next('2025-01-02T00:00:00.000Z')).toBeNull();
    expect(next(null, false)).toBeNull();
  });
});
