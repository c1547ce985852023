import { randomInt } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Database } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { LongTermStore } from '../../src/database/store/long-term-store.ts';
import { StoreSweeper } from '../../src/engine/store/store-sweeper.ts';
import { testDatabase } from '../postgres.ts';
import { call } from './fixtures/call.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

const log = pino({ level: 'silent' });
const file = fileURLToPath(new URL('fixtures/store-graphs.ts', import.meta.url));
const graphs = Object.fromEntries(
  ['remembering', 'withOwnStore'].map((exportName) => [exportName, { file, exportName, description: null }]),
);
const TTL = { defaultMinutes: null, refreshOnRead: true };

let server: TestServer;
let database: Database;
beforeAll(async () => {
  server = await testServer({ stateUrl: 'memory:', settings: { graphs } });
  database = new Database({ url: String(server.config.databaseUrl), log, applicationName: 'test' });
});
afterAll(async () => {
  await database.close();
  await server.stop();
});

/** Of items below a namespace that no other test uses. */
async function keys(prefix: string[], options?: Parameters<typeof server.client.store.searchItems>[1]) {
  const { items } = await server.client.store.searchItems(prefix, { limit: 100, ...options });
  return items.map((item) => item.key);
}

describe('an item', () => {
  it('is stored, got, changed and deleted', async () => {
    const { store } = server.client;
    const value = { text: 'tea', list: [1, 2.5, null], deep: { yes: true } };
    await store.putItem(['one', 'item'], 'k', value);
    const first = await store.getItem(['one', 'item'], 'k');
    expect(first).toMatchObject({
      namespace: ['one', 'item'],
      key: 'k',
      value,
      createdAt: expect.stringMatching(/Z$/),
    });

    await store.putItem(['one', 'item'], 'k', { text: 'coffee' });
    const second = await store.getItem(['one', 'item'], 'k');
    expect(second).toMatchObject({ value: { text: 'coffee' }, createdAt: first?.createdAt });
    expect(Date.parse(String(second?.updatedAt))).toBeGreaterThan(Date.parse(String(first?.updatedAt)));

    await store.deleteItem(['one', 'item'], 'k');
    expect(await store.getItem(['one', 'item'], 'k')).toBeNull();
    await store.deleteItem(['one', 'item'], 'k');
  });

  it('goes over the wire as the platform has it', async () => {
    const items = `${server.url}/store/items`;
    expect(await call(items, 'PUT', { namespace: ['wire', 'a'], key: 'k', value: { a: 1 } })).toMatchObject({
      status: 204,
      text: '',
    });
    const item = {
      namespace: ['wire', 'a'],
      key: 'k',
      value: { a: 1 },
      created_at: expect.stringMatching(/^\d{4}-.*Z$/),
      updated_at: expect.stringMatching(/^\d{4}-.*Z$/),
    };
    expect((await call(`${items}?namespace=wire.a&key=k`, 'GET')).json).toEqual(item);
    expect((await call(`${items}?namespace=wire&namespace=a&key=k`, 'GET')).json).toEqual(item);
    expect(await call(`${items}?namespace=wire.a&key=none`, 'GET')).toMatchObject({ status: 200, text: 'null' });
    expect(await call(`${items}?key=k`, 'GET')).toMatchObject({ status: 200, text: 'null' });
    expect((await call(`${items}/search`, 'POST', { namespace_prefix: ['wire'] })).json).toEqual({ items: [item] });
    expect((await call(`${server.url}/store/namespaces`, 'POST', { prefix: ['wire'] })).json).toEqual({
      namespaces: [['wire', 'a']],
    });
    expect(await call(items, 'DELETE', { namespace: ['wire', 'a'], key: 'k' })).toMatchObject({
      status: 204,
      text: '',
    });
  });

  it.each([
    ['an empty namespace', 400, { namespace: [] }],
    ['an empty label', 422, { namespace: ['a', ''] }],
    ['a label with a period', 422, { namespace: ['a.b'] }],
    ['the root that LangGraph keeps for itself', 422, { namespace: ['langgraph'] }],
    ['a NUL character in a label', 422, { namespace: ['a\0'] }],
    ['a NUL character in the value', 422, { value: { a: 'b\0' } }],
    ['a namespace that fits in no index', 422, { namespace: ['x'.repeat(1001)] }],
    ['a namespace that fits in no index as it is written', 422, { namespace: ['_'.repeat(334)] }],
    ['a key that fits in no index', 422, { key: 'é'.repeat(501) }],
    ['a value that is no object', 422, { value: 'text' }],
    ['a time to live of nothing', 422, { ttl: 0 }],
    ['a time to live beyond all dates', 422, { ttl: 1e12 }],
  ])('is refused with %s', async (_, status, part) => {
    const item = { namespace: ['refused'], key: 'k', value: {}, ...part };
    expect(await call(`${server.url}/store/items`, 'PUT', item)).toMatchObject({ status });
    expect(await keys(['refused'])).toEqual([]);
  });

  it('may have the longest namespace and key that are allowed', async () => {
    // Nothing that could be compressed, so that the index has to hold all of it.
    const random = (alphabet: string, length: number) =>
      Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');
    const namespace = ['long', random('%_\\:~', 331)];
    await server.client.store.putItem(
      namespace,
      random('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ', 1000),
      {},
    );
    expect(await keys(['long'])).toHaveLength(1);
  });
});

