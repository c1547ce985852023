import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Embedder } from '../../../src/core/embedder.ts';
import { Database } from '../../../src/database/database.ts';
import { LongTermStore } from '../../../src/database/store/long-term-store.ts';
import { testDatabase, type TestDatabase } from '../../postgres.ts';

const log = pino({ level: 'silent' });
const ttl = { defaultMinutes: null, refreshOnRead: true };

/** How often a text has each of three letters. */
const letters: Embedder = {
  embedDocuments: async (texts) => texts.map(count),
  embedQuery: async (text) => count(text),
};
const count = (text: string) => ['a', 'b', 'c'].map((letter) => text.split(letter).length - 1 + 0.01);

const db: TestDatabase = await testDatabase();
const database = new Database({ url: db.url, log, applicationName: 'test' });
const [vector] = await database.query(`select 1 from pg_available_extensions where name = 'vector'`);
afterAll(async () => {
  await database.close();
  await db.drop();
});

// The embedded Postgres has no pgvector: DATABASE_URL of one that has it lets these run.
describe.skipIf(!vector)('with pgvector, a search by likeness', () => {
  let store: LongTermStore;
  const found = async (prefix: string[], options: Parameters<LongTermStore['search']>[1]) =>
    (await store.search(prefix, options)).map((item) => item.key);

  beforeAll(async () => {
    store = await LongTermStore.open({ database, log, ttl, index: { embedder: letters, dims: 3, fields: ['text'] } });
  });
  afterAll(() => store.stop());

  it('finds what is most like the query first, with its score', async () => {
    for (const text of ['aaa', 'aab', 'bbb']) await store.put(['near'], text, { text, n: text.length });
    await store.put(['near_2'], 'far', { text: 'aaa' });
    const [best, ...others] = await store.search(['near'], { query: 'a' });
    expect(best).toMatchObject({ key: 'aaa', value: { text: 'aaa', n: 3 }, score: expect.closeTo(1, 2) });
    expect(others.map((item) => item.key)).toEqual(['aab', 'bbb']);
    expect(await found(['near'], { query: 'b', limit: 1, offset: 1 })).toEqual(['aab']);
    expect(await found(['near'], { query: 'b', filter: { text: { $ne: 'bbb' } } })).toEqual(['aab', 'aaa']);
    expect((await store.search(['near']))[0]).not.toHaveProperty('score');
  });

  it('goes by the latest value, by the fields that the item names, and not by items that are not indexed', async () => {
    await store.put(['index'], 'changed', { text: 'a' });
    await store.put(['index'], 'changed', { text: 'c' });
    await store.put(['index'], 'other field', { text: 'a', title: 'b' }, ['title']);
    await store.put(['index'], 'left out', { text: 'b' }, false);
    await store.put(['index'], 'nothing to index', { title: 'b' });
    expect(await found(['index'], { query: 'b' })).toEqual(['other field', 'changed']);
    await store.put(['index'], 'changed', { text: 'c' }, false);
    expect(await found(['index'], { query: 'b' })).toEqual(['other field']);
    expect(await found(['index'], {})).toHaveLength(4);
  });

  it('fails with the embedder’s reason, or when it gives vectors of another size', async () => {
    const broken = (embedder: Embedder) =>
      LongTermStore.open({ database, log, ttl, index: { embedder, dims: 3, fields: ['$'] } });
    const silent = await broken({ ...letters, embedDocuments: () => Promise.reject(new Error('no key')) });
    await expect(silent.put(['broken'], 'k', { text: 'a' })).rejects.toThrow(
      'The embedder of store.index failed: no key',
    );
    const short = await broken({ ...letters, embedQuery: async () => [1] });
    await expect(short.search(['broken'], { query: 'a' })).rejects.toThrow(/vectors of 1 numbers.*"dims": 3/);
    await Promise.all([silent.stop(), short.stop()]);
  });

  it('refuses to start with vectors of another size than those that are stored', async () => {
    const index = { embedder: letters, dims: 4, fields: ['$'] };
    await expect(LongTermStore.open({ database, log, ttl, index })).rejects.toThrow(/"dims": 4.*vectors of 3 numbers/);
  });

  it('takes vectors of more dimensions than pgvector’s indexes do', async () => {
    const wide = await testDatabase();
    const own = new Database({ url: wide.url, log, applicationName: 'test' });
    const many = (text: string) => [...count(text), ...Array.from({ length: 3069 }, () => 0)];
    const embedder: Embedder = {
      embedDocuments: async (texts) => texts.map(many),
      embedQuery: async (text) => many(text),
    };
    const index = { embedder, dims: 3072, fields: ['$'] };
    const first = await LongTermStore.open({ database: own, log, ttl, index });
    const second = await LongTermStore.open({ database: own, log, ttl, index });
    await first.put(['wide'], 'k', { text: 'a' });
    expect(await second.search(['wide'], { query: 'a' })).toHaveLength(1);
    await Promise.all([first.stop(), second.stop()]);
    await own.close();
    await wide.drop();
  });
});

describe.skipIf(vector)('without pgvector, an index', () => {
  it('is refused at the start, with the way out', async () => {
    const index = { embedder: letters, dims: 3, fields: ['$'] };
    await expect(LongTermStore.open({ database, log, ttl, index })).rejects.toThrow(
      /store\.index.*pgvector.*set DATABASE_URL to a Postgres with pgvector/,
    );
  });
});
