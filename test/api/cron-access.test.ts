import { fileURLToPath } from 'node:url';
import { Pool } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createApiKey } from '../../src/auth/api-keys.ts';
import { parseApiKeys } from '../../src/config/api-keys.ts';
import { call } from '../sdk/fixtures/call.ts';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';
import { dismissed } from './fixtures/changing-auth.ts';

const file = fileURLToPath(new URL('fixtures/changing-auth.ts', import.meta.url));
const clerk = createApiKey('clerk', ['write']);
const anna = { 'x-user': 'anna' };
const body = { assistant_id: 'mirror', schedule: '0 0 1 1 *', input: {}, on_run_completed: 'keep' };

let server: TestServer;
let pool: Pool;
beforeAll(async () => {
  server = await testServer({
    stateUrl: 'memory:',
    auth: { project: { file, exportName: 'auth' }, apiKeys: parseApiKeys(clerk.entry) },
  });
  pool = new Pool({ connectionString: server.config.databaseUrl ?? '' });
});
afterAll(async () => {
  await pool.end();
  await server.stop();
});
beforeEach(() => dismissed.clear());

async function made(headers: Record<string, string>, more: object = {}) {
  const { json, text } = await call(`${server.url}/runs/crons`, 'POST', { ...body, ...more }, headers);
  expect(text).not.toContain('a token');
  return json as { cron_id: string; user_id: string; metadata: object };
}

/** What the run of the cron's next tick saw of its configuration, and its thread; null when there was none. */
async function nextRun(cronId: string) {
  await pool.query(`update baton.crons set next_run_date = now() where cron_id = $1`, [cronId]);
  await server.baton.crons.tick();
  // The server's own round may have been faster, and leaves the cron locked until its run is there.
  await pool.query('select from baton.crons where cron_id = $1 for update', [cronId]);
  const { rows } = await pool.query<{ thread_id: string; run_id: string }>(
    `delete from baton.crons where cron_id = $1 returning
       (select thread_id from baton.runs where metadata->>'cron_id' = $1::text),
       (select run_id from baton.runs where metadata->>'cron_id' = $1::text)`,
    [cronId],
  );
  const { thread_id, run_id } = rows[0] ?? {};
  if (!thread_id) return null;
  const { json } = await call(`${server.url}/threads/${thread_id}/runs/${run_id}/join`, 'GET', undefined, anna);
  const thread = await call(`${server.url}/threads/${thread_id}`, 'GET', undefined, anna);
  return { configurable: json.seen.configurable as Record<string, unknown>, metadata: thread.json.metadata as object };
}

describe('the run of a cron', () => {
  it('is that of the user who made it, whoever changed it', async () => {
    const cron = await made(anna);
    expect(cron).toMatchObject({ user_id: 'anna', metadata: { team: 'all' } });
    const path = `${server.url}/runs/crons/${cron.cron_id}`;
    const changed = await call(path, 'PATCH', { context: { changed: true } }, { 'x-user': 'bert' });
    expect(changed).toMatchObject({ status: 200, json: { user_id: 'anna' } });
    const run = await nextRun(cron.cron_id);
    expect(run?.configurable).toMatchObject({
      langgraph_auth_user_id: 'anna',
      langgraph_auth_user: { identity: 'anna', token: 'a token' },
      langgraph_auth_permissions: ['chat'],
    });
    expect(run?.metadata).toMatchObject({ owner: 'anna' });
  });

  it('has the headers of who made it, which nobody can pass for in a body', async () => {
    const { cron_id } = await made(
      { ...anna, 'x-organization': 'ours' },
      { config: { configurable: { 'x-organization': 'theirs', own: 1 } } },
    );
    expect((await nextRun(cron_id))?.configurable).toMatchObject({ 'x-organization': 'ours', own: 1 });
  });

  it('is not made when its maker may no longer make any, nor may he make a cron then', async () => {
    const { cron_id } = await made(anna);
    dismissed.add('anna');
    expect(await call(`${server.url}/runs/crons`, 'POST', body, anna)).toMatchObject({ status: 403 });
    expect(await nextRun(cron_id)).toBeNull();
  });

  it('is the bearer’s of a key, about whom no handler is asked', async () => {
    const { cron_id } = await made({ 'x-api-key': clerk.key });
    dismissed.add('clerk');
    const run = await nextRun(cron_id);
    expect(run?.configurable).toMatchObject({ langgraph_auth_user_id: 'clerk', langgraph_auth_permissions: ['write'] });
    expect(run?.metadata).not.toHaveProperty('owner');
  });
});
