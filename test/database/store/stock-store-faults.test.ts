import { PostgresStore } from '@langchain/langgraph-checkpoint-postgres/store';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testDatabase, type TestDatabase } from '../../postgres.ts';

// What LangGraph's own PostgresStore gets wrong and ours does not, and so why it reads by itself. One that begins to fail was
// mended there.
describe('the stock PostgresStore', () => {
  let db: TestDatabase;
  let store: PostgresStore;
  beforeAll(async () => {
    db = await testDatabase();
    store = PostgresStore.fromConnString(db.url, { ttl: { defaultTtl: 10, refreshOnRead: true } });
    await store.setup();
    await store.put(['users', '1'], 'a', { n: 1 });
    await store.put(['users', '10'], 'b', { n: 'two' });
  });
  afterAll(async () => {
    await store.stop();
    await db.drop();
  });
  const found = async (...search: Parameters<PostgresStore['search']>) =>
    (await store.search(...search)).map((item) => item.key).sort();

  it('shows user 1 what is user 10’s', async () => {
    expect(await found(['users', '1'])).toEqual(['a', 'b']);
  });

  it('takes no label with an underscore, and searches for nothing below the root', async () => {
    await expect(store.put(['user_1'], 'k', {})).rejects.toThrow('LIKE wildcards');
    await expect(store.search([])).rejects.toThrow('cannot be empty');
  });

  it('takes two namespaces for one', async () => {
    await store.put(['x', 'y'], 'k', { of: 'x, y' });
    expect((await store.get(['x:y'], 'k'))?.value).toEqual({ of: 'x, y' });
  });

  it('finds too much where a filter has an operator that it does not know, or asks for one of none', async () => {
    expect(await found(['users'], { filter: { n: { $like: 'nothing' } as object } })).toEqual(['a', 'b']);
    expect(await found(['users'], { filter: { n: { $in: [] } } })).toEqual(['a', 'b']);
  });

  it('fails over a text where a number is compared', async () => {
    await expect(found(['users'], { filter: { n: { $gt: 0 } } })).rejects.toThrow('numeric');
  });

  it('leaves deeper namespaces out instead of showing where they begin', async () => {
    expect(await store.listNamespaces({ prefix: ['users'], maxDepth: 1 })).toEqual([]);
  });

  it('takes reading for a change', async () => {
    const before = await store.get(['users', '1'], 'a');
    await store.get(['users', '1'], 'a');
    const after = await store.get(['users', '1'], 'a');
    expect(after?.updatedAt).not.toEqual(before?.updatedAt);
  });

  it('is not set up by several at once', async () => {
    const empty = await testDatabase();
    const stores = Array.from({ length: 6 }, () => PostgresStore.fromConnString(empty.url));
    const outcomes = await Promise.allSettled(stores.map((each) => each.setup()));
    expect(outcomes.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(0);
    await Promise.all(stores.map((each) => each.stop()));
    await empty.drop();
  });
});
