import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';
import { sealedSqlite, STORES, type TestStore } from './stores.ts';

/** Blobs are of the server and not of a store: test/blobs. */
const LASTING = Object.entries({ ...STORES, 'encrypted+sqlite': sealedSqlite }).filter(
  ([name]) => !/memory|blobs/.test(name),
);
/** For those that are encrypted. */
const encryption = { keys: [{ id: 'test', secret: randomBytes(32).toString('base64') }], clearMetadata: [] };
const input = { log: ['given'] };

// What a person does by HTTP, on every store that outlives the server.
describe.each(LASTING)('a server on %s', (_, open) => {
  let store: TestStore;
  let server: TestServer;
  beforeAll(async () => {
    store = await open();
    server = await testServer({ stateUrl: store.url, settings: { encryption } });
  });
  afterAll(async () => {
    await server.stop();
    await store.close();
  });

  async function restart(): Promise<void> {
    await server.baton.stop();
    server = await server.restart();
  }

  async function newThread(): Promise<string> {
    return (await server.client.threads.create()).thread_id;
  }

  it('runs a graph and shows its history', async () => {
    const threadId = await newThread();
    expect(await server.client.runs.wait(threadId, 'line', { input })).toEqual({ log: ['given', 'a', 'b', 'c'] });
    const history = await server.client.threads.getHistory(threadId);
    expect(history.map(({ next }) => next)).toEqual([[], ['c'], ['b'], ['a'], ['__start__']]);
  });

  it('asks, is restarted, and takes the answer', async () => {
    const threadId = await newThread();
    await server.client.runs.wait(threadId, 'asking', { input });
    await restart();
    expect(await server.client.threads.get(threadId)).toMatchObject({ status: 'interrupted' });
    const answered = await server.client.runs.wait(threadId, 'asking', { command: { resume: 'yes' } });
    expect(answered).toEqual({ log: ['given', 'answer: "yes"'] });
  });

  it('asks from within a subgraph, is restarted, and goes on there', async () => {
    const threadId = await newThread();
    const config = { configurable: { ask: true } };
    await server.client.runs.wait(threadId, 'parent', { input, config });
    await restart();
    const answered = await server.client.runs.wait(threadId, 'parent', { command: { resume: 'deep' }, config });
    expect(answered).toEqual({ log: ['given', 'given', 'inside', 'deep', 'told'] });
  });

  it('forks an edited state of before its restart, beside the branch that is there', async () => {
    const threadId = await newThread();
    await server.client.runs.wait(threadId, 'line', { input });
    const beforeB = (await server.client.threads.getHistory(threadId)).find(({ next }) => next[0] === 'b');
    await restart();
    const fork = await server.client.threads.updateState(threadId, {
      values: { log: ['edited'] },
      checkpoint: beforeB?.checkpoint,
    });
    const forked = await server.client.runs.wait(threadId, 'line', {
      input: null,
      checkpointId: String(fork.configurable?.['checkpoint_id']),
    });
    expect(forked).toEqual({ log: ['given', 'a', 'edited', 'b', 'c'] });
    await restart();
    const branches = (await server.client.threads.getHistory(threadId, { limit: 100 })).filter(
      ({ next }) => next.length === 0,
    );
    expect(branches.map(({ values }) => values)).toEqual([forked, { log: ['given', 'a', 'b', 'c'] }]);
  });

  it('copies and deletes a thread', async () => {
    const threadId = await newThread();
    await server.client.runs.wait(threadId, 'asking', { input });
    const { thread_id: copy } = await server.client.threads.copy(threadId);
    await server.client.threads.delete(threadId);
    await restart();
    const answered = await server.client.runs.wait(copy, 'asking', { command: { resume: 1 } });
    expect(answered).toEqual({ log: ['given', 'answer: 1'] });
    await expect(server.client.threads.getState(threadId)).rejects.toMatchObject({ status: 404 });
  });

  it('shares the store with a worker that is another server', async () => {
    const api = await server.restart({ worker: false });
    await server.baton.stop();
    const worker = await server.restart({ worker: true });
    const threads = await Promise.all(Array.from({ length: 4 }, () => api.client.threads.create()));
    const results = await Promise.all(
      threads.map(({ thread_id }) => api.client.runs.wait(thread_id, 'line', { input })),
    );
    for (const result of results) expect(result).toEqual({ log: ['given', 'a', 'b', 'c'] });
    for (const { thread_id } of threads) {
      await api.client.threads.updateState(thread_id, { values: { log: ['by hand'] } });
      const { values } = await worker.client.threads.getState(thread_id);
      expect(values).toEqual({ log: ['given', 'a', 'b', 'c', 'by hand'] });
    }
    await worker.baton.stop();
    await api.baton.stop();
    server = await server.restart();
  });
});
