import { randomBytes } from 'node:crypto';
import { Pool } from 'pg';
import { expect, it, vi } from 'vitest';
import { testServer } from './fixtures/test-server.ts';

const encryption = { keys: [{ id: 'one', secret: randomBytes(32).toString('base64') }], clearMetadata: [] };

it('an encrypted store lets a key that opens nothing hold up only what is its own', async () => {
  const queue = await testServer({ worker: false, stateUrl: 'encrypted+memory:', settings: { encryption } });
  const made = ['spoilt', 'well'].map(async () => {
    const { thread_id } = await queue.client.threads.create();
    const cron = { schedule: '0 0 1 1 *', input: { log: [] } };
    await queue.client.crons.createForThread(thread_id, 'line', cron);
    return queue.client.runs.create(thread_id, 'line', { input: { log: [] } });
  });
  const [spoilt, well] = await Promise.all(made);
  const pool = new Pool({ connectionString: queue.baton.databaseUrl });
  await pool.query(`update baton.thread_keys set wrapped = 'x' where thread_id = $1`, [spoilt?.thread_id]);
  await pool.query(`update baton.crons set next_run_date = now() - interval '1 second'`);
  // It knows no key yet.
  const worker = await queue.restart({ worker: true });
  const runsOf = `select status from baton.runs where thread_id = $1 order by position`;
  await vi.waitFor(
    async () => {
      const { rows } = await pool.query(runsOf, [well?.thread_id]);
      expect(rows).toEqual([{ status: 'success' }, { status: 'success' }]);
    },
    { timeout: 8000 },
  );
  const { rows } = await pool.query<{ status: string }>(runsOf, [spoilt?.thread_id]);
  expect(rows).toHaveLength(1);
  expect(['pending', 'running']).toContain(rows[0]?.status);
  const { thread_id } = spoilt ?? {};
  const crons = await worker.client.crons.search({});
  expect(crons.find((cron) => cron.thread_id === thread_id)).toMatchObject({ schedule: '0 0 1 1 *', payload: {} });
  expect(crons.find((cron) => cron.thread_id === well?.thread_id)?.payload).toMatchObject({ input: { log: [] } });
  await worker.baton.stop();
  await pool.end();
  await queue.stop();
});

it('a run whose thread lost its key fails and says so, and its thread is listed without what nobody can read', async () => {
  const queue = await testServer({ worker: false, stateUrl: `encrypted+memory:`, settings: { encryption } });
  const pool = new Pool({ connectionString: queue.baton.databaseUrl });
  const settings = { encryption, stateUrl: `encrypted+${queue.baton.databaseUrl}` };
  const first = await queue.restart({ worker: true, settings });
  const made = ['new', 'begun'].map(async (note) => {
    const { thread_id } = await first.client.threads.create({ metadata: { note } });
    await first.client.runs.wait(thread_id, 'line', { input: { log: [] } });
    return thread_id;
  });
  const ids = await Promise.all(made);
  await first.baton.stop();
  const runs = await Promise.all(ids.map((id) => queue.client.runs.create(id, 'line', { input: { log: [] } })));
  // Somebody has seen it before.
  await pool.query('update baton.runs set attempt = 1 where run_id = $1', [runs[1]?.run_id]);
  await pool.query('delete from baton.thread_keys where thread_id = any($1)', [ids]);
  const worker = await queue.restart({ worker: true, settings });
  const ended = `select error is not null as told from baton.runs where run_id = any($1) and status = 'error'`;
  await vi.waitFor(
    async () => {
      const { rows } = await pool.query(ended, [runs.map(({ run_id }) => run_id)]);
      expect(rows).toEqual([{ told: true }, { told: true }]);
    },
    { timeout: 8000 },
  );
  for (const thread of await worker.client.threads.search({ ids })) {
    expect(thread).toMatchObject({
      status: 'error',
      metadata: { graph_id: 'line' },
      error: { message: expect.stringContaining('its key is gone') },
    });
    expect(thread.metadata).not.toHaveProperty('note');
    await expect(worker.client.threads.get(thread.thread_id)).rejects.toThrow('its key is gone');
  }
  await pool.end();
  await worker.baton.stop();
  await queue.stop();
});