describe('a namespace', () => {
  it('is found by whole labels, whatever characters they have', async () => {
    const { store } = server.client;
    const users = ['1', '10', 'user_1', 'userx1', '100%', '100', 'a~b', 'back\\slash', 'a:b', 'ü 😀', '*'];
    for (const user of users) await store.putItem(['labels', user, 'notes'], `of ${user}`, {});
    await store.putItem(['labels', 'a', 'b'], 'of a and b', {});
    for (const user of users) expect(await keys(['labels', user])).toEqual([`of ${user}`]);
    expect(await keys(['labels', 'use'])).toEqual([]);
    expect(await keys(['label'])).toEqual([]);
    expect(await keys(['labels'])).toHaveLength(users.length + 1);
    expect((await keys([])).length).toBeGreaterThanOrEqual(users.length + 1);
    expect((await store.getItem(['labels', 'user_1', 'notes'], 'of user_1'))?.namespace).toEqual([
      'labels',
      'user_1',
      'notes',
    ]);
  });

  it('is listed by its beginning, its end and its depth', async () => {
    const { store } = server.client;
    const all = [
      ['list', 'u1', 'notes'],
      ['list', 'u1', 'prefs', 'v1'],
      ['list', 'u1', 'prefs', 'v2'],
      ['list', 'u10', 'notes'],
      ['list', 'u2', 'footnotes'],
    ];
    for (const namespace of all) for (const key of ['a', 'b']) await store.putItem(namespace, key, {});
    const list = async (options: Parameters<typeof store.listNamespaces>[0]) =>
      (await store.listNamespaces(options)).namespaces;
    expect(await list({ prefix: ['list'] })).toEqual(all);
    expect(await list({ prefix: ['list', 'u1'] })).toEqual(all.slice(0, 3));
    expect(await list({ prefix: ['list'], suffix: ['notes'] })).toEqual([all[0], all[3]]);
    expect(await list({ prefix: ['list', '*', 'prefs'] })).toEqual([all[1], all[2]]);
    expect(await list({ prefix: ['list'], suffix: ['prefs', '*'] })).toEqual([all[1], all[2]]);
    expect(await list({ prefix: ['list'], maxDepth: 2 })).toEqual([
      ['list', 'u1'],
      ['list', 'u10'],
      ['list', 'u2'],
    ]);
    expect(await list({ prefix: ['list'], limit: 2, offset: 1 })).toEqual(all.slice(1, 3));
    expect(await list({ prefix: ['nowhere'] })).toEqual([]);
    await expect(store.listNamespaces({ prefix: [] })).rejects.toThrow(/400/);
    await expect(store.listNamespaces({ suffix: ['a.b'] })).rejects.toThrow(/422/);
  });
});

