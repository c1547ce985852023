import type { Checkpoint } from '@langchain/langgraph-sdk';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import { call } from './fixtures/call.ts';
import { gate } from './fixtures/gates.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await testServer({ stateUrl: 'memory:' });
});
afterAll(() => server.stop());

const input = { log: [] };

describe('a thread', () => {
  it('can be created, found, changed and deleted', async () => {
    const { client } = server;
    const made = await client.threads.create({ metadata: { case: 'x-1' } });
    expect(made).toMatchObject({ status: 'idle', metadata: { case: 'x-1' }, values: null, interrupts: {} });
    expect(await client.threads.get(made.thread_id, { include: ['ttl'] })).toEqual(made);
    expect(await client.threads.update(made.thread_id, { metadata: { by: 'me' } })).toMatchObject({
      metadata: { case: 'x-1', by: 'me' },
    });
    await client.threads.update(made.thread_id, { metadata: { by: 'you' }, returnMinimal: true });
    expect(await client.threads.search({ metadata: { case: 'x-1' }, select: ['metadata', 'context'] })).toEqual([
      { metadata: { case: 'x-1', by: 'you' } },
    ]);
    expect(await client.threads.count({ metadata: { case: 'x-1' } })).toBe(1);
    await client.threads.delete(made.thread_id);
    await expect(client.threads.get(made.thread_id)).rejects.toThrow(/404.*not found/);
    await expect(client.threads.delete(made.thread_id)).rejects.toThrow(/404/);
  });

  it('keeps its id to itself unless the caller does not mind', async () => {
    const { client } = server;
    const threadId = uuidv7();
    const first = await client.threads.create({ threadId });
    await expect(client.threads.create({ threadId })).rejects.toThrow(/409.*already exists/);
    expect(await client.threads.create({ threadId, ifExists: 'do_nothing' })).toEqual(first);
    expect(await client.threads.get(threadId.toUpperCase())).toEqual(first);
  });

  it('is found with parts of it alone', async () => {
    const { client } = server;
    const { thread_id } = await client.threads.create({ metadata: { team: { name: 'x' } } });
    await client.runs.wait(thread_id, 'line', { input });
    const extract = {
      last: 'values.log[-1]',
      first: 'values.log[0]',
      team: 'metadata.team.name',
      none: 'values.log[9].x',
      proto: 'values.constructor',
      length: 'values.log.length',
    };
    expect(await client.threads.search({ ids: [thread_id], select: ['status'], extract })).toEqual([
      { status: 'idle', extracted: { last: 'c', first: 'a', team: 'x', none: null, proto: null, length: null } },
    ]);
    for (const path of ['error.message', 'values.', 'values[x]', 'values; drop', 'valuesx'])
      await expect(client.threads.search({ extract: { path } })).rejects.toThrow(/422.*extract\.path: is no path/);
    const many = Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`n${i}`, 'values']));
    await expect(client.threads.search({ extract: many })).rejects.toThrow(/422.*more than 10/);
  });

  it('is found by status, values and id, and in order', async () => {
    const { client } = server;
    const ids: string[] = [];
    for (const log of [['one'], ['two']]) {
      const thread = await client.threads.create({ metadata: { list: 'ordered' } });
      await client.runs.wait(thread.thread_id, 'line', { input: { log } });
      ids.push(thread.thread_id);
    }
    const idsOf = (threads: { thread_id: string }[]) => threads.map((thread) => thread.thread_id);
    expect(idsOf(await client.threads.search({ ids, sortBy: 'created_at', sortOrder: 'asc' }))).toEqual(ids);
    expect(idsOf(await client.threads.search({ ids }))).toEqual(ids.toReversed());
    expect(idsOf(await client.threads.search({ values: { log: ['two', 'a', 'b', 'c'] } }))).toEqual([ids[1]]);
    expect(await client.threads.search({ ids, status: 'interrupted' })).toEqual([]);
    expect(await client.threads.search({ ids, status: 'idle' })).toHaveLength(2);
  });

  it('can be made with a state, and then runs from there', async () => {
    const { client } = server;
    const thread = await client.threads.create({
      graphId: 'line',
      supersteps: [
        { updates: [{ values: { log: ['in'] }, asNode: '__input__' }] },
        { updates: [{ values: { log: ['in'] }, asNode: '__start__' }] },
        { updates: [{ values: { log: ['A'] }, asNode: 'a' }] },
      ],
    });
    expect(thread).toMatchObject({ status: 'interrupted', values: { log: ['in', 'A'] } });
    expect(await client.runs.wait(thread.thread_id, 'line', { input: null })).toEqual({ log: ['in', 'A', 'b', 'c'] });
  });

  it('is not left behind when its state could not be made', async () => {
    const threadId = uuidv7();
    const steps = [{ updates: [{ values: { log: ['x'] }, asNode: 'nowhere' }] }];
    await expect(server.client.threads.create({ threadId, graphId: 'line', supersteps: steps })).rejects.toThrow(
      /422.*nowhere/,
    );
    await expect(server.client.threads.create({ threadId, supersteps: steps })).rejects.toThrow(/422.*graph_id/);
    await expect(server.client.threads.get(threadId)).rejects.toThrow(/404/);
  });

  it('takes its runs and its state with it when it is deleted', async () => {
    const { client } = server;
    const threadId = uuidv7();
    await client.threads.create({ threadId });
    await client.runs.wait(threadId, 'line', { input });
    await client.threads.delete(threadId);
    await client.threads.create({ threadId, graphId: 'line' });
    expect(await client.threads.getHistory(threadId)).toEqual([]);
    expect(await client.runs.list(threadId)).toEqual([]);
  });
});

