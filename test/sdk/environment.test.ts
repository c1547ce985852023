import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { testServer, type TestServer } from './fixtures/test-server.ts';

const file = fileURLToPath(new URL('fixtures/environment-graph.ts', import.meta.url));

let server: TestServer;
beforeAll(async () => {
  // As a process has it that has started no server yet.
  delete process.env.BATON_DATABASE_URL_IN_USE;
  server = await testServer({
    stateUrl: 'memory:',
    graphs: { environment: { file, exportName: 'graph', description: null } },
    environment: { BATON_TEST_WORD: 'hello' },
  });
});
afterAll(() => server.stop());

it('graphs of a server in another app find the environment that langgraph.json gives them', async () => {
  const said = await server.client.runs.wait(null, 'environment', { input: {} });
  expect(said).toEqual({ word: 'hello', databaseUrl: server.config.databaseUrl });
});