describe('a search', () => {
  beforeAll(async () => {
    const values = {
      a: { n: 1, text: 'ant', tags: ['x'], deep: { in: 'side', out: 1 }, when: '2026-01-01' },
      b: { n: 2.5, text: 'bee', tags: ['x', 'y'], deep: { in: 'other' }, when: '2026-06-01', none: null },
      c: { n: '3', text: 'cat', flag: true, 'it’s "quoted"': 1 },
    };
    for (const [key, value] of Object.entries(values)) await server.client.store.putItem(['filters'], key, value);
  });

  it.each([
    ['a number', { n: 1 }, 'a'],
    ['a text, which is no number', { n: '3' }, 'c'],
    ['a number, which is no text', { n: 3 }, ''],
    ['true', { flag: true }, 'c'],
    ['null, which is not nothing', { none: null }, 'b'],
    ['a whole list', { tags: ['x'] }, 'a'],
    ['fields of an object', { deep: { in: 'side' } }, 'a'],
    ['a key with quotes', { 'it’s "quoted"': 1 }, 'c'],
    ['several fields', { text: 'bee', n: 2.5 }, 'b'],
    ['$eq', { text: { $eq: 'cat' } }, 'c'],
    ['$ne, also where there is none', { flag: { $ne: true } }, 'ab'],
    ['$gt, which passes texts over', { n: { $gt: 0 } }, 'ab'],
    ['$gte and $lt together', { n: { $gte: 1, $lt: 2.5 } }, 'a'],
    ['$lte', { n: { $lte: 2.5 } }, 'ab'],
    ['$gt of texts', { when: { $gt: '2026-03' } }, 'b'],
    ['$in', { text: { $in: ['ant', 'cat', 4] } }, 'ac'],
    ['$in of nothing', { text: { $in: [] } }, ''],
    ['$nin', { text: { $nin: ['ant'] } }, 'bc'],
    ['$nin, also where there is none', { flag: { $nin: [true] } }, 'ab'],
    ['$exists', { deep: { $exists: true } }, 'ab'],
    ['$exists: false', { deep: { $exists: false } }, 'c'],
  ])('filters by %s', async (_, filter, found) => {
    expect((await keys(['filters'], { filter })).sort().join('')).toBe(found);
  });

  it.each([[{ n: { $regex: '.' } }], [{ n: { $in: 1 } }], [{ n: { $gt: null } }]])(
    'refuses the filter %j instead of finding too much',
    async (filter) => {
      await expect(keys(['filters'], { filter })).rejects.toThrow(/422/);
    },
  );

  it('shows the latest change first, page by page', async () => {
    const { store } = server.client;
    for (const key of ['1', '2', '3', '1']) await store.putItem(['pages'], key, {});
    expect(await keys(['pages'])).toEqual(['1', '3', '2']);
    expect(await keys(['pages'], { limit: 2 })).toEqual(['1', '3']);
    expect(await keys(['pages'], { limit: 2, offset: 2 })).toEqual(['2']);
  });

  it('passes a query over where nothing is indexed', async () => {
    expect((await keys(['filters'], { query: 'which animals do I know?' })).sort()).toEqual(['a', 'b', 'c']);
  });
});

describe('an item that expires', () => {
  /** Minutes from now until it does; null for never. */
  async function minutesLeft(key: string): Promise<number | null> {
    const [row] = await database.query<{ minutes: string | null }>(
      'select extract(epoch from expires_at - now()) / 60 as minutes from baton_store.store where key = $1',
      [key],
    );
    return row?.minutes == null ? null : Math.round(Number(row.minutes));
  }
  const age = (key: string, minutes: number) =>
    database.query(`update baton_store.store set expires_at = expires_at - $2 * interval '1 minute' where key = $1`, [
      key,
      minutes,
    ]);

  it('is gone when its time is over, and swept at the next tick', async () => {
    const { store } = server.client;
    await store.putItem(['ttl', 'gone'], 'dead', {}, { ttl: 10 });
    await store.putItem(['ttl', 'gone'], 'alive', {}, { ttl: 30 });
    await age('dead', 11);
    expect(await store.getItem(['ttl', 'gone'], 'dead', { refreshTtl: true })).toBeNull();
    expect(await keys(['ttl', 'gone'])).toEqual(['alive']);
    await store.putItem(['ttl', 'only dead'], 'dead too', {}, { ttl: 1 });
    await age('dead too', 2);
    expect((await store.listNamespaces({ prefix: ['ttl'] })).namespaces).toEqual([['ttl', 'gone']]);

    const longTerm = await LongTermStore.open({ database, log, index: null, ttl: TTL });
    const sweeper = new StoreSweeper({ store: longTerm, everyMs: 60_000, log });
    expect(await sweeper.tick()).toBe(2);
    expect(await sweeper.tick()).toBe(0);
    expect(await database.query(`select key from baton_store.store where namespace_path like 'ttl:%'`)).toEqual([
      { key: 'alive' },
    ]);
  });

  it('lives its own time anew when it is read, unless the reader says no; it counts as unchanged', async () => {
    const { store } = server.client;
    await store.putItem(['ttl', 'read'], 'read', {}, { ttl: 20 });
    const before = await store.getItem(['ttl', 'read'], 'read');
    await age('read', 15);
    await store.getItem(['ttl', 'read'], 'read', { refreshTtl: false });
    await store.searchItems(['ttl', 'read'], { refreshTtl: false });
    expect(await minutesLeft('read')).toBe(5);
    await store.getItem(['ttl', 'read'], 'read');
    expect(await minutesLeft('read')).toBe(20);
    await age('read', 15);
    await store.searchItems(['ttl', 'read']);
    expect(await minutesLeft('read')).toBe(20);
    expect(await store.getItem(['ttl', 'read'], 'read')).toEqual(before);
  });

  it('has the time of the configuration where none is given, and none when it is put anew for ever', async () => {
    const ttl = { defaultMinutes: 60, refreshOnRead: false };
    const store = await LongTermStore.open({ database, log, index: null, ttl });
    const item = { namespace: ['ttl', 'default'], key: 'default', value: {} };
    await store.putItem(item);
    expect(await minutesLeft('default')).toBe(60);
    await store.putItem({ ...item, ttl: 5 });
    await store.get(item.namespace, item.key);
    expect(await minutesLeft('default')).toBe(5);
    await age('default', 2);
    await store.get(item.namespace, item.key);
    expect(await minutesLeft('default')).toBe(3);
    await store.putItem({ ...item, ttl: null });
    expect(await minutesLeft('default')).toBeNull();
    await store.get(item.namespace, item.key, { refreshTtl: true });
    expect(await minutesLeft('default')).toBeNull();
  });
});

