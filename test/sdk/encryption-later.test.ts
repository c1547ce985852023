import { randomBytes, randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Pool } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { Database } from '../../src/database/database.ts';
import { Retention } from '../../src/database/retention.ts';
import { log } from '../state/stores.ts';
import { world } from './fixtures/effect-graphs.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

const file = fileURLToPath(new URL('fixtures/effect-graphs.ts', import.meta.url));
const graphs = {
  scoped: { file, exportName: 'scoped', description: null },
  paying: { file, exportName: 'paying', description: null },
};
const encryption = { keys: [{ id: 'one', secret: randomBytes(32).toString('base64') }], clearMetadata: [] };

let plain: TestServer;
let server: TestServer;
const invoice = randomUUID();
const book = { name: 'book', scope: 'global', key: invoice, args: { cents: 5 } };
const ship = { name: 'ship', key: 'parcel', args: { to: 'x' }, onFork: 'reuse' };
let url = '';
let before = '';
let done: string[] = [];
let untouched = '';
/** With parameters behind it. */
let encrypted = '';
beforeAll(async () => {
  // Other files of this process may have called it.
  world.calls.length = 0;
  plain = await testServer({ graphs });
  server = plain;
  before = await thread();
  await act(before, ship);
  await act(before, book);
  await tell(before, 'e-1');
  untouched = await thread();
  await act(untouched, { name: 'wait' });
  done = world.calls.map(({ name }) => name);
  await plain.baton.stop();
  url = String(plain.config.databaseUrl);
  encrypted = `encrypted+${url}${url.includes('?') ? '' : '?'}`;
  server = await plain.restart({ settings: { encryption, stateUrl: `${encrypted}&migrate=plain` } });
});
afterAll(async () => {
  await server.stop();
});
beforeEach(() => {
  world.calls.length = 0;
});

async function thread(): Promise<string> {
  return (await server.client.threads.create()).thread_id;
}

async function act(id: string, options: object, more: object = {}): Promise<unknown> {
  return server.client.runs.wait(id, 'scoped', { input: { thread: id, options }, ...more });
}

/** Again from where the first run of a thread was before its effect. */
async function fork(id: string): Promise<unknown> {
  const history = await server.client.threads.getHistory(id, { limit: 100 });
  const checkpoint = history.findLast(({ next }) => next.includes('act'))?.checkpoint;
  return server.client.runs.wait(id, 'scoped', { input: null, checkpoint: checkpoint as never });
}

async function tell(id: string, eventId: string): Promise<unknown> {
  const response = await fetch(`${server.url}/threads/${id}/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'other', payload: 1, event_id: eventId }),
  });
  return response.json();
}

it('what was done before a server was encrypted is not done again after it', async () => {
  expect(done).toEqual(['ship', 'book', 'wait']);
  await act(await thread(), book);
  await expect(act(await thread(), { ...book, args: { cents: 6 } })).rejects.toThrow('other arguments');
  await fork(before);
  expect(world.calls).toEqual([]);
  expect(await tell(before, 'e-1')).toEqual({ told: false });
  expect(await tell(before, 'e-2')).toEqual({ told: true });
  expect(await tell(before, 'e-2')).toEqual({ told: false });
});

it('what is done after it is taken over by a fork, and done once', async () => {
  const id = await thread();
  await act(id, ship);
  await fork(id);
  const other = { ...book, key: randomUUID() };
  await act(await thread(), other);
  await act(await thread(), other);
  expect(world.calls.map(({ name }) => name)).toEqual(['ship', 'book']);
});

it('a sealed log that is cut keeps the last values and what was asked', async () => {
  const id = await thread();
  const run = await server.client.runs.create(id, 'paying', { input: { thread: id } });
  await server.client.runs.join(id, run.run_id);
  const read = async () => {
    const values: string[] = [];
    for await (const { event, data } of server.client.runs.joinStream(id, run.run_id, { lastEventId: '-1' })) {
      if (event === 'values') values.push(JSON.stringify(data));
    }
    return values;
  };
  const all = await read();
  const pool = new Pool({ connectionString: url, max: 1 });
  await pool.query(`update baton.runs set ended_at = now() - interval '8 days' where run_id = $1`, [run.run_id]);
  const { rows } = await pool.query<{ data: string }>('select data from baton.run_events where run_id = $1', [
    run.run_id,
  ]);
  expect(rows.every(({ data }) => data.startsWith('sealed:'))).toBe(true);
  await pool.end();
  const database = new Database({ url, log, applicationName: 'test' });
  expect(await new Retention(database).cutLogs(7 * 86_400_000, 10)).toBe(1);
  await database.close();
  const isQuestion = (text: string) => text.startsWith('{"__interrupt__"');
  const left = await read();
  expect(all.length).toBeGreaterThan(left.length);
  expect(left.filter(isQuestion)).toEqual(all.filter(isQuestion));
  expect(left.filter(isQuestion)).toHaveLength(1);
  expect(left.filter((text) => !isQuestion(text))).toEqual(all.filter((text) => !isQuestion(text)).slice(-1));
});

it('one graph whose store may have plain rows opens nothing else to them', async () => {
  expect(await server.client.threads.get(untouched)).toMatchObject({ status: 'idle' });
  const migrating = { ...graphs.paying, state: `${encrypted}&migrate=plain` };
  const strict = await server.restart({
    settings: { stateUrl: encrypted, graphs: { ...server.config.graphs, paying: migrating } },
  });
  try {
    await expect(strict.client.threads.get(untouched)).rejects.toThrow('migrate=plain');
    await expect(strict.client.threads.getState(untouched)).rejects.toThrow('migrate=plain');
  } finally {
    await strict.baton.stop();
  }
});
