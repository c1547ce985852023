import { Pool } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { call } from '../sdk/fixtures/call.ts';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';

/** Schedulers that tick when the test says so, and nobody who executes runs. */
let server: TestServer;
let other: TestServer;
let pool: Pool;
beforeAll(async () => {
  server = await testServer({ worker: false });
  other = await server.restart();
  pool = new Pool({ connectionString: server.config.databaseUrl ?? '' });
});
afterAll(async () => {
  await pool.end();
  await other.baton.stop();
  await server.stop();
});
afterEach(async () => {
  vi.useRealTimers();
  await pool.query('delete from baton.crons');
});

const MINUTELY = '* * * * *';
const tick = () => server.baton.crons.tick();

async function made(options: object = {}, threadId?: string): Promise<string> {
  const path = threadId === undefined ? '/runs/crons' : `/threads/${threadId}/runs/crons`;
  const body = { assistant_id: 'line', schedule: MINUTELY, input: { log: [] }, ...options };
  const { status, json, text } = await call(server.url + path, 'POST', body);
  if (status !== 200) throw new Error(text);
  return json.cron_id as string;
}

/** As if it had been due that long ago. */
async function makeDue(cronIds: string[], ago = '1 second'): Promise<void> {
  await pool.query('update baton.crons set next_run_date = now() - $2::interval where cron_id = any($1)', [
    cronIds,
    ago,
  ]);
}

async function runsOf(cronId: string): Promise<number> {
  const { rows } = await pool.query<{ n: number }>(
    `select count(*)::int n from baton.runs where metadata->>'cron_id' = $1`,
    [cronId],
  );
  return rows[0]?.n ?? 0;
}

/** Seconds from the database's now to when it runs next; null: never. */
async function secondsToNext(cronId: string): Promise<number | null> {
  const { rows } = await pool.query<{ s: number | null }>(
    'select extract(epoch from next_run_date - now())::float8 s from baton.crons where cron_id = $1',
    [cronId],
  );
  return rows[0]?.s ?? null;
}

