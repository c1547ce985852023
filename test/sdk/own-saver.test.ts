import { fileURLToPath } from 'node:url';
import type { Client } from '@langchain/langgraph-sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testDatabase, type TestDatabase } from '../postgres.ts';
import { gate } from './fixtures/gates.ts';
import { network } from './fixtures/savers.ts';
import { GRAPHS_FILE, testServer, type TestServer } from './fixtures/test-server.ts';

const SAVERS = fileURLToPath(new URL('fixtures/savers.ts', import.meta.url));
const input = { log: [] };
const abc = { log: ['a', 'b', 'c'] };
const kept = (exportName: string, saver: string) => ({
  [exportName]: { file: GRAPHS_FILE, exportName, description: null, state: `${SAVERS}:${saver}` },
});

describe.each(['instance', 'made', 'stock'])('a saver of the project’s own, exported as %s', (saver) => {
  let server: TestServer;
  let client: Client;
  let stock: TestDatabase;
  beforeAll(async () => {
    stock = await testDatabase();
    process.env['STOCK_SAVER_URL'] = stock.url;
    server = await testServer({ stateUrl: `${SAVERS}:${saver}` });
    client = server.client;
  });
  afterAll(async () => {
    await server.stop();
    await stock.drop();
  });

  it('keeps the state of runs, shows it, has it changed and forked, and loses it with the thread', async () => {
    const { thread_id } = await client.threads.create();
    expect(await client.runs.wait(thread_id, 'line', { input })).toEqual(abc);
    const history = await client.threads.getHistory(thread_id, { limit: 50 });
    expect(history.map(({ next }) => next[0])).toEqual([undefined, 'c', 'b', 'a', '__start__']);
    await client.threads.updateState(thread_id, { values: { log: ['mine'] } });
    expect((await client.threads.getState(thread_id)).values).toEqual({ log: ['a', 'b', 'c', 'mine'] });
    const checkpoint = history[2]!.checkpoint as never;
    expect(await client.runs.wait(thread_id, 'line', { input: null, checkpoint })).toEqual(abc);
    const size = await fetch(`${server.url}/threads/${thread_id}/storage`);
    expect(await size.json()).toMatchObject({ checkpoints: { count: 9, bytes: expect.any(Number) } });
    const copy = await client.threads.copy(thread_id);
    expect((await client.threads.getState(copy.thread_id)).values).toEqual(abc);
    expect(await client.threads.getHistory(copy.thread_id, { limit: 50 })).toHaveLength(9);
    await client.threads.delete(thread_id);
    expect((await client.threads.getState(copy.thread_id)).values).toEqual(abc);
    expect(await client.runs.wait(copy.thread_id, 'line', { input })).toEqual({ log: [...abc.log, ...abc.log] });
  });

  it('keeps a question and its answer, which is seen as begun by the run that brought it', async () => {
    const { thread_id } = await client.threads.create();
    await client.runs.wait(thread_id, 'asking', { input });
    expect(await client.threads.get(thread_id)).toMatchObject({ status: 'interrupted' });
    const copy = await client.threads.copy(thread_id);
    const copied = await client.threads.getState(copy.thread_id);
    expect(copied.tasks[0]?.interrupts).toHaveLength(1);
    for (const id of [thread_id, copy.thread_id])
      expect(await client.runs.wait(id, 'asking', { command: { resume: 'yes' } })).toEqual({ log: ['answer: "yes"'] });
  });

  it('saves at every step with durability auto, too', async () => {
    const { thread_id } = await client.threads.create();
    await client.runs.wait(thread_id, 'line', { input, durability: 'auto' as never });
    expect(await client.threads.getHistory(thread_id, { limit: 50 })).toHaveLength(5);
  });

  it('cannot undo a run, and says so before one is asked to stop', async () => {
    const { thread_id } = await client.threads.create();
    const name = `own-saver-${saver}`;
    const { run_id } = await client.runs.create(thread_id, 'line', { input, config: { configurable: { gate: name } } });
    await gate(name).reached;
    await expect(client.runs.cancel(thread_id, run_id, true, 'rollback')).rejects.toThrow(/422.*cannot undo a run/);
    await expect(client.runs.create(thread_id, 'line', { input, multitaskStrategy: 'rollback' })).rejects.toThrow(
      /422.*cannot undo a run/,
    );
    gate(name).open();
    await client.runs.join(thread_id, run_id);
    expect((await client.threads.getState(thread_id)).values).toEqual(abc);
  });
});

it.each([
  ['nothing', /STATE_URL names in .*savers\.ts.*is no BaseCheckpointSaver.*"getTuple" is missing/],
  ['absent', /STATE_URL names in .*there is no such export/],
  ['failing', /STATE_URL names the state store .*savers\.ts:failing, which cannot be opened \(no such host\)/],
])('%s is refused at the start', async (name, message) => {
  await expect(testServer({ stateUrl: `${SAVERS}:${name}` })).rejects.toThrow(message);
});

it('a store that does not answer is told of at the start, by its setting and without its password', async () => {
  const stateUrl = 'postgres://u:secret@127.0.0.1:1/state';
  const refused = testServer({ stateUrl });
  await expect(refused).rejects.toThrow(
    /^STATE_URL names the state store postgres:\/\/127\.0\.0\.1:1\/state, which cannot be opened \(.*ECONNREFUSED.*\): see that/,
  );
  await expect(refused).rejects.toMatchObject({ code: 'unavailable' });
});

it('a store that goes away makes its runs wait and its state unavailable, and leaves all others alone', async () => {
  const server = await testServer({ graphs: kept('line', 'remote') });
  const { client } = server;
  try {
    const [mine, other] = [await client.threads.create(), await client.threads.create()];
    const config = { configurable: { gate: 'own-saver-away' } };
    const { run_id } = await client.runs.create(mine.thread_id, 'line', { input, config });
    await gate('own-saver-away').reached;
    network.isUp = false;
    await expect(client.threads.getState(mine.thread_id)).rejects.toThrow(
      /503.*The state store .*savers\.ts:remote is out of reach: see that it runs, then try again/,
    );
    await client.runs.wait(other.thread_id, 'asking', { input });
    expect((await client.threads.getState(other.thread_id)).next).toEqual(['ask']);
    gate('own-saver-away').open();
    // The attempt that could not save breaks off, and so does the next, which cannot even look.
    await expect.poll(async () => (await client.runs.get(mine.thread_id, run_id)).status).toBe('pending');
    network.isUp = true;
    await client.runs.join(mine.thread_id, run_id);
    expect(await client.threads.get(mine.thread_id)).toMatchObject({ status: 'idle', values: abc });
  } finally {
    network.isUp = true;
    await server.stop();
  }
});
