import { randomBytes, randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Writable } from 'node:stream';
import { Pool } from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { WEBHOOK_DEFAULTS, webhookSettings } from '../../src/config/webhook-settings.ts';
import { Receiver } from '../engine/webhooks/receiver.ts';
import { DUMPED_STORES, dumpPostgres, type DumpedStore } from './fixtures/dumped-stores.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

const WORD = 'pelican7319';
const STORES = Object.entries(DUMPED_STORES);
const file = fileURLToPath(new URL('fixtures/secret-graph.ts', import.meta.url));
const graphs = { secretive: { file, exportName: 'secretive', description: null } };
const encryption = {
  keys: [{ id: 'one', secret: randomBytes(32).toString('base64') }],
  clearMetadata: ['customer'],
};
const webhooks = webhookSettings({
  key: {},
  disabled: false,
  set: { ...WEBHOOK_DEFAULTS, webhookAllowedNetworks: '127.0.0.0/8' },
  env: {},
});

/** A word and what it looks like in base64, at each of the three places that it can begin at, and in hexadecimal. */
const FORMS = [
  WORD,
  Buffer.from(WORD).toString('hex'),
  ...[0, 1, 2].map((shift) =>
    Buffer.from(`${'x'.repeat(shift)}${WORD}`)
      .toString('base64')
      .slice(shift === 0 ? 0 : 4)
      .slice(0, 8),
  ),
];

/** The lines in which the word can be read. */
function readable(text: string): string[] {
  return text.split('\n').filter((line) => FORMS.some((form) => line.includes(form)));
}

