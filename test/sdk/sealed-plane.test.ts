import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Database } from '../../src/database/database.ts';
import { Crons } from '../../src/database/crons.ts';
import { RunQueue } from '../../src/database/run-queue.ts';
import { WebhookDeliveries } from '../../src/database/webhook-deliveries.ts';
import { log } from '../state/stores.ts';
import { GRAPHS_FILE, testServer, type TestServer } from './fixtures/test-server.ts';

const encryption = { keys: [{ id: 'one', secret: randomBytes(32).toString('base64') }], clearMetadata: [] };
const REFUSAL = 'This control plane is sealed';

describe('a server that seals nothing', () => {
  /** It was there before the other one sealed the first row. */
  let plain: TestServer;
  let sealed: TestServer;
  let database: Database;
  let thread = '';
  const namespace = ['notes'];

  beforeAll(async () => {
    plain = await testServer({ stateUrl: 'memory:' });
    database = new Database({ url: plain.baton.databaseUrl, log, applicationName: 'test' });
    sealed = await plain.restart({ worker: false, settings: { encryption, stateUrl: 'encrypted+memory:' } });
    thread = (await sealed.client.threads.create({ metadata: { note: 'secret' } })).thread_id;
    await sealed.client.runs.create(thread, 'line', { input: { log: ['secret'] } });
    await sealed.client.crons.createForThread(thread, 'line', { schedule: '0 0 1 1 *', input: { log: ['secret'] } });
    await sealed.client.assistants.create({ graphId: 'line', assistantId: thread, config: { tags: ['secret'] } });
    await sealed.client.store.putItem(namespace, 'one', { text: 'secret' });
    await database.query(`update baton.crons set next_run_date = now() - interval '1 second'`);
    await database.query(
      `insert into baton.webhook_deliveries (run_id, thread_id, url, payload, metadata)
       select run_id, thread_id, 'http://127.0.0.1:9/', '{}', '{}' from baton.runs`,
    );
  });
  afterAll(async () => {
    await database.close();
    await sealed.baton.stop();
    await plain.stop();
  });

  /** All that the other one has sealed, as it stands. */
  async function rows(): Promise<unknown> {
    const [all] = await database.pool
      .query(
        `select (select json_agg(r) from baton.runs r) runs, (select json_agg(t) from baton.threads t) threads,
           (select json_agg(c) from baton.crons c) crons, (select json_agg(a order by assistant_id) from baton.assistants a) assistants,
           (select json_agg(i) from baton_store.store i) items, (select json_agg(d) from baton.webhook_deliveries d) deliveries`,
      )
      .then((result) => result.rows);
    return all;
  }

  it('is not started on a control plane that is sealed', async () => {
    const before = await rows();
    await expect(plain.restart()).rejects.toThrow(REFUSAL);
    await expect(plain.restart({ settings: { encryption } })).rejects.toThrow(REFUSAL);
    expect(await rows()).toEqual(before);
  });

  it('that runs already gives nothing of what another one sealed, and takes and overwrites none of it', async () => {
    const before = await rows();
    const { assistants, crons, runs, store, threads } = plain.client;
    const calls = [
      () => threads.get(thread),
      () => threads.search({}),
      () => threads.update(thread, { metadata: { note: 'plain' } }),
      () => threads.create(),
      () => runs.list(thread),
      () => runs.create(thread, 'line', { input: {} }),
      () => crons.search({}),
      () => assistants.get(thread),
      () => assistants.search({}),
      () => assistants.update(thread, { config: { tags: ['plain'] } }),
      () => store.getItem(namespace, 'one'),
      () => store.searchItems(namespace),
      () => store.putItem(namespace, 'one', { text: 'plain' }),
    ];
    for (const call of calls) await expect(call()).rejects.toThrow(/503.*This control plane is sealed/s);
    expect(await plain.baton.worker.tick()).toBe(0);
    await expect(plain.baton.crons.tick()).rejects.toThrow(REFUSAL);
    expect(await rows()).toEqual(before);
    await sealed.client.threads.update(thread, { metadata: { more: 'secret' } });
    expect((await sealed.client.threads.get(thread)).metadata).toMatchObject({ note: 'secret', more: 'secret' });
  });

  it('that has just seen that nothing is sealed takes nothing that is, and shows nothing', async () => {
    const keys = `select json_agg(k) from baton.thread_keys k`;
    const [kept] = await database.pool.query<{ json_agg: unknown }>(keys).then((result) => result.rows);
    await database.query('delete from baton.thread_keys');
    await database.requireReadable();
    await database.query(
      'insert into baton.thread_keys select * from json_populate_recordset(null::baton.thread_keys, $1)',
      [JSON.stringify(kept?.json_agg)],
    );
    const before = await rows();
    const claim = { workerId: 'w', graphIds: ['line'], limit: 10, leaseMs: 1000 };
    expect(await new RunQueue(database).claim(claim)).toEqual([]);
    expect(await new Crons(database).due(['line'], { limit: 10, except: [] })).toEqual([]);
    const asked = { limit: 10, perHost: 10, busy: new Map<string, number>(), leaseMs: 1000 };
    expect(await new WebhookDeliveries(database).claim(asked)).toEqual([]);
    expect(await rows()).toEqual(before);
    await expect(database.query('select * from baton.runs')).rejects.toThrow(REFUSAL);
    const asIs = database.queryEach('select metadata from baton.threads', [], () => ({}));
    await expect(asIs).rejects.toThrow(REFUSAL);
  });
});

