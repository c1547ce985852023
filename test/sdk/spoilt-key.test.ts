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
  // What is under a key that BATON_KEYS lacks is there again when it was put back.
  await pool.query(`update baton.thread_keys set kek_id = 'lost' where thread_id = $1`, [thread_id]);
  const outage = { status: 503, message: expect.stringContaining('BATON_KEYS has no key "lost"') };
  await expect(worker.client.threads.search({})).rejects.toMatchObject(outage);
  await expect(worker.client.crons.search({})).rejects.toMatchObject(outage);
  await worker.baton.stop();
  await pool.end();
  await queue.stop();
});

it('an assistant that was changed in the database is listed without what is not its own', async () => {
  const server = await testServer({ worker: false, stateUrl: 'encrypted+memory:', settings: { encryption } });
  const { client } = server;
  const made = ['changed', 'well'].map((name) =>
    client.assistants.create({ graphId: 'line', name, description: 'sealed', metadata: { note: 'sealed' } }),
  );
  const [changed, well] = await Promise.all(made);
  const pool = new Pool({ connectionString: server.baton.databaseUrl });
  const change = (table: string, id = '') =>
    pool.query(`update baton.${table} set description = 'plain' where assistant_id = $1`, [id]);
  await change('assistants', changed?.assistant_id);
  await change('assistant_versions', well?.assistant_id);
  const found = await client.assistants.search({ limit: 100 });
  const named = (name: string) => found.find((assistant) => assistant.name === name);
  expect(named('well')).toEqual(well);
  expect(named('changed')).toEqual({ ...changed, description: null, metadata: {} });
  const versions = await client.assistants.getVersions(well?.assistant_id ?? '');
  expect(versions).toMatchObject([{ name: 'well', description: null, metadata: {} }]);
  await pool.end();
  await server.stop();
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
