import { Client } from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import { Database } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { testDatabase } from '../postgres.ts';
import { command, isEnd, readEvents } from '../sdk/fixtures/protocol.ts';
import { createCrashTables } from './crash-point.ts';
import { killed, Processes } from './processes.ts';

let server: Awaited<ReturnType<typeof testDatabase>>;
let database: Database;
let processes: Processes;

beforeAll(async () => {
  server = await testDatabase();
  database = new Database({ url: server.url, log: pino({ level: 'silent' }), applicationName: 'test' });
  await migrate(database);
  await createCrashTables(database);
  processes = new Processes(server.url);
});
afterAll(async () => {
  processes.killAll();
  await database.close();
  await server.drop();
});

it('the events of a thread are the same for a client that comes back after all processes were killed', async () => {
  const [api, worker] = await Promise.all([processes.start('api'), processes.start('worker')]);
  const gate = new Client({ connectionString: server.url });
  await gate.connect();
  await gate.query("select pg_advisory_lock(hashtext('gate c'))");
  const threadId = uuidv7();
  await command(api.url, threadId, 'run.start', { assistant_id: 'relay', input: { passed: [] } });
  const before = await readEvents(api.url, threadId, {}, ({ params }) => /^b[12]$/.test(params.node ?? ''));

  await Promise.all([killed(api.process), killed(worker.process)]);
  const [again] = await Promise.all([processes.start('api'), processes.start('worker'), gate.end()]);

  const events = await readEvents(again.url, threadId, {}, isEnd);
  expect(events.slice(0, before.length)).toEqual(before);
  expect(await readEvents(again.url, threadId, {}, isEnd)).toEqual(events);
  const seqs = events.map(({ seq }) => seq);
  expect(seqs).toEqual([...new Set(seqs)].toSorted((a, b) => a - b));
  const lifecycles = events.filter(({ method }) => method === 'lifecycle').map(({ params }) => params.data.event);
  expect(lifecycles).toEqual(['running', 'completed']);
  const passed = events.findLast(({ method }) => method === 'values')?.params.data.passed as string[];
  expect(passed.toSorted()).toEqual(['a', 'b1', 'b2', 'c', 'd']);
}, 120_000);