it('what only looks sealed is what users wrote, where nothing is', async () => {
  const server = await testServer({ stateUrl: 'memory:' });
  try {
    const written = { description: 'sealed: no', context: { $sealed: 'run:AQ==' }, metadata: { '$sealed:x': 'y' } };
    const { assistant_id } = await server.client.assistants.create({ graphId: 'line', ...written });
    expect(await server.client.assistants.get(assistant_id)).toMatchObject(written);
    await server.client.store.putItem(['a'], 'b', { $sealed: 'c' });
    expect((await server.client.store.getItem(['a'], 'b'))?.value).toEqual({ $sealed: 'c' });
  } finally {
    await server.stop();
  }
});

it('a start that fails seals nothing: the next one may be plain', async () => {
  const server = await testServer({ stateUrl: 'memory:' });
  try {
    const stateUrl = `encrypted+postgres://nobody@127.0.0.1:1/${randomUUID()}`;
    await expect(server.restart({ settings: { encryption, stateUrl } })).rejects.toThrow('cannot be opened');
    const again = await server.restart();
    expect(await again.client.threads.create()).toMatchObject({ status: 'idle' });
    await again.baton.stop();
  } finally {
    await server.stop();
  }
});

describe('the state of a sealed deployment', () => {
  const folder = mkdtempSync(join(tmpdir(), 'baton-sealed-'));
  const store = (name: string) => `sqlite:${join(folder, name)}`;
  let from: TestServer;
  let to: TestServer;
  let thread = '';
  beforeAll(async () => {
    from = await testServer({ stateUrl: `encrypted+${store('sealed.db')}`, settings: { encryption } });
    to = await testServer({ stateUrl: store('plain.db'), settings: { encryption } });
    thread = (await from.client.threads.create()).thread_id;
    await from.client.runs.wait(thread, 'asking', { input: { log: ['secret'] } });
  });
  afterAll(async () => {
    await Promise.all([from.stop(), to.stop()]);
    await rm(folder, { recursive: true });
  });
  const copy = (server: TestServer, sides: { from: string | null; to: string | null; graphId?: string }) =>
    server.baton.copyState({ ...sides, dryRun: false }, () => undefined);

  it('is not read by a deployment that has not its keys, which is told why, though it has BATON_KEYS', async () => {
    const asked = { to: null, graphId: 'asking' };
    const sealed = `encrypted+${store('sealed.db')}`;
    await expect(copy(to, { ...asked, from: sealed })).rejects.toThrow(/BATON_KEYS is read only where STATE_URL/);
    await expect(copy(to, { ...asked, from: store('sealed.db') })).rejects.toThrow(/opened as a plain one/);
    expect(await to.client.threads.search({})).toEqual([]);
  });

  it('moves to one that is not, by way of a store in clear, and goes on there', async () => {
    expect(await copy(from, { from: null, to: store('way.db') })).toMatchObject({ threads: 1, left: 0 });
    const taken = { from: store('way.db'), to: null, graphId: 'asking' };
    expect(await copy(to, taken)).toMatchObject({ threads: 1, left: 0 });
    expect(await to.client.threads.get(thread)).toMatchObject({ status: 'interrupted' });
    const history = await to.client.threads.getHistory(thread);
    expect(history).toEqual(await from.client.threads.getHistory(thread));
    expect(await to.client.runs.wait(thread, 'asking', { command: { resume: 'yes' } })).toEqual({
      log: ['secret', 'answer: "yes"'],
    });
  });

  it('is not read as plain by one whose other graphs alone are encrypted: it waits', async () => {
    const line = { file: GRAPHS_FILE, exportName: 'line', description: null, state: 'encrypted+memory:' };
    const half = { stateUrl: store('sealed.db'), graphs: { ...from.config.graphs, line } };
    const server = await from.restart({ settings: half, worker: false });
    await expect(server.client.threads.getState(thread)).rejects.toThrow(/503.*opened as a plain one/s);
    await server.baton.stop();
  });
});
