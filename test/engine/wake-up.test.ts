import { Client } from '@langchain/langgraph-sdk';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '../../src/testing/index.ts';
import { testDatabase } from '../postgres.ts';
import { gate } from '../sdk/fixtures/gates.ts';

const graphs = fileURLToPath(new URL('../sdk/fixtures/graphs.ts', import.meta.url));
/** Nothing but the hints says that there is something to do. */
const pollMs = 600_000;

let postgres: Awaited<ReturnType<typeof testDatabase>>;
let baton: TestServer;
let client: Client;

beforeEach(async () => {
  postgres = await testDatabase();
  baton = await startTestServer({
    graphs: { line: `${graphs}:line` },
    databaseUrl: postgres.url,
    worker: { concurrency: 2, pollMs },
  });
  client = new Client({ apiUrl: baton.url, callerOptions: { maxRetries: 0 } });
});

afterEach(async () => {
  await baton.stop();
  await postgres.drop();
});

/** Queues a run for each thread, the first of which waits at the gate until all are there; then all come to their end. */
async function runAll(name: string, threadIds: string[]): Promise<string[]> {
  const runIds: string[] = [];
  for (const [at, threadId] of threadIds.entries()) {
    const config = at === 0 ? { configurable: { gate: name } } : { configurable: { gate: 'open' } };
    const { run_id } = await client.runs.create(threadId, 'line', { input: { log: [] }, config });
    runIds.push(run_id);
    if (at === 0) await gate(name).reached;
  }
  gate('open').open();
  gate(name).open();
  await Promise.all(runIds.map((runId, at) => client.runs.join(threadIds[at] ?? '', runId)));
  const runs = await Promise.all(runIds.map((runId, at) => client.runs.get(threadIds[at] ?? '', runId)));
  return runs.map(({ status }) => status);
}

it('a worker that had no room takes the runs of other threads as soon as it has', async () => {
  const threads = await Promise.all([1, 2, 3, 4].map(() => client.threads.create()));
  const statuses = await runAll(
    'full',
    threads.map(({ thread_id }) => thread_id),
  );
  expect(statuses).toEqual(['success', 'success', 'success', 'success']);
});

it('the run that waits behind another one begins at its end', async () => {
  const { thread_id } = await client.threads.create();
  expect(await runAll('behind', [thread_id, thread_id, thread_id])).toEqual(['success', 'success', 'success']);
});