describe.each(STORES)('a server on encrypted+%s', (_, open) => {
  let state: DumpedStore;
  let server: TestServer;
  let receiver: Receiver;
  let logged = '';
  beforeAll(async () => {
    state = await open();
    receiver = await Receiver.start();
    const sink = new Writable({
      write(chunk, _, done) {
        logged += String(chunk);
        done();
      },
    });
    server = await testServer({
      stateUrl: `encrypted+${state.url}`,
      settings: { ...state.settings, encryption, webhooks },
      graphs,
      log: pino({ level: 'trace' }, sink),
    });
  });
  afterAll(async () => {
    await server.stop();
    await receiver.stop();
    await state.drop();
  });

  it('works as any other, and keeps none of what users said where it could be read', async () => {
    const { client, baton } = server;
    const say = (what: string) => `${WORD}-${what}`;
    const assistant = await client.assistants.create({
      graphId: 'secretive',
      name: 'Public name',
      description: say('description'),
      config: { configurable: { tone: say('assistantconfig') } },
      metadata: { note: say('assistantmetadata') },
    });
    expect(await client.assistants.get(assistant.assistant_id)).toMatchObject({
      description: say('description'),
      config: { configurable: { tone: say('assistantconfig') } },
      metadata: { note: say('assistantmetadata') },
    });
    const updated = await client.assistants.update(assistant.assistant_id, { metadata: { more: say('more') } });
    expect(updated.metadata).toMatchObject({ note: say('assistantmetadata'), more: say('more') });
    expect(await client.assistants.getVersions(assistant.assistant_id)).toHaveLength(2);

    const { thread_id } = await client.threads.create({ metadata: { note: say('threadmetadata'), customer: 'c-1' } });
    const events: unknown[] = [];
    const webhook = `${receiver.url}/${say('hook')}`;
    await client.threads.update(thread_id, { metadata: { other: say('othermetadata') } });
    const begun = await client.runs.create(thread_id, assistant.assistant_id, {
      input: { say: say('input') },
      config: { configurable: { secret: say('config') } },
      context: { secret: say('context') },
      metadata: { note: say('runmetadata') },
      streamMode: ['values', 'updates', 'custom'],
      webhook,
    });
    for await (const event of client.runs.joinStream(thread_id, begun.run_id, { lastEventId: '-1' })) {
      events.push(event);
      if (JSON.stringify(event).includes('-big')) break;
    }
    expect(JSON.stringify(events)).toContain(say('input-custom'));
    await fetch(`${server.url}/threads/${thread_id}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'news', payload: { news: say('news') }, event_id: say('eventid') }),
    });
    await client.runs.join(thread_id, begun.run_id);
    const asked = await client.threads.get(thread_id);
    expect(asked.status).toBe('interrupted');
    expect(JSON.stringify(asked.interrupts)).toContain(say('input-question'));
    expect(asked.metadata).toMatchObject({ note: say('threadmetadata'), other: say('othermetadata'), customer: 'c-1' });
    await client.runs.wait(thread_id, assistant.assistant_id, {
      command: { resume: say('breaks') },
      raiseError: false,
    });
    const broken = await client.threads.get(thread_id);
    expect(broken.status).toBe('error');
    expect(JSON.stringify(broken)).toContain('-nodeerror');
    const [received] = await receiver.until(1, `/${say('hook')}`);
    expect(received?.json).toMatchObject({
      kwargs: { webhook, input: { say: say('input') } },
      metadata: { note: say('runmetadata') },
      values: { heard: expect.arrayContaining([say('input-state')]) as unknown[] },
    });
    expect(await client.runs.get(thread_id, begun.run_id)).toMatchObject({ kwargs: { input: { say: say('input') } } });
    expect((await client.threads.search({ metadata: { customer: 'c-1' } })).map((found) => found.thread_id)).toEqual([
      thread_id,
    ]);
    await expect(client.threads.search({ metadata: { note: 'x' } })).rejects.toThrow('BATON_CLEAR_METADATA');
    await expect(client.threads.search({ values: { say: 'x' } })).rejects.toThrow('422');
    await client.threads.updateState(thread_id, { values: { heard: [say('byhand')] } });

    const copy = await client.threads.copy(thread_id);
    const copied = (copy as unknown as { thread_id: string }).thread_id;

    await client.crons.createForThread(thread_id, assistant.assistant_id, {
      schedule: '0 0 1 1 *',
      input: { say: say('croninput') },
      metadata: { note: say('cronmetadata') },
    });
    expect(JSON.stringify(await client.crons.search({ threadId: thread_id }))).toContain(say('croninput'));
    await client.store.putItem(['people', 'one'], 'who', { name: say('itemvalue'), age: 5 });
    const { items } = await client.store.searchItems(['people'], {
      filter: { age: { $gt: 4 }, name: say('itemvalue') },
    });
    expect(items.map(({ value }) => value)).toEqual([{ name: say('itemvalue'), age: 5 }]);
    const effects = await (await fetch(`${server.url}/threads/${thread_id}/effects`)).json();
    expect(JSON.stringify(effects)).toContain(say('input-key'));

    const { values } = await client.threads.getState<{ big: string; heard: string[] }>(thread_id);
    expect(values.big).toHaveLength(say('input-big ').length + 150_000);
    expect(values.heard).toEqual(expect.arrayContaining([say('input-state'), say('byhand')]));
    const kept = await state.dump();
    expect(Object.values(kept).at(-1)?.length).toBeGreaterThan(75_000);
    const dumped = { 'control plane': await dumpPostgres(baton.databaseUrl), log: logged, ...kept };
    for (const [what, text] of Object.entries(dumped)) {
      expect(text.length).toBeGreaterThan(1000);
      expect(readable(text).map((line) => `${what}: ${line.slice(0, 400)}`)).toEqual([]);
    }

    // What is left of a deleted thread is noise, and its copy has nothing to do with it.
    const pool = new Pool({ connectionString: baton.databaseUrl });
    const keys = async () =>
      (await pool.query<{ thread_id: string }>('select thread_id from baton.thread_keys')).rows.map(
        (row) => row.thread_id,
      );
    expect(await keys()).toContain(thread_id);
    await client.threads.delete(thread_id);
    expect(await keys()).not.toContain(thread_id);
    await pool.end();
    const left = await client.threads.getState<{ heard: string[] }>(copied);
    expect(left.values.heard).toContain(say('byhand'));
    expect((await client.threads.getHistory(copied)).length).toBeGreaterThan(3);
  });
});

// Else the searches above would prove nothing.
it.each(STORES)('what stands in clear in %s is found', async (_, open) => {
  const state = await open();
  onTestFinished(() => state.drop());
  const server = await testServer({ stateUrl: state.url, settings: state.settings, graphs });
  onTestFinished(() => server.stop());
  const { client, baton } = server;
  const { thread_id } = await client.threads.create();
  const log = [`${WORD}-long ${randomBytes(75_000).toString('hex')}`];
  await client.runs.wait(thread_id, 'line', { input: { log }, metadata: { note: WORD } });
  for (const text of [await dumpPostgres(baton.databaseUrl), ...Object.values(await state.dump())]) {
    expect(readable(text).length).toBeGreaterThan(0);
  }
});

describe('a server whose store is encrypted', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ stateUrl: 'encrypted+memory:', settings: { encryption } });
  });
  afterAll(() => server.stop());

  it('says in one place what was put where it does not belong, and lets the thread be deleted', async () => {
    const { client, baton } = server;
    const made = await Promise.all(
      [1, 2].map(async (number) => {
        const { thread_id } = await client.threads.create({ threadId: randomUUID() });
        await client.runs.wait(thread_id, 'line', { input: {}, metadata: { number } });
        return thread_id;
      }),
    );
    const [one = '', two = ''] = made;
    const pool = new Pool({ connectionString: baton.databaseUrl });
    await pool.query(
      'update baton.threads set values = (select values from baton.threads where thread_id = $2) where thread_id = $1',
      [one, two],
    );
    await expect(client.threads.get(one)).rejects.toThrow('put there from elsewhere');
    const listed = await client.threads.search({ ids: made, sortBy: 'created_at', sortOrder: 'asc' });
    expect(listed).toHaveLength(2);
    expect(listed.find(({ thread_id }) => thread_id === two)).toEqual(await client.threads.get(two));
    expect(listed.find(({ thread_id }) => thread_id === one)).toMatchObject({
      status: 'idle',
      metadata: { graph_id: 'line' },
      config: {},
      values: null,
      interrupts: {},
      error: {
        message: expect.stringMatching(/^The values of thread .* cannot be opened: .*put there from elsewhere/),
      },
    });
    await pool.query(`update baton.threads set values = '{"forged": true}' where thread_id = $1`, [one]);
    await expect(client.threads.get(one)).rejects.toThrow('migrate=plain');
    expect(JSON.stringify(await client.threads.search({ ids: made }))).not.toContain('forged');
    expect((await client.threads.get(two)).values).not.toBeNull();
    await client.threads.delete(one);
    await pool.query('update baton.runs set kwargs = $2 where thread_id = $1', [two, '{"input": "forged"}']);
    await expect(client.runs.list(two)).rejects.toThrow('migrate=plain');
    await client.threads.delete(two);
    await pool.end();
  });

  it('makes no key for a thread that does not exist', async () => {
    const pool = new Pool({ connectionString: server.baton.databaseUrl });
    onTestFinished(() => pool.end());
    const keys = async () => (await pool.query('select thread_id from baton.thread_keys order by 1')).rows as unknown[];
    const before = await keys();
    const thread = `/threads/${randomUUID()}`;
    const run = { assistant_id: 'line', input: {}, metadata: { note: WORD } };
    const requests = [
      ['POST', '/runs', run],
      ['POST', '/runs/wait', run],
      ['POST', '/runs/stream', run],
      ['POST', '/runs/crons', { ...run, schedule: '0 0 1 1 *' }],
      ['POST', '/state', { values: { log: ['x'] } }],
      ['POST', '/events', { name: 'news', payload: {} }],
      ['POST', '/copy', {}],
      ['POST', '/history', {}],
      ['PATCH', '', { metadata: { note: WORD } }],
    ] as const;
    const headers = { 'content-type': 'application/json' };
    const answers = await Promise.all(
      requests.map(async ([method, path, asked]) => {
        const request = { method, headers, body: JSON.stringify(asked) };
        return [path, (await fetch(`${server.url}${thread}${path}`, request)).status];
      }),
    );
    // To copy what is not there is a conflict, as the platform's clients know it.
    expect(answers).toEqual(requests.map(([, path]) => [path, path === '/copy' ? 409 : 404]));
    expect(await keys()).toEqual(before);
  });

  it('shares the connections of the control plane when its state is there, too', async () => {
    const stateUrl = `encrypted+${server.baton.databaseUrl}`;
    const other = await server.restart({ settings: { stateUrl }, worker: true });
    const { thread_id } = await other.client.threads.create();
    expect(await other.client.runs.wait(thread_id, 'line', { input: {} })).toMatchObject({ log: ['a', 'b', 'c'] });
    const pool = new Pool({ connectionString: server.baton.databaseUrl });
    onTestFinished(() => pool.end());
    const { rows } = await pool.query(
      `select distinct application_name from pg_stat_activity
       where datname = current_database() and application_name like 'baton%' order by 1`,
    );
    expect(rows).not.toContainEqual({ application_name: 'baton state' });
    expect(rows.length).toBeGreaterThan(0);
    await other.baton.stop();
  });

  it('does not start without its key', async () => {
    const settings = {
      encryption: { ...encryption, keys: [{ id: 'two', secret: randomBytes(32).toString('base64') }] },
    };
    await expect(server.restart({ settings })).rejects.toThrow(/^BATON_KEYS has no key "one"/);
    await expect(server.restart({ settings: { encryption: { ...encryption, keys: [] } } })).rejects.toThrow(
      'BATON_KEYS',
    );
  });
});

it('has its keys wrapped by a service of the project, named by its path', async () => {
  const service = { file: fileURLToPath(new URL('fixtures/key-service.ts', import.meta.url)), exportName: 'service' };
  const server = await testServer({
    stateUrl: 'encrypted+memory:',
    settings: { encryption: { keys: [service], clearMetadata: [] } },
  });
  onTestFinished(() => server.stop());
  const { client, baton } = server;
  const { thread_id } = await client.threads.create();
  expect(await client.runs.wait(thread_id, 'line', { input: { log: [WORD] } })).toMatchObject({
    log: [WORD, 'a', 'b', 'c'],
  });
  const pool = new Pool({ connectionString: baton.databaseUrl });
  onTestFinished(() => pool.end());
  const { rows } = await pool.query<{ kek_id: string; wrapped: Buffer }>(
    'select kek_id, wrapped from baton.thread_keys where thread_id = $1',
    [thread_id],
  );
  expect(rows).toEqual([{ kek_id: 'service', wrapped: expect.any(Buffer) as Buffer }]);
  expect(rows[0]?.wrapped.toString('latin1')).toContain(`wrapped for ${thread_id}:`);
});
