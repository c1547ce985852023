import { Client } from '@langchain/langgraph-sdk';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { startTestServer, type TestServer } from '../../src/testing/index.ts';
import { testDatabase } from '../postgres.ts';
import { gate } from '../sdk/fixtures/gates.ts';

const graphs = fileURLToPath(new URL('../sdk/fixtures/graphs.ts', import.meta.url));
/** No heartbeat comes by itself while a test runs. */
const leaseMs = 600_000;

let postgres: Awaited<ReturnType<typeof testDatabase>>;
let baton: TestServer;
let client: Client;

/** Postgres has given a run to the worker, and the worker does not know it before the gate opens. */
function lateClaims(database: Database): Database {
  const prepared = database.preparedAsStored.bind(database);
  database.preparedAsStored = async <T>(text: string, values: readonly unknown[]) => {
    const rows = await prepared<T>(text, values);
    if (/with expired as/.test(text) && rows.length > 0) await gate('claimed').pass();
    return rows;
  };
  return database;
}

beforeEach(async () => {
  postgres = await testDatabase();
  baton = await startTestServer({
    graphs: { line: `${graphs}:line` },
    databaseUrl: postgres.url,
    worker: { leaseMs },
    decorate: { database: lateClaims },
  });
  client = new Client({ apiUrl: baton.url, callerOptions: { maxRetries: 0 } });
});

afterEach(async () => {
  gate('node').open();
  await baton.stop();
  await postgres.drop();
});

it('a cancellation that comes while the worker is being given the run stops it, without waiting for a heartbeat', async () => {
  const { thread_id } = await client.threads.create();
  const { run_id } = await client.runs.create(thread_id, 'line', {
    input: { log: [] },
    config: { configurable: { gate: 'node' } },
  });
  await gate('claimed').reached;
  await client.runs.cancel(thread_id, run_id);
  // The worker hears of it before it has the run.
  await client.runs.list(thread_id);
  gate('claimed').open();
  await client.runs.join(thread_id, run_id);
  expect(await client.runs.get(thread_id, run_id)).toMatchObject({ status: 'interrupted' });
});
