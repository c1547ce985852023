import { expect, it } from 'vitest';
import { DEFAULT_HEADER_RULES, headerPicker } from '../../src/auth/passed-headers.ts';

const headers = {
  'user-agent': 'test',
  'x-org': 'o',
  'x-org-key': 'k',
  'x-api-key': 'secret',
  'x-tenant-id': 'secret',
  'x-service-key': 'secret',
  authorization: 'secret',
  cookie: 'secret',
  accept: '*/*',
  'x-list': ['1', '2'],
};

it.each([
  ['by default: x-* and the agent', DEFAULT_HEADER_RULES, ['user-agent', 'x-org', 'x-org-key', 'x-list']],
  ['nothing', { includes: ['x-*', 'user-agent'], excludes: ['*'] }, []],
  ['nothing, either', { includes: [], excludes: [] }, []],
  ['without what is excluded', { includes: ['x-*'], excludes: ['x-*-key', 'x-list'] }, ['x-org']],
  [
    'everything but what proves who one is',
    { includes: ['*'], excludes: [] },
    ['user-agent', 'x-org', 'x-org-key', 'accept', 'x-list'],
  ],
  [
    'that, too, when it is named',
    { includes: ['Authorization', 'x-api-key'], excludes: ['x-api-key'] },
    ['authorization'],
  ],
  ['names as they stand', { includes: ['x.org', 'x-or', '(x-org)'], excludes: [] }, []],
])('headers get into runs: %s', (_what, rules, names) => {
  expect(Object.keys(headerPicker(rules)(headers))).toEqual(names);
});

it('joins what was sent several times', () => {
  expect(headerPicker(DEFAULT_HEADER_RULES)(headers)['x-list']).toBe('1, 2');
});
