import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { UserCache, type UserCacheOptions } from '../../src/auth/user-cache.ts';
import { askedAbout } from '../http/fixtures/counting-auth.ts';
import { call } from '../sdk/fixtures/call.ts';
import { testServer } from '../sdk/fixtures/test-server.ts';

const settings = { headers: ['authorization', 'x-tenant'], ttlMs: 60_000, maxUsers: 100 };

test('a project is asked once about requests that look the same to it, and again about each that it refused', async () => {
  const file = fileURLToPath(new URL('../http/fixtures/counting-auth.ts', import.meta.url));
  const auth = { project: { file, exportName: 'counting' }, cache: settings };
  const server = await testServer({ stateUrl: 'memory:', worker: false, auth });
  const status = async (headers: Record<string, string>) =>
    (await call(`${server.url}/assistants/search`, 'POST', {}, headers)).status;
  const statuses = [];
  for (const authorization of ['ann', 'ann', 'bob', 'ann', 'nobody', 'nobody']) {
    statuses.push(await status({ authorization }));
  }
  statuses.push(await status({ authorization: 'ann', 'x-tenant': 'other' }), await status({}), await status({}));
  expect(statuses).toEqual([200, 200, 200, 200, 401, 401, 200, 401, 401]);
  expect(askedAbout).toEqual(['ann', 'bob', 'nobody', 'nobody', 'ann', null, null]);
  await server.stop();
});

function counted(options: Partial<UserCacheOptions>) {
  const cache = new UserCache({ ...settings, ...options });
  const found: string[] = [];
  const get = async (authorization: string) =>
    cache.get({ authorization }, async () => {
      found.push(authorization);
      return { identity: authorization, display_name: '', is_authenticated: true, permissions: ['read'] };
    });
  return { get, found };
}

test('what was found out holds for its time', async () => {
  let nowMs = 0;
  const { get, found } = counted({ ttlMs: 1000, now: () => nowMs });
  await get('ann');
  nowMs = 999;
  await get('ann');
  expect(found).toHaveLength(1);
  nowMs = 1000;
  await get('ann');
  expect(found).toHaveLength(2);
});

test('of too many, those are forgotten that were found out longest ago', async () => {
  const { get, found } = counted({ maxUsers: 2 });
  for (const name of ['ann', 'bob', 'eve', 'bob', 'ann']) await get(name);
  expect(found).toEqual(['ann', 'bob', 'eve', 'ann']);
});

test('what a handler does to a user is not seen by the next request', async () => {
  const { get } = counted({});
  (await get('ann')).permissions.push('write');
  (await get('ann'))['role'] = 'root';
  expect(await get('ann')).toEqual({
    identity: 'ann',
    display_name: '',
    is_authenticated: true,
    permissions: ['read'],
  });
});
