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
  await worker.baton.stop();
  await pool.end();
  await queue.stop();
});
