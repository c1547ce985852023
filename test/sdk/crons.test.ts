import { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import { call } from './fixtures/call.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

const RARELY = '0 0 1 1 *';
const input = { log: [] };

let server: TestServer;
let pool: Pool;
beforeAll(async () => {
  server = await testServer({ stateUrl: 'memory:' });
  pool = new Pool({ connectionString: server.config.databaseUrl ?? '' });
});
afterAll(async () => {
  await pool.end();
  await server.stop();
});

const post = (path: string, body: object) => call(server.url + path, 'POST', body);

/** The ticks of a cron, one after the other, each as if its time had just come. */
async function runNow(cronId: string): Promise<void> {
  await pool.query(`update baton.crons set next_run_date = now() - interval '1 second' where cron_id = $1`, [cronId]);
  await server.baton.crons.tick();
  // The server's own round may have been faster, and leaves the cron locked until its run is there.
  await pool.query('select from baton.crons where cron_id = $1 for update', [cronId]);
}

async function runsOf(cronId: string) {
  const { rows } = await pool.query<{ run_id: string; thread_id: string; temporary: boolean }>(
    `select run_id, thread_id, temporary from baton.runs join baton.threads using (thread_id)
     where runs.metadata->>'cron_id' = $1 order by runs.position`,
    [cronId],
  );
  return rows;
}

describe('the official client', () => {
  it('makes, changes, finds, counts and deletes crons', async () => {
    const { crons, threads } = server.client;
    const { thread_id } = await threads.create();
    const metadata = { test: uuidv7() };
    const made = await crons.create('line', {
      schedule: RARELY,
      timezone: 'Europe/Berlin',
      endTime: '2999-01-01T00:00:00+01:00',
      input,
      metadata,
      config: { configurable: { a: 1 } },
      onRunCompleted: 'keep',
      streamMode: ['updates'],
    });
    const cron = {
      cron_id: made.cron_id,
      assistant_id: expect.stringMatching(/^[\da-f-]{36}$/),
      thread_id: null,
      on_run_completed: 'keep',
      schedule: RARELY,
      timezone: 'Europe/Berlin',
      end_time: '2998-12-31T23:00:00.000Z',
      enabled: true,
      metadata,
      payload: {
        assistant_id: made.assistant_id,
        input,
        config: { configurable: { a: 1 } },
        stream_mode: ['updates'],
      },
      user_id: null,
      next_run_date: expect.stringMatching(/-12-31T23:00:00.000Z$/),
      created_at: expect.any(String),
      updated_at: expect.any(String),
    };
    expect(made).toEqual(cron);
    expect((await call(`${server.url}/runs/crons/${made.cron_id}`, 'GET')).json).toEqual(cron);

    const onThread = await crons.createForThread(thread_id, 'line', { schedule: '@hourly', input, enabled: false });
    expect(onThread).toMatchObject({ thread_id, on_run_completed: null, enabled: false, next_run_date: null });
    expect(await crons.search({ threadId: thread_id })).toEqual([onThread]);
    expect(await crons.search({ metadata, select: ['cron_id', 'timezone', 'now'] })).toEqual([
      { cron_id: made.cron_id, timezone: 'Europe/Berlin' },
    ]);
    const all = await crons.search({ sortBy: 'created_at', sortOrder: 'asc' });
    expect(all.map(({ cron_id }) => cron_id)).toEqual([made.cron_id, onThread.cron_id]);
    expect(await crons.search({ enabled: false, assistantId: onThread.assistant_id, limit: 1 })).toEqual([onThread]);
    expect(await crons.count()).toBe(2);
    expect(await crons.count({ metadata })).toBe(1);
    expect(await crons.count({ threadId: thread_id, assistantId: made.assistant_id })).toBe(1);
    const paged = await post('/runs/crons/search', { limit: 1, assistant_id: 'line' });
    expect(Object.fromEntries(paged.headers)).toMatchObject({ 'x-pagination-total': '2', 'x-pagination-next': '1' });

    const changed = await crons.update(made.cron_id, {
      schedule: '0 12 * * *',
      timezone: 'UTC',
      metadata: { more: true },
      input: { log: ['new'] },
      endTime: null,
    });
    expect(changed).toEqual({
      ...cron,
      schedule: '0 12 * * *',
      timezone: 'UTC',
      end_time: null,
      metadata: { ...metadata, more: true },
      payload: { ...cron.payload, input: { log: ['new'] } },
      next_run_date: expect.stringMatching(/T12:00:00.000Z$/),
    });
    expect(await crons.update(made.cron_id, { enabled: false })).toMatchObject({ next_run_date: null });
    expect(await crons.update(made.cron_id, { enabled: true })).toEqual({ ...changed, updated_at: cron.updated_at });

    await crons.delete(made.cron_id);
    await crons.delete(onThread.cron_id);
    expect(await crons.count()).toBe(0);
    await expect(crons.delete(made.cron_id)).rejects.toThrow('404');
    await expect(crons.update(made.cron_id, { enabled: true })).rejects.toThrow('404');
  });

  it('is told of them by /info', async () => {
    expect((await call(`${server.url}/info`, 'GET')).json).toMatchObject({ flags: { crons: true } });
  });
});

describe('the run of a cron', () => {
  const context = { tone: 'dry' };
  const asked = { input: {}, context, config: { tags: ['nightly'], configurable: { a: 1 } }, metadata: { m: 1 } };

  it('is as if its maker had asked for it, on the thread of the cron', async () => {
    const { client } = server;
    const { thread_id } = await client.threads.create();
    const { cron_id } = await client.crons.createForThread(thread_id, 'mirror', { schedule: RARELY, ...asked });
    const { run_id } = await client.runs.create(thread_id, 'mirror', asked);
    await client.runs.join(thread_id, run_id);
    const byHand = await client.threads.getState<{ seen: object }>(thread_id);
    await runNow(cron_id);
    const [ofCron] = await runsOf(cron_id);
    await client.runs.join(thread_id, ofCron?.run_id ?? '');
    const state = await client.threads.getState<{ seen: { metadata: object; configurable: object } }>(thread_id);
    expect(state.values.seen).toMatchObject({ context, tags: ['nightly'], metadata: { m: 1, cron_id } });
    expect(Object.keys(state.values.seen.configurable)).toEqual(
      Object.keys((byHand.values.seen as { configurable: object }).configurable),
    );
    const [newest, older] = await client.runs.list(thread_id);
    expect(newest).toMatchObject({ status: 'success', metadata: { ...older?.metadata, cron_id } });
    expect(newest).toHaveProperty('kwargs', (older as unknown as { kwargs: object }).kwargs);
    await client.crons.delete(cron_id);
  });

  it('gets a thread of its own each time, which goes or stays', async () => {
    const { client } = server;
    for (const onRunCompleted of ['keep', 'delete', undefined] as const) {
      const { cron_id } = await client.crons.create('line', {
        schedule: RARELY,
        input,
        ...(onRunCompleted && { onRunCompleted }),
      });
      await runNow(cron_id);
      await runNow(cron_id);
      const runs = await runsOf(cron_id);
      expect(new Set(runs.map(({ thread_id }) => thread_id)).size).toBe(2);
      for (const { run_id, thread_id, temporary } of runs) {
        expect(temporary).toBe(onRunCompleted !== 'keep');
        expect(await client.runs.join(thread_id, run_id)).toEqual({ log: ['a', 'b', 'c'] });
      }
      expect(await client.threads.search({ metadata: { cron_id } })).toHaveLength(onRunCompleted === 'keep' ? 2 : 0);
      await client.crons.delete(cron_id);
    }
  });

  it('is what the cron was changed to', async () => {
    const { client } = server;
    const { thread_id } = await client.threads.create();
    const { cron_id } = await client.crons.createForThread(thread_id, 'line', { schedule: RARELY, input });
    await client.crons.update(cron_id, { input: { log: ['changed'] }, interruptBefore: ['c'] });
    await runNow(cron_id);
    const [run] = await runsOf(cron_id);
    expect(await client.runs.join(thread_id, run?.run_id ?? '')).toMatchObject({ log: ['changed', 'a', 'b'] });
    await client.crons.delete(cron_id);
  });
});

describe('a cron', () => {
  it.each<[string, object, string]>([
    ['seconds', { schedule: '* * * * * *' }, 'body.schedule: "* * * * * *" is no schedule (it has not five fields)'],
    ['a wrong field', { schedule: '0 24 * * *' }, 'Invalid value for hour: 24'],
    ['no such day', { schedule: '0 0 31 2 *' }, 'body.schedule: "0 0 31 2 *" never comes'],
    ['no such time zone', { timezone: 'Mars/Phobos' }, 'body.timezone: "Mars/Phobos" is no time zone'],
    ['no instant', { end_time: 'tomorrow' }, 'body.end_time: '],
    ['an end before its first time', { end_time: '2020-01-01T00:00:00' }, 'so it would never run'],
    ['a webhook', { webhook: 7 }, 'webhook'],
    ['no such node to stop at', { interrupt_before: 'b' }, 'body.interrupt_before: '],
    ['no such mode', { stream_mode: 'everything' }, 'body.stream_mode: '],
  ])('with %s is refused', async (_what, wrong, reason) => {
    const answer = await post('/runs/crons', { assistant_id: 'line', schedule: RARELY, input, ...wrong });
    expect(answer).toMatchObject({ status: 422, text: expect.stringContaining(reason) });
    const { cron_id } = await server.client.crons.create('line', { schedule: RARELY });
    const patch = await call(`${server.url}/runs/crons/${cron_id}`, 'PATCH', wrong);
    // Whoever sets an end that is over wants it to end.
    expect(patch.status).toBe(reason.includes('never run') ? 200 : 422);
    await server.client.crons.delete(cron_id);
  });

  it('whose thread is to stay and to go is refused', async () => {
    const { thread_id } = await server.client.threads.create();
    const body = { assistant_id: 'line', schedule: RARELY };
    const path = `/threads/${thread_id}/runs/crons`;
    expect(await post(path, { ...body, on_run_completed: 'delete' })).toMatchObject({
      status: 422,
      text: expect.stringContaining('body.on_run_completed: '),
    });
    expect(await post(path, { ...body, on_run_completed: 'keep' })).toMatchObject({ status: 200 });
  });

  it('is not made for what is not there', async () => {
    const body = { assistant_id: 'line', schedule: RARELY };
    const before = await server.client.crons.count();
    expect(await post('/runs/crons', { ...body, assistant_id: 'nothing' })).toMatchObject({ status: 404 });
    expect(await post(`/threads/${uuidv7()}/runs/crons`, body)).toMatchObject({ status: 404 });
    expect(await post('/runs/crons', { assistant_id: 'line' })).toMatchObject({ status: 422 });
    expect(await server.client.crons.count()).toBe(before);
  });

  it('says what it will not do', async () => {
    const body = { assistant_id: 'line', schedule: RARELY, interrupt_before: ['nowhere'] };
    const answer = await post('/runs/crons', body);
    expect(answer.headers.get('warning')).toContain(`graph 'line' has no node 'nowhere'`);
    const later = await post('/runs/crons', { assistant_id: 'line', schedule: RARELY, after_seconds: 5 });
    expect(later.headers.get('warning')).toContain('after_seconds');
  });

  it('goes with its thread, and with its assistant', async () => {
    const { client } = server;
    const { thread_id } = await client.threads.create();
    const { assistant_id } = await client.assistants.create({ graphId: 'line' });
    const onThread = await client.crons.createForThread(thread_id, 'line', { schedule: RARELY });
    const ofAssistant = await client.crons.create(assistant_id, { schedule: RARELY });
    await client.threads.delete(thread_id);
    await client.assistants.delete(assistant_id);
    for (const { cron_id } of [onThread, ofAssistant]) {
      expect(await call(`${server.url}/runs/crons/${cron_id}`, 'GET')).toMatchObject({ status: 404 });
    }
  });
});
