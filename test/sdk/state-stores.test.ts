import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import { GRAPHS_FILE, testServer, type TestServer } from './fixtures/test-server.ts';

const input = { log: [] };
const kept = (exportName: string, state?: string) => ({
  [exportName]: { file: GRAPHS_FILE, exportName, description: null, ...(state && { state }) },
});

/** `line` and `mirror` are kept in one store of memory, all others in the control plane's Postgres. */
let server: TestServer;
beforeAll(async () => {
  server = await testServer({ graphs: { ...kept('line', 'memory:'), ...kept('mirror', 'memory:') } });
});
afterAll(() => server.stop());

describe('a thread of a graph with a store of its own', () => {
  it('is kept there from its first run, with its copies, and goes from there', async () => {
    const { client, baton } = server;
    const { thread_id, state_store } = (await client.threads.create()) as never as Record<string, string>;
    expect(state_store).toBeNull();
    await client.runs.wait(thread_id!, 'line', { input });
    expect(await client.threads.get(thread_id!)).toMatchObject({
      state_store: 'line',
      values: { log: ['a', 'b', 'c'] },
    });
    expect((await client.threads.getState(thread_id!)).values).toEqual({ log: ['a', 'b', 'c'] });
    expect(await client.threads.getHistory(thread_id!, { limit: 50 })).toHaveLength(5);
    await client.threads.updateState(thread_id!, { values: { log: ['mine'] } });
    const copy = await client.threads.copy(thread_id!);
    expect((await client.threads.getState(copy.thread_id)).values).toEqual({ log: ['a', 'b', 'c', 'mine'] });
    expect(copy).toMatchObject({ state_store: 'line' });
    const size = await fetch(`${server.url}/threads/${thread_id}/storage`);
    expect(await size.json()).toMatchObject({ checkpoints: { count: 6 } });
    await client.threads.delete(thread_id!);
    const stores = await fetch(`${server.url}/info`);
    expect(((await stores.json()) as { baton: object }).baton).toMatchObject({
      state: {
        default: expect.stringMatching(/^postgres(ql)?:\/\/[^@]+$/),
        graphs: { line: 'memory:', mirror: 'memory:' },
      },
    });
    expect(baton.config.stateUrl).toBeNull();
  });

  it('is kept there from its first change by hand', async () => {
    const { client } = server;
    const { thread_id } = await client.threads.create({ graphId: 'line' });
    await client.threads.updateState(thread_id, { values: { log: ['mine'] }, asNode: 'a' });
    expect(await client.threads.get(thread_id)).toMatchObject({ state_store: 'line' });
    await expect(client.runs.wait(thread_id, 'asking', { input })).rejects.toThrow(/409/);
  });

  it('goes on with a graph that is kept in the same store, and with no other', async () => {
    const { client } = server;
    const { thread_id } = await client.threads.create();
    await client.runs.wait(thread_id, 'line', { input });
    await client.runs.wait(thread_id, 'mirror', { input });
    expect(await client.threads.get(thread_id)).toMatchObject({ state_store: 'line' });
    for (const multitaskStrategy of ['enqueue', 'reject'] as const)
      await expect(client.runs.create(thread_id, 'chat', { input, multitaskStrategy })).rejects.toThrow(
        /409.*is kept in the store of graph \\?"line\\?".*belongs into the default store \(STATE_URL\): use a new thread, or move/,
      );
    const other = await client.threads.create();
    await client.runs.wait(other.thread_id, 'chat', { input: { messages: [] } });
    await expect(client.runs.create(other.thread_id, 'line', { input })).rejects.toThrow(
      /409.*is kept in the default store.*belongs into the store of graph \\?"line/,
    );
  });

  it('is refused also while another run of it waits', async () => {
    const { client } = server;
    const { thread_id } = await client.threads.create();
    await client.runs.create(thread_id, 'line', { input, afterSeconds: 1000 });
    await expect(client.runs.create(thread_id, 'asking', { input })).rejects.toThrow(
      /409.*is kept in the store of graph/,
    );
  });

  it('that is made by its run is kept there, too', async () => {
    const { client } = server;
    const thread_id = uuidv7();
    await client.runs.wait(thread_id, 'line', { input, ifNotExists: 'create' });
    expect(await client.threads.get(thread_id)).toMatchObject({ state_store: 'line' });
    expect(await client.runs.wait(null, 'line', { input })).toEqual({ log: ['a', 'b', 'c'] });
  });
});

it('a store that langgraph.json has lost is missed clearly, by those threads only, and their runs do not wait for ever', async () => {
  const before = await testServer({ graphs: kept('line', 'memory:'), worker: false });
  const { thread_id } = await before.client.threads.create();
  const ids = await before.client.threads.create();
  const { run_id } = await before.client.runs.create(thread_id, 'line', { input });
  const after = await before.restart({
    settings: { graphs: { ...before.config.graphs, ...kept('line') } },
    worker: true,
  });
  try {
    await after.client.runs.join(thread_id, run_id);
    expect(await after.client.threads.get(thread_id)).toMatchObject({
      status: 'error',
      error: { error: 'StoreMissing', message: expect.stringContaining('set baton.graphs.line.state again') },
    });
    await expect(after.client.threads.getState(thread_id)).rejects.toThrow(/409.*set baton\.graphs\.line\.state again/);
    await expect(after.client.runs.create(thread_id, 'line', { input })).rejects.toThrow(
      /409.*or set baton\.graphs\.line\.state again if it was taken away/,
    );
    expect(await after.client.runs.wait(ids.thread_id, 'line', { input })).toEqual({ log: ['a', 'b', 'c'] });
  } finally {
    await after.baton.stop();
    await before.stop();
  }
});

it('an address that was changed, and what it names has nothing of the threads that are kept there, is told of', async () => {
  let logged = '';
  const sink = new Writable({
    write(chunk, _, done) {
      logged += String(chunk);
      done();
    },
  });
  const folder = await mkdtemp(join(tmpdir(), 'baton-stores-'));
  const at = (name: string) => kept('line', `sqlite:${join(folder, name)}`);
  const first = await testServer({ graphs: at('old.db'), log: pino({ level: 'error' }, sink) });
  const { thread_id } = await first.client.threads.create();
  await first.client.runs.wait(thread_id, 'line', { input });
  const again = async (name: string) => {
    logged = '';
    const server = await first.restart({ settings: { graphs: { ...first.config.graphs, ...at(name) } } });
    await server.baton.stop();
    return logged;
  };
  expect(await again('old.db')).toBe('');
  const told = await again('new.db');
  expect(told).toContain(thread_id);
  expect(told).toMatch(
    /baton\.graphs\.line\.state of langgraph\.json names sqlite:.*new\.db, which has no state of the threads/,
  );
  await first.stop();
  await rm(folder, { recursive: true });
});