describe('a thread at work', () => {
  async function atWork() {
    const { client } = server;
    const name = uuidv7();
    const { thread_id: threadId } = await client.threads.create();
    const run = await client.runs.create(threadId, 'line', { input, config: { configurable: { gate: name } } });
    await gate(name).reached;
    return { threadId, run, open: () => gate(name).open() };
  }

  it('can be copied as it stands between two steps', async () => {
    const { client } = server;
    const { threadId, run, open } = await atWork();
    const copy = (await client.threads.copy(threadId)) as unknown as { thread_id: string };
    expect(copy).toMatchObject({ status: 'idle', values: { log: ['a'] } });
    open();
    await client.runs.join(threadId, run.run_id);
    expect((await client.threads.getState(copy.thread_id)).next).toEqual(['b']);
  });

  it('can be deleted: its run stops, its readers are let go, and nothing is written any more', async () => {
    const { client } = server;
    const { threadId, run } = await atWork();
    const seen: string[] = [];
    for await (const { event } of client.runs.joinStream(threadId, run.run_id)) {
      seen.push(event);
      if (seen.length === 3) await client.threads.delete(threadId);
    }
    expect(seen).toEqual(['metadata', 'values', 'values']);
    await vi.waitFor(() => expect(server.baton.worker.busy).toBe(0));
    await client.threads.create({ threadId, graphId: 'line' });
    expect(await client.threads.getHistory(threadId)).toEqual([]);
  });
});

describe('a copy of a thread', () => {
  it('has the history and goes its own way', async () => {
    const { client } = server;
    const source = await client.threads.create({ metadata: { case: 'copied' } });
    await client.runs.wait(source.thread_id, 'line', { input, interruptBefore: ['c'] });
    const copy = (await client.threads.copy(source.thread_id)) as unknown as { thread_id: string };
    expect(copy).toMatchObject({ status: 'interrupted', metadata: { case: 'copied', thread_id: copy.thread_id } });
    expect(await client.threads.getHistory(copy.thread_id)).toHaveLength(4);
    await client.runs.wait(copy.thread_id, 'line', { input: null });
    expect((await client.threads.getState(copy.thread_id)).values).toEqual({ log: ['a', 'b', 'c'] });
    expect((await client.threads.getState(source.thread_id)).values).toEqual({ log: ['a', 'b'] });
  });

  it('needs a source', async () => {
    await expect(server.client.threads.copy(uuidv7())).rejects.toThrow(/409/);
  });
});