describe('a tick', () => {
  it('runs what is due, and nothing else', async () => {
    const [due, later] = [await made(), await made()];
    expect(await secondsToNext(later)).toBeLessThanOrEqual(60);
    await pool.query(`update baton.crons set next_run_date = now() + interval '1 hour' where cron_id = $1`, [later]);
    await makeDue([due]);
    expect(await tick()).toBe(1);
    expect([await runsOf(due), await runsOf(later)]).toEqual([1, 0]);
    expect(await tick()).toBe(0);
  });

  it('runs what was missed once, and goes on with the schedule', async () => {
    const cron = await made({ schedule: '*/5 * * * *' });
    await makeDue([cron], '3 days');
    expect(await tick()).toBe(1);
    expect(await tick()).toBe(0);
    expect(await runsOf(cron)).toBe(1);
    const seconds = (await secondsToNext(cron)) ?? 0;
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThanOrEqual(300);
  });

  it('is taken by one of two schedulers, each time', async () => {
    const { client } = server;
    const { thread_id } = await client.threads.create();
    const crons = await Promise.all(Array.from({ length: 12 }, (_, i) => made({}, i % 2 ? thread_id : undefined)));
    for (let round = 1; round <= 3; round++) {
      await makeDue(crons);
      const queued = await Promise.all([tick(), other.baton.crons.tick(), tick(), other.baton.crons.tick()]);
      expect(queued.reduce((sum, n) => sum + n)).toBe(crons.length);
      expect(await Promise.all(crons.map(runsOf))).toEqual(crons.map(() => round));
    }
  });

  it('that breaks off has queued nothing, and the next one does', async () => {
    const [cron, healthy] = [await made({ metadata: { breaks: true } }), await made()];
    await pool.query(`create function broken() returns trigger language plpgsql as $$ begin
      if new.metadata ? 'breaks' then raise 'the connection is gone'; end if; return new; end $$`);
    await pool.query('create trigger broken after insert on baton.runs for each row execute function broken()');
    await makeDue([cron, healthy]);
    expect(await tick()).toBe(1);
    expect([await runsOf(cron), await runsOf(healthy)]).toEqual([0, 1]);
    expect(await secondsToNext(cron)).toBeLessThan(0);
    await pool.query('drop function broken cascade');
    expect(await tick()).toBe(1);
    expect(await runsOf(cron)).toBe(1);
  });

  it('goes by the clock of the database', async () => {
    const [cron, later] = [await made(), await made({ schedule: '0 0 1 1 *' })];
    await makeDue([cron]);
    vi.useFakeTimers({ toFake: ['Date'], now: new Date('2099-06-01T00:00:00Z') });
    expect(await tick()).toBe(1);
    expect(await runsOf(later)).toBe(0);
    expect(await secondsToNext(cron)).toBeLessThanOrEqual(60);
    vi.setSystemTime(new Date('1999-06-01T00:00:00Z'));
    await makeDue([cron]);
    expect(await tick()).toBe(1);
    expect(await secondsToNext(cron)).toBeGreaterThan(0);
    const third = await made();
    expect(await secondsToNext(third)).toBeGreaterThan(0);
  });

  it('runs nothing that is disabled, or has ended', async () => {
    const { client } = server;
    const [disabled, ended] = [await made(), await made({ end_time: '2998-01-01T00:00:00Z' })];
    await makeDue([disabled, ended]);
    expect(await client.crons.update(disabled, { enabled: false })).toMatchObject({ next_run_date: null });
    await pool.query(`update baton.crons set end_time = now() - interval '1 second' where cron_id = $1`, [ended]);
    expect(await tick()).toBe(0);
    expect([await secondsToNext(disabled), await secondsToNext(ended)]).toEqual([null, null]);
    // What was missed while it was disabled is not made up for.
    await client.crons.update(disabled, { enabled: true });
    expect(await tick()).toBe(0);
    expect(await secondsToNext(disabled)).toBeGreaterThan(0);
  });

  it('after which the end comes is the last', async () => {
    const cron = await made({ schedule: '0 0 29 2 *' });
    await makeDue([cron]);
    await pool.query(`update baton.crons set end_time = now() + interval '1 minute' where cron_id = $1`, [cron]);
    expect(await tick()).toBe(1);
    expect(await secondsToNext(cron)).toBeNull();
  });

  it('is left out when its run is refused, and the schedule goes on', async () => {
    const { client } = server;
    const { thread_id } = await client.threads.create();
    await client.runs.create(thread_id, 'line', { input: { log: [] } });
    const rejecting = await made({ multitask_strategy: 'reject' }, thread_id);
    const queueing = await made({}, thread_id);
    await makeDue([rejecting, queueing]);
    expect(await tick()).toBe(1);
    expect([await runsOf(rejecting), await runsOf(queueing)]).toEqual([0, 1]);
    expect(await secondsToNext(rejecting)).toBeGreaterThan(0);
    const { text } = await call(`${server.url}/metrics`, 'GET');
    expect(text).toMatch(/^baton_crons_refused_total [1-9]/m);
    expect(text).toMatch(/^baton_cron_delay_seconds_count [1-9]/m);
  });

  it('runs no cron of a graph that is not here', async () => {
    const cron = await made();
    await pool.query(`update baton.assistants set graph_id = 'elsewhere' where graph_id = 'line'`);
    await makeDue([cron]);
    expect(await tick()).toBe(0);
    await pool.query(`update baton.assistants set graph_id = 'line' where graph_id = 'elsewhere'`);
    expect(await tick()).toBe(1);
  });

  it('leaves the deletion of a thread its way', async () => {
    const { client } = server;
    for (let round = 0; round < 6; round++) {
      const { thread_id } = await client.threads.create();
      await makeDue([await made({}, thread_id), await made({}, thread_id)]);
      await Promise.all([tick(), client.threads.delete(thread_id), other.baton.crons.tick()]);
      expect(await client.crons.count()).toBe(0);
    }
  });
});

describe('a scheduler', () => {
  it('wakes when a cron is due, and when one is made that is due earlier', async () => {
    const awake = await testServer();
    const database = new Pool({ connectionString: awake.config.databaseUrl ?? '' });
    const cron = await awake.client.crons.create('line', { schedule: MINUTELY, input: { log: [] } });
    await database.query(
      `update baton.crons set next_run_date = now() + interval '50 milliseconds' where cron_id = $1`,
      [cron.cron_id],
    );
    // Any change wakes it; then it knows when the next one is due.
    await awake.client.crons.update(cron.cron_id, { metadata: { changed: true } });
    await vi.waitFor(
      async () => {
        const { rows } = await database.query('select status from baton.runs');
        expect(rows).toEqual([{ status: 'success' }]);
      },
      { timeout: 5000, interval: 20 },
    );
    await database.end();
    await awake.stop();
  });
});
