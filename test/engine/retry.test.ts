import { Client } from '@langchain/langgraph-sdk';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Database, type Queryable } from '../../src/database/database.ts';
import { RunQueue } from '../../src/database/run-queue.ts';
import { startTestServer, type TestServer } from '../../src/testing/index.ts';
import { testDatabase } from '../postgres.ts';

const file = fileURLToPath(new URL('fixtures/state-graphs.ts', import.meta.url));
const broken = fileURLToPath(new URL('fixtures/broken-graph.ts', import.meta.url));
const FINISH = /ended as \(\s*update baton\.runs set status = \$3/;

let postgres: Awaited<ReturnType<typeof testDatabase>>;
let baton: TestServer;
let client: Client;
/** How many ends of runs are still to be lost, as when the connection to Postgres goes away just then. */
let endsToLose: number;

function losingEnds(database: Database): Database {
  const transaction = database.transaction.bind(database);
  database.transaction = (work) =>
    transaction((tx) => {
      const watched: Queryable = {
        query: (text, values) => {
          if (FINISH.test(text) && endsToLose-- > 0) throw new Error('Connection terminated unexpectedly');
          return tx.query(text, values);
        },
      };
      return work(watched);
    });
  return database;
}

async function serve(worker: boolean): Promise<void> {
  baton = await startTestServer({
    graphs: { row: `${file}:line`, two: `${file}:asking`, broken: `${broken}:graph` },
    databaseUrl: postgres.url,
    stateUrl: postgres.url,
    role: { api: true, worker },
    worker: { maxAttempts: 3, pollMs: 50 },
    decorate: { database: losingEnds },
  });
  client = new Client({ apiUrl: baton.url, callerOptions: { maxRetries: 0 } });
}

beforeEach(async () => {
  endsToLose = 0;
  postgres = await testDatabase();
});

afterEach(async () => {
  await baton.stop();
  await postgres.drop();
});

describe('a second attempt', () => {
  it.each(['interruptBefore', 'interruptAfter'] as const)(
    'stops at the %s at which the first one had stopped',
    async (kind) => {
      await serve(true);
      const thread = await client.threads.create();
      endsToLose = 1;
      await client.runs.wait(thread.thread_id, 'row', { input: {}, [kind]: [kind === 'interruptBefore' ? 'c' : 'b'] });
      const state = await client.threads.getState<{ log: string[] }>(thread.thread_id);
      expect(endsToLose).toBeLessThan(1);
      expect(state.values.log).toEqual(['a', 'b']);
      expect(state.next).toEqual(['c']);
      expect((await client.threads.get(thread.thread_id)).status).toBe('interrupted');
      await client.runs.wait(thread.thread_id, 'row', { input: null });
      expect((await client.threads.getState<{ log: string[] }>(thread.thread_id)).values.log).toEqual(['a', 'b', 'c']);
    },
  );

  it('does not take the answer to the first question for that to the second', async () => {
    await serve(true);
    const thread = await client.threads.create();
    await client.runs.wait(thread.thread_id, 'two', { input: {} });
    endsToLose = 1;
    await client.runs.wait(thread.thread_id, 'two', { command: { resume: 'one' } });
    const asked = await client.threads.get(thread.thread_id);
    expect(endsToLose).toBeLessThan(1);
    expect(asked.status).toBe('interrupted');
    expect(Object.values(asked.interrupts).flat()).toMatchObject([{ value: { question: 'age?' } }]);
    await client.runs.wait(thread.thread_id, 'two', { command: { resume: 'two' } });
    expect((await client.threads.getState<{ log: string[] }>(thread.thread_id)).values.log).toEqual(['one is two']);
  });

  it('comes soon after one that broke off, however often the run has gone on before', async () => {
    await serve(false);
    const thread = await client.threads.create();
    const run = await client.runs.create(thread.thread_id, 'row', { input: {} });
    const database = new Database({ url: postgres.url, log: baton.server.log, applicationName: 'test' });
    await database.query('update baton.runs set attempt = 50 where run_id = $1', [run.run_id]);
    endsToLose = 1;
    await baton.server.worker.tick();
    const rests = `select extract(epoch from available_at - updated_at)::float8 seconds from baton.runs where status = 'pending'`;
    await vi.waitFor(async () => expect(await database.query(rests)).toHaveLength(1), 5000);
    const [rest] = await database.query<{ seconds: number }>(rests);
    expect(rest?.seconds).toBeLessThanOrEqual(1);
    await database.close();
  });

  it('after too many at the same place is the last: the run fails and says why', async () => {
    await serve(false);
    const thread = await client.threads.create();
    const run = await client.runs.create(thread.thread_id, 'row', { input: {} });
    const database = new Database({ url: postgres.url, log: baton.server.log, applicationName: 'test' });
    const queue = new RunQueue(database);
    for (let lost = 0; lost < 5; lost++) {
      const [claimed] = await queue.claim({ workerId: 'lost', graphIds: ['row'], limit: 1, leaseMs: 0 });
      if (claimed && claimed.attempt > 1) await queue.begin(claimed, 'undefined+undefined');
    }
    await baton.server.worker.tick();
    const answer = await client.runs.join(thread.thread_id, run.run_id);
    expect(answer).toMatchObject({ __error__: { error: 'WorkerLost' } });
    expect((await client.runs.get(thread.thread_id, run.run_id)).status).toBe('error');
    expect((await client.threads.get(thread.thread_id)).status).toBe('error');
    await database.close();
  });

  it('is not made when the graph does not load: the run fails at once and says why', async () => {
    await serve(true);
    const thread = await client.threads.create();
    const run = await client.runs.create(thread.thread_id, 'broken', { input: {} });
    const answer = await client.runs.join(thread.thread_id, run.run_id);
    expect(answer).toMatchObject({ __error__: { message: expect.stringContaining('this module does not load') } });
    expect((await client.threads.get(thread.thread_id)).status).toBe('error');
  });
});
