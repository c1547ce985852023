import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Database } from '../../src/database/database.ts';
import { Retention } from '../../src/database/retention.ts';
import { log } from '../state/stores.ts';
import { call } from './fixtures/call.ts';
import { heavyText } from './fixtures/heavy-graph.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

const file = fileURLToPath(new URL('fixtures/heavy-graph.ts', import.meta.url));
const graphs = { heavy: { file, exportName: 'heavy', description: null } };
const CHARS = 300_000;
const raw = heavyText(CHARS);

const SETUPS = [
  { name: 'plain', stateUrl: null, settings: {} },
  {
    name: 'encrypted',
    stateUrl: 'encrypted+memory:',
    settings: { encryption: { keys: [{ id: 'one', secret: randomBytes(32).toString('base64') }], clearMetadata: [] } },
  },
];

describe.each(SETUPS)('the log of a run whose state is big ($name)', ({ stateUrl, settings }) => {
  let server: TestServer;
  let pool: Pool;
  let threadId: string;
  let runId: string;
  const streamed: object[] = [];

  const bytes = async (): Promise<number> => {
    const { rows } = await pool.query<{ bytes: number }>(
      `select (select coalesce(sum(octet_length(data)), 0) from baton.run_events)::float8
            + (select coalesce(sum(octet_length(data)), 0) from baton.run_event_parts)::float8 bytes`,
    );
    return rows[0]?.bytes ?? 0;
  };

  beforeAll(async () => {
    server = await testServer({ graphs, stateUrl, settings });
    pool = new Pool({ connectionString: String(server.config.databaseUrl), max: 1 });
    threadId = (await server.client.threads.create()).thread_id;
    const options = {
      input: { raw, n: 0 },
      streamMode: 'values' as const,
      streamResumable: true,
      onRunCreated: (run: { run_id: string }) => (runId = run.run_id),
    };
    for await (const event of server.client.runs.stream(threadId, 'heavy', options)) streamed.push(event);
  });

  afterAll(async () => {
    await pool.end();
    await server.stop();
  });

  it('shows the state after every step', () => {
    const states = streamed.filter((event) => 'event' in event && event.event === 'values');
    expect(states).toHaveLength(11);
    for (const [n, state] of states.entries()) expect(state).toMatchObject({ data: { n, raw } });
  });

  it('has what the states share once', async () => {
    expect(await bytes()).toBeGreaterThan(CHARS);
    expect(await bytes()).toBeLessThan(2 * CHARS);
  });

  it('is told whole to who comes later, also by another server', async () => {
    const other = await server.restart({ worker: false });
    const read = async (from: TestServer): Promise<object[]> => {
      const events: object[] = [];
      for await (const event of from.client.runs.joinStream(threadId, runId, { lastEventId: '-1' })) events.push(event);
      return events;
    };
    expect(await read(server)).toEqual(streamed);
    expect(await read(other)).toEqual(streamed);
    await other.baton.stop();
  });

  it('counts in the size of the thread', async () => {
    const { json } = await call(`${server.url}/threads/${threadId}/size`, 'GET');
    expect(json).toMatchObject({ events: { bytes: await bytes() } });
  });

  it('keeps the last values, and what they need, when it is cut', async () => {
    const database = new Database({ url: String(server.config.databaseUrl), log, applicationName: 'test' });
    const before = await pool.query('select id from baton.run_event_parts');
    await new Retention(database).cutLogs(-60_000, 10);
    await database.close();
    const events: object[] = [];
    for await (const event of server.client.runs.joinStream(threadId, runId, { lastEventId: '-1' })) events.push(event);
    expect(events).toMatchObject([{ event: 'metadata' }, { event: 'values', data: { n: 10, raw } }]);
    const after = await pool.query('select id from baton.run_event_parts');
    expect(after.rows.length).toBeLessThan(before.rows.length);
  });

  it('goes with the thread', async () => {
    await server.client.threads.delete(threadId);
    expect(await bytes()).toBe(0);
  });
});
