import { Client } from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import { Database } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { testDatabase } from '../postgres.ts';
import { createCrashTables } from './crash-point.ts';
import { killed, Processes } from './processes.ts';

interface SseEvent {
  id: number;
  event: string;
  data: string;
}

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

/** Reads a stream until it ends or `enough` says so; a server that dies ends it too. */
async function read(answer: Response, enough: (event: SseEvent) => boolean = () => false): Promise<SseEvent[]> {
  expect(answer.status).toBe(200);
  const events: SseEvent[] = [];
  let rest = '';
  for await (const piece of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const blocks = (rest + piece).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
      const [id, event, data] = [field('id'), field('event'), field('data')];
      if (id === undefined || event === undefined || data === undefined) continue;
      events.push({ id: Number(id), event, data });
      if (enough({ id: Number(id), event, data })) return events;
    }
  }
  return events;
}

/** Keeps a node from going on until the returned function is called. */
async function shut(gate: string): Promise<() => Promise<void>> {
  const client = new Client({ connectionString: server.url });
  await client.connect();
  await client.query('select pg_advisory_lock(hashtext($1))', [`gate ${gate}`]);
  return () => client.end();
}

describe('a client of a run', () => {
  it('sees every event once and in order, though both the worker and the API are killed under it', async () => {
    const [api, worker] = await Promise.all([processes.start('api'), processes.start('worker')]);
    const openC = await shut('c');
    const threadId = uuidv7();
    const stream = await fetch(`${api.url}/threads/${threadId}/runs/stream`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        assistant_id: 'relay',
        input: { passed: [] },
        stream_mode: ['updates'],
        if_not_exists: 'create',
      }),
    });
    const location = stream.headers.get('location') ?? '';
    const before = await read(stream, ({ data }) => data.includes('"b2"') || data.includes('"b1"'));

    await killed(api.process);
    await killed(worker.process);
    const [again] = await Promise.all([
      processes.start('api', Number(new URL(api.url).port)),
      processes.start('worker'),
      openC(),
    ]);

    const lastId = String(before.at(-1)?.id);
    const after = await read(await fetch(new URL(location, again.url), { headers: { 'last-event-id': lastId } }));
    const whole = await read(await fetch(new URL(location, again.url), { headers: { 'last-event-id': '-1' } }));
    expect([...before, ...after]).toEqual(whole);
    expect(whole.map(({ id }) => id)).toEqual(whole.map((_, index) => index));
    const updates = whole.filter(({ event }) => event === 'updates').map(({ data }) => data);
    for (const node of ['a', 'b1', 'b2', 'c', 'd']) {
      expect([node, updates.some((data) => data.includes(`"${node}"`))]).toEqual([node, true]);
    }
  });
});