describe('the state of a thread', () => {
  it('is an empty shell before the first run', async () => {
    const { client } = server;
    const { thread_id } = await client.threads.create();
    expect(await client.threads.getState(thread_id)).toMatchObject({
      values: {},
      next: [],
      tasks: [],
      checkpoint: null,
    });
    expect(await client.threads.getHistory(thread_id)).toEqual([]);
    await expect(client.threads.updateState(thread_id, { values: {} })).rejects.toThrow(/422.*graph/);
  });

  it('can be read at any checkpoint, by id or by configuration, and in part', async () => {
    const { client } = server;
    const { thread_id } = await client.threads.create();
    await client.runs.wait(thread_id, 'line', { input, metadata: { mark: 'm' } });
    const history = await client.threads.getHistory(thread_id);
    expect(history.map((state) => state.next)).toEqual([[], ['c'], ['b'], ['a'], ['__start__']]);
    for (const state of history) {
      const id = state.checkpoint.checkpoint_id as string;
      expect(await client.threads.getState(thread_id, id)).toMatchObject({ values: state.values, next: state.next });
      expect(await client.threads.getState(thread_id, state.checkpoint)).toMatchObject({ values: state.values });
    }
    expect(history[0]?.metadata).toMatchObject({ mark: 'm', graph_id: 'line' });
    const unknown = { select: ['next', 'vlaues'] as never };
    await expect(client.threads.getState(thread_id, undefined, unknown)).rejects.toThrow(/422.*select\.1/);
    expect(await client.threads.getState(thread_id, undefined, { select: ['next', 'values.log'] as never })).toEqual({
      next: [],
      values: { log: ['a', 'b', 'c'] },
    });
    await expect(client.threads.getState(thread_id, uuidv7())).rejects.toThrow(/404/);
  });

  it('has a history that can be paged and filtered', async () => {
    const { client } = server;
    const { thread_id } = await client.threads.create();
    await client.runs.wait(thread_id, 'line', { input, metadata: { mark: 'first' } });
    await client.runs.wait(thread_id, 'line', { input, metadata: { mark: 'second' } });
    const all = await client.threads.getHistory(thread_id, { limit: 100 });
    expect(all).toHaveLength(10);
    const before = all[3]?.checkpoint as { checkpoint_id: string };
    const rest = all.slice(4, 6).map((state) => state.checkpoint);
    const spellings = [before.checkpoint_id, before, { configurable: { checkpoint_id: before.checkpoint_id } }];
    for (const spelling of spellings) {
      const page = await client.threads.getHistory(thread_id, { limit: 2, before: spelling as never });
      expect(page.map((state) => state.checkpoint)).toEqual(rest);
    }
    const url = `${server.url}/threads/${thread_id}/history?limit=2&before=${before.checkpoint_id}`;
    expect((await call(url, 'GET')).json.map((state: { checkpoint: unknown }) => state.checkpoint)).toEqual(rest);
    const marked = await client.threads.getHistory(thread_id, { limit: 100, metadata: { mark: 'second' } });
    expect(marked).toHaveLength(5);
  });

  it('shows subgraphs when asked', async () => {
    const { client } = server;
    const { thread_id } = await client.threads.create();
    await client.runs.wait(thread_id, 'parent', { input, config: { configurable: { ask: true } } });
    const [reference] = (await client.threads.getState(thread_id)).tasks;
    expect(reference).toMatchObject({ name: 'child', state: null, interrupts: [{ value: 'deeper?' }] });
    const [whole] = (await client.threads.getState(thread_id, undefined, { subgraphs: true })).tasks;
    expect(whole?.state).toMatchObject({ values: { log: ['inside'] }, next: ['deeper'] });
    const inside = await client.threads.getState(thread_id, reference?.checkpoint as Checkpoint);
    expect(inside).toMatchObject({ values: { log: ['inside'] }, next: ['deeper'] });
    const history = await client.threads.getHistory(thread_id, { checkpoint: reference?.checkpoint as Checkpoint });
    expect(history.map((state) => state.next)).toEqual([['deeper'], ['inside'], ['__start__']]);
  });

  it('has a history that is read from a checkpoint on, however that is named', async () => {
    const { client } = server;
    const { thread_id } = await client.threads.create();
    await client.runs.wait(thread_id, 'line', { input });
    const [, second, ...older] = await client.threads.getHistory(thread_id);
    const checkpoint_id = second?.checkpoint.checkpoint_id ?? '';
    const url = `${server.url}/threads/${thread_id}/history`;
    for (const before of [checkpoint_id, { checkpoint_id }, { configurable: { checkpoint_id } }]) {
      const text = typeof before === 'string' ? before : JSON.stringify(before);
      expect((await call(`${url}?before=${encodeURIComponent(text)}`, 'GET')).json).toEqual(older);
      expect((await call(url, 'POST', { before })).json).toEqual(older);
    }
  });

  it('belongs to the graph that was made for the run’s configuration', async () => {
    const { client } = server;
    const { thread_id } = await client.threads.create();
    await client.runs.wait(thread_id, 'made', { input, config: { configurable: { node: 'special' } } });
    await client.threads.updateState(thread_id, { values: { log: ['by hand'] }, asNode: 'special' });
    expect((await client.threads.getState(thread_id)).values).toEqual({ log: ['special', 'by hand'] });
  });
});

it('fields that ask for nothing are no fields', async () => {
  const { status } = await call(`${server.url}/threads`, 'POST', { ttl: null });
  expect(status).toBe(200);
});