describe('a graph', () => {
  it.each(['remembering', 'withOwnStore'])(
    '%s writes and reads the store of the server, on every thread',
    async (graphId) => {
      const { client } = server;
      const run = async (note: string, user = `${graphId}_1`) => {
        const thread = await client.threads.create();
        const config = { configurable: { user } };
        const result = await client.runs.wait(thread.thread_id, graphId, { input: { note }, config });
        await client.threads.delete(thread.thread_id);
        return (result as { known: string[] }).known;
      };
      expect(await run('likes tea')).toEqual(['likes tea']);
      expect(await run('sleeps late')).toEqual(['likes tea', 'sleeps late']);
      expect(await run('is another', `${graphId}_10`)).toEqual(['is another']);
      const { items } = await client.store.searchItems(['notes', `${graphId}_1`]);
      expect(items.map((item) => item.value['note'])).toEqual(['sleeps late', 'likes tea']);
    },
  );
});

describe('the store', () => {
  it('is set up once, however many servers start at the same time', async () => {
    const empty = await testDatabase();
    const opened = Array.from(
      { length: 6 },
      () => new Database({ url: empty.url, log, applicationName: 'test', maxConnections: 3 }),
    );
    const stores = await Promise.all(
      opened.map(async (database) => {
        await migrate(database);
        return LongTermStore.open({ database, log, index: null, ttl: TTL });
      }),
    );
    await Promise.all(stores.map((store, i) => store.put(['start'], String(i), {})));
    expect(await stores[0]?.search(['start'])).toHaveLength(6);
    await Promise.all(opened.map((database) => database.close()));
    await empty.drop();
  });

  it('outlives the loss of its connections', async () => {
    const own = new Database({ url: database.url, log, applicationName: 'to be killed' });
    const store = await LongTermStore.open({ database: own, log, index: null, ttl: TTL });
    const puts = Array.from({ length: 200 }, (_, i) => store.put(['killed'], String(i), { i }));
    await Promise.race(puts);
    await database.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'to be killed'`,
    );
    await Promise.all(puts);
    expect(await store.search(['killed'], { limit: 500 })).toHaveLength(200);
    await own.close();
  });

  it('needs pgvector for an index, and says so at the start', async (test) => {
    const [vector] = await database.query(`select 1 from pg_available_extensions where name = 'vector'`);
    if (vector) return test.skip();
    await migrate(database);
    const embedder = { embedDocuments: async () => [], embedQuery: async () => [] };
    await expect(
      LongTermStore.open({ database, log, index: { embedder, dims: 3, fields: ['$'] }, ttl: TTL }),
    ).rejects.toThrow(/store\.index.*pgvector.*set DATABASE_URL to a Postgres with pgvector/);
  });
});
