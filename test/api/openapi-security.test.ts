import { expect, test } from 'vitest';
import { createApiKey } from '../../src/auth/api-keys.ts';
import { parseApiKeys } from '../../src/config/api-keys.ts';
import type { BatonConfig } from '../../src/config/config.ts';
import { call } from '../sdk/fixtures/call.ts';
import { testServer } from '../sdk/fixtures/test-server.ts';

const { key, entry } = createApiKey('ci', []);
const described = {
  schemes: { login: { type: 'oauth2', flows: {} } },
  everywhere: [{ login: ['use'] }],
  paths: { '/threads/{thread_id}': { delete: [{ login: ['delete'] }] } },
};

async function documentOf(auth: Partial<BatonConfig['auth']>) {
  const server = await testServer({ stateUrl: 'memory:', worker: false, auth });
  const { json } = await call(`${server.url}/openapi.json`, 'GET', undefined, { 'x-api-key': key });
  await server.stop();
  return { security: json.security, schemes: Object.keys(json.components.securitySchemes), paths: json.paths };
}

test('the OpenAPI document says how a project lets people in, everywhere and path by path', async () => {
  const { security, schemes, paths } = await documentOf({ described });
  expect(security).toEqual([{ login: ['use'] }]);
  expect(schemes).toEqual(['login']);
  expect(paths['/threads/{thread_id}'].delete.security).toEqual([{ login: ['delete'] }]);
  expect(paths['/threads/{thread_id}'].get).not.toHaveProperty('security');
  expect(paths['/ok'].get.security).toEqual([]);
});

test('the built-in keys stand beside it where there are some', async () => {
  const apiKeys = parseApiKeys(entry);
  const both = await documentOf({ described, apiKeys });
  expect(both.security).toEqual([{ login: ['use'] }, { key: [] }, { bearer: [] }]);
  expect(both.schemes).toEqual(['key', 'bearer', 'login']);
  expect((await documentOf({ apiKeys })).security).toEqual([{ key: [] }, { bearer: [] }]);
});

test('where nothing is said it says what there may be', async () => {
  expect((await documentOf({})).security).toEqual([{}, { key: [] }, { bearer: [] }]);
});
