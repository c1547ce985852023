import { describe, expect, it } from 'vitest';
import { Access } from '../../src/core/access.ts';

describe('what a handler returns', () => {
  it('is everything, nothing, or some', () => {
    for (const all of [undefined, null, true]) expect(Access.of(all)).toBe(Access.everything);
    expect(Access.of(false)).toBeNull();
    expect(
      Access.of({ owner: 'a', level: { $eq: 3 }, team: { $contains: 'x' }, all: { $contains: ['y', 'z'] } })?.contains,
    ).toEqual({ owner: 'a', level: 3, team: ['x'], all: ['y', 'z'] });
  });

  it.each([
    ['a value that was forgotten', { owner: undefined }],
    ['an operator that nobody knows', { owner: { $in: ['a'] } }],
    ['two operators', { owner: { $eq: 'a', $contains: 'a' } }],
    ['a list', { owner: ['a'] }],
    ['an object', { owner: {} }],
    ['no number', { owner: Number.NaN }],
    ['an instant', { owner: new Date() }],
    ['a list of objects', { owner: { $contains: [{}] } }],
    ['an object to be equal to', { owner: { $eq: {} } }],
    ['a text', 'owner'],
    ['a map', new Map([['owner', 'a']])],
    ['an instant of its own', new Date()],
    ['a function', () => ({ owner: 'a' })],
    ['a list of filters', [{ owner: 'a' }]],
  ])('is refused rather than taken for everything when it is %s', (_what, result) => {
    expect(() => Access.of(result)).toThrow(/authorisation handler returned/);
  });

  it('decides on what is no row, too', () => {
    const access = Access.of({ owner: 'a', team: { $contains: ['x', 'y'] } });
    expect(access?.allows({ owner: 'a', team: ['y', 'z', 'x'] })).toBe(true);
    expect(access?.allows({ owner: 'a', team: ['x'] })).toBe(false);
    expect(access?.allows({ owner: ['a'], team: ['x', 'y'] })).toBe(false);
    expect(Access.of({ toString: null })?.allows({})).toBe(false);
    expect(Access.everything.allows({})).toBe(true);
  });
});
