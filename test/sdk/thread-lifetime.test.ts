import { Pool } from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import { Database } from '../../src/database/database.ts';
import { RunQueue } from '../../src/database/run-queue.ts';
import { Threads } from '../../src/database/threads.ts';
import { ThreadSweeper } from '../../src/engine/retention/thread-sweeper.ts';
import { openState } from '../../src/state/open-state.ts';
import { call } from './fixtures/call.ts';
import { gate } from './fixtures/gates.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

const log = pino({ level: 'silent' });
const input = { log: [] };
let server: TestServer;
let pool: Pool;
beforeAll(async () => {
  server = await testServer();
  pool = new Pool({ connectionString: String(server.config.databaseUrl), max: 1 });
});
afterAll(async () => {
  await pool.end();
  await server.stop();
});

/** One round of what every worker does now and then. */
async function sweep(missing?: string): Promise<number> {
  const url = String(server.config.databaseUrl);
  const database = new Database({ url, log, applicationName: 'test' });
  const saver = await openState({ url, log, pool: database.pool });
  const of = (name: string | null) => {
    if (name === missing) throw new Error(`there is no store ${name}`);
    return saver;
  };
  const parts = { queue: new RunQueue(database), threads: new Threads(database), stores: { of }, log };
  const removed = await new ThreadSweeper(parts).tick(60_000);
  await database.close();
  return removed;
}

async function letTimePass(threadId: string): Promise<void> {
  await pool.query(`update baton.threads set expires_at = now() where thread_id = $1`, [threadId]);
}

async function rowsOf(threadId: string): Promise<number> {
  const { rows } = await pool.query<{ n: string }>(
    'select count(*) n from baton_state.checkpoints where thread_id = $1',
    [threadId],
  );
  return Number(rows[0]?.n);
}

describe('a thread with a time to live', () => {
  it('tells when it ends, to those who ask', async () => {
    const { client } = server;
    const before = Date.now();
    for (const ttl of [30, { ttl: 30, strategy: 'delete' as const }]) {
      const made = await client.threads.create({ ttl });
      expect(made).not.toHaveProperty('ttl');
      const { ttl: told } = (await client.threads.get(made.thread_id, { include: ['ttl'] })) as unknown as {
        ttl: { strategy: string; ttl_minutes: number; expires_at: string };
      };
      expect(told).toEqual({ strategy: 'delete', ttl_minutes: 30, expires_at: expect.any(String) });
      expect(Math.abs(Date.parse(told.expires_at) - before - 30 * 60_000)).toBeLessThan(60_000);
    }
  });

  it('is given another by PATCH, and keeps it when something else is changed', async () => {
    const { client } = server;
    const { thread_id } = await client.threads.create();
    const url = `${server.url}/threads/${thread_id}?include=ttl`;
    expect((await call(url, 'GET')).json).not.toHaveProperty('ttl');
    await client.threads.update(thread_id, { ttl: 0.5 });
    await client.threads.update(thread_id, { metadata: { a: 1 } });
    expect((await call(url, 'GET')).json).toMatchObject({ metadata: { a: 1 }, ttl: { ttl_minutes: 0.5 } });
  });

  it('goes when that is over, with its state, and not before', async () => {
    const { client } = server;
    const kept = await client.threads.create({ ttl: 30 });
    const { thread_id } = await client.threads.create({ ttl: 30 });
    await client.runs.wait(thread_id, 'line', { input });
    expect(await rowsOf(thread_id)).toBeGreaterThan(3);
    await letTimePass(thread_id);
    expect(await sweep()).toBe(1);
    await expect(client.threads.get(thread_id)).rejects.toThrow(/404/);
    expect(await rowsOf(thread_id)).toBe(0);
    expect(await client.threads.get(kept.thread_id)).toMatchObject({ thread_id: kept.thread_id });
  });

  it('goes also when there are many whose store is gone', async () => {
    const half = `insert into baton.deleted_threads (thread_id, state_store, deleted_at)
      select gen_random_uuid(), $1, now() - interval '1 hour' from generate_series(1, $2)`;
    await pool.query(half, ['gone', 150]);
    await pool.query(half, ['', 1]);
    expect(await sweep('gone')).toBe(1);
    await pool.query('delete from baton.deleted_threads');
  });

  it('stays while a run is at work, and when it was given more time', async () => {
    const { client } = server;
    const name = uuidv7();
    const { thread_id } = await client.threads.create({ ttl: 30 });
    const run = await client.runs.create(thread_id, 'line', { input, config: { configurable: { gate: name } } });
    await gate(name).reached;
    await letTimePass(thread_id);
    expect(await sweep()).toBe(0);
    gate(name).open();
    await client.runs.join(thread_id, run.run_id);
    await client.threads.update(thread_id, { ttl: 30 });
    expect(await sweep()).toBe(0);
    await letTimePass(thread_id);
    expect(await sweep()).toBe(1);
  });

  it('is refused where it means nothing', async () => {
    for (const ttl of [0, -1, 1e12, 'soon', { ttl: 5, strategy: 'archive' }]) {
      expect(await call(`${server.url}/threads`, 'POST', { ttl })).toMatchObject({ status: 422 });
    }
    const { thread_id } = await server.client.threads.create();
    expect(await call(`${server.url}/threads/${thread_id}?include=size`, 'GET')).toMatchObject({ status: 422 });
  });
});

describe('pruning', () => {
  it('removes the named threads and says how many there were', async () => {
    const { client } = server;
    const ids = [];
    for (let i = 0; i < 3; i++) ids.push((await client.threads.create()).thread_id);
    const [one = '', two = '', three = ''] = ids;
    await client.runs.wait(one, 'line', { input });
    expect(await client.threads.prune([one, two, two, uuidv7()])).toEqual({ pruned_count: 2 });
    expect(await client.threads.search({ ids, select: ['thread_id'] })).toEqual([{ thread_id: three }]);
    expect(await rowsOf(one)).toBe(0);
    expect(await client.threads.get(three)).toMatchObject({ thread_id: three });
  });
});

describe('the storage of a thread', () => {
  it('is told by kind, on every store', async () => {
    const memory = await testServer({ stateUrl: 'memory:' });
    for (const { client, url } of [server, memory]) {
      const { thread_id } = await client.threads.create();
      const storage = async () => (await call(`${url}/threads/${thread_id}/storage`, 'GET')).json;
      const nothing = { count: 0, bytes: 0 };
      expect(await storage()).toEqual({
        thread_id,
        total_bytes: 0,
        checkpoints: nothing,
        channel_values: { ...nothing, by_channel: {} },
        pending_writes: nothing,
        blobs: nothing,
        files: nothing,
      });
      await client.runs.wait(thread_id, 'asking', { input: { log: ['x'.repeat(10_000)] } });
      const { total_bytes, checkpoints, channel_values, pending_writes } = await storage();
      expect(checkpoints.count).toBe((await client.threads.getHistory(thread_id)).length);
      // Once, though the input and what the reducer made of it both have it.
      expect(channel_values.count).toBe(1);
      expect(channel_values.bytes).toBeGreaterThan(10_000);
      expect(pending_writes.count).toBeGreaterThan(0);
      expect(total_bytes).toBe(checkpoints.bytes + channel_values.bytes + pending_writes.bytes);
    }
    expect(await call(`${memory.url}/threads/${uuidv7()}/storage`, 'GET')).toMatchObject({ status: 404 });
    await memory.stop();
  });
});
