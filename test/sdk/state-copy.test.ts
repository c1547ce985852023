import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';
import type { Client } from '@langchain/langgraph-sdk';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FencedError } from '../../src/core/errors.ts';
import { nameUuid, uuidv7 } from '../../src/core/ids.ts';
import { Database } from '../../src/database/database.ts';
import { Threads } from '../../src/database/threads.ts';
import { openState } from '../../src/state/open-state.ts';
import { testDatabase, type TestDatabase } from '../postgres.ts';
import { gate } from './fixtures/gates.ts';
import * as graphs from './fixtures/graphs.ts';
import { slow } from './fixtures/savers.ts';
import * as takeover from './fixtures/takeover-graphs.ts';
import { GRAPHS_FILE, testServer, type TestServer } from './fixtures/test-server.ts';

const log = pino({ level: 'silent' });
const input = { log: [] };
type Deltas = Awaited<ReturnType<ReturnType<typeof takeover.deltas.compile>['invoke']>>;
const abc = { log: ['a', 'b', 'c'] };

describe('threads of the stock PostgresSaver', () => {
  let stock: TestDatabase;
  let saver: PostgresSaver;
  let server: TestServer;
  let client: Client;
  const lines: string[] = [];
  const ids = { line: uuidv7(), asking: uuidv7(), parent: uuidv7() };
  const take = (graphId: string, more: object = {}) =>
    server.baton.copyState(
      { from: `stock+${stock.url.replace('postgresql:', 'postgres:')}`, to: null, graphId, dryRun: false, ...more },
      (line) => lines.push(line),
    );
  beforeAll(async () => {
    const file = fileURLToPath(new URL('fixtures/takeover-graphs.ts', import.meta.url));
    const graphIds = ['deltas', 'halves'];
    const more = Object.fromEntries(
      graphIds.map((exportName) => [exportName, { file, exportName, description: null }]),
    );
    [stock, server] = await Promise.all([testDatabase(), testServer({ graphs: more })]);
    client = server.client;
    saver = PostgresSaver.fromConnString(stock.url);
    await saver.setup();
    const at = (thread_id: string) => ({ configurable: { thread_id, ask: true } });
    const line = graphs.line.compile({ checkpointer: saver });
    await line.invoke(input, at(ids.line));
    await graphs.asking.compile({ checkpointer: saver }).invoke(input, at(ids.asking));
    await graphs.asking.compile({ checkpointer: saver }).invoke(input, at('user-7'));
    await graphs.parent.compile({ checkpointer: saver }).invoke(input, at(ids.parent));
  });
  afterAll(async () => {
    await saver.end();
    await server.stop();
    await stock.drop();
  });

  it('are only counted by a dry run', async () => {
    expect(await take('line', { threads: [ids.line], dryRun: true })).toMatchObject({
      threads: 1,
      checkpoints: 5,
      added: 0,
    });
    await expect(client.threads.get(ids.line)).rejects.toThrow(/404/);
  });

  it('are there with their history, go on, and fork right at each checkpoint', async () => {
    expect(await take('line', { threads: [ids.line] })).toMatchObject({
      threads: 1,
      checkpoints: 5,
      added: 5,
      left: 0,
    });
    expect(await client.threads.get(ids.line)).toMatchObject({
      status: 'idle',
      values: abc,
      metadata: { graph_id: 'line', assistant_id: nameUuid('line') },
    });
    const history = await client.threads.getHistory(ids.line, { limit: 50 });
    expect(history.map(({ next }) => next[0])).toEqual([undefined, 'c', 'b', 'a', '__start__']);
    for (const { checkpoint, next, values } of history) {
      if (next.length === 0 || next[0] === '__start__') continue;
      const from = checkpoint as never;
      expect(await client.runs.wait(ids.line, 'line', { input: null, checkpoint: from })).toEqual(abc);
      await client.threads.updateState(ids.line, { values: { log: ['mine'] }, checkpoint: from });
      const { log } = values as { log: string[] };
      expect(await client.runs.wait(ids.line, 'line', { input: null })).toEqual({
        log: [...log, 'mine', ...abc.log.slice(log.length)],
      });
    }
    // What was taken over goes its own way now.
    expect(await take('line', { threads: [ids.line] })).toMatchObject({ threads: 0, left: 1 });
    expect(lines.find((line) => line.startsWith(`left ${ids.line}`))).toMatch(/it went on there/);
  });

  it('go on where they ask, in a subgraph too', async () => {
    expect(await take('asking', { threads: [ids.asking, 'user-7'] })).toMatchObject({ threads: 2, left: 0 });
    expect(await take('parent', { threads: [ids.parent] })).toMatchObject({ threads: 1, left: 0 });
    expect(await take('asking', { threads: [ids.asking] })).toMatchObject({ threads: 1, added: 0 });
    const thread = await client.threads.get(ids.asking);
    expect(thread.status).toBe('interrupted');
    expect(Object.values(thread.interrupts)[0]).toMatchObject([{ value: { question: 'go on?' } }]);
    const named = nameUuid('user-7');
    expect((await client.threads.get(named)).metadata).toMatchObject({ thread_name: 'user-7' });
    for (const id of [ids.asking, named])
      expect(await client.runs.wait(id, 'asking', { command: { resume: 'yes' } })).toEqual({ log: ['answer: "yes"'] });
    const config = { configurable: { ask: true } };
    expect(await client.runs.wait(ids.parent, 'parent', { command: { resume: 'deep' }, config })).toMatchObject({
      log: expect.arrayContaining(['inside', 'deep', 'told']),
    });
  });

  it('with a DeltaChannel have its items at each checkpoint, go on and fork in the middle', async () => {
    const id = uuidv7();
    const graph = takeover.deltas.compile({ checkpointer: saver });
    const config = { configurable: { thread_id: id } };
    const { items } = await graph.invoke({}, config);
    const told: unknown[] = [];
    for await (const { values, next } of graph.getStateHistory(config)) told.push({ values, next });
    expect(await take('deltas', { threads: [id] })).toMatchObject({ threads: 1, checkpoints: told.length, left: 0 });
    const history = await client.threads.getHistory<Deltas>(id, { limit: 50 });
    expect(history.map(({ values, next }) => ({ values, next }))).toEqual(told);
    const before = history[0]?.values as Deltas;
    expect(before.items.toSorted()).toEqual(['a1', 'a2', 'b1', 'b2', 'c1', 'c2']);
    expect(items.toSorted()).toEqual(before.items.toSorted());
    const on = await client.runs.wait(id, 'deltas', { input: {} });
    expect(on).toEqual({
      items: [...before.items, 'a3', 'b3', 'c3', 'a4', 'b4', 'c4'],
      notes: [
        ...before.notes,
        ...[3, 4].flatMap((round) => [`round ${round}`, `a${round}`, `b${round}`, `c${round}`, 'end']),
      ],
      round: 4,
    });
    const half = history.findLast(({ values }) => values.items.length === 3);
    await client.threads.updateState(id, { values: { items: ['mine'] }, checkpoint: half?.checkpoint, asNode: 'end' });
    const fork = (await client.runs.wait(id, 'deltas', { input: null })) as unknown as Deltas;
    expect(fork.items).toEqual([...(half?.values.items ?? []), 'mine', 'a2', 'b2', 'c2']);
    expect((await client.threads.getState<Deltas>(id, history[0]?.checkpoint)).values).toEqual(before);
  });

  it.each([
    ['failed', { fails: true }],
    ['was killed', {}],
  ])('go on in the middle of a step in which one task had ended and the other %s', async (how, end) => {
    const id = uuidv7();
    const name = `takeover ${how}`;
    const killed = new AbortController();
    const watched = Object.create(saver) as PostgresSaver;
    const stored: Promise<void>[] = [];
    watched.putWrites = (...args) => {
      const put = saver.putWrites(...args).then(() => {
        if (!JSON.stringify(args).includes('["early"]')) return;
        if (how === 'failed') gate(name).open();
        else killed.abort();
      });
      stored.push(put);
      return put;
    };
    const graph = takeover.halves.compile({ checkpointer: watched });
    const config = {
      configurable: { thread_id: id, ...end, gate: name },
      signal: killed.signal,
      durability: 'sync' as const,
    };
    await expect(graph.invoke({ log: [] }, config)).rejects.toThrow(/failed|abort/i);
    await Promise.all(stored);
    expect(await take('halves', { threads: [id] })).toMatchObject({ threads: 1, left: 0 });
    expect((await client.threads.get(id)).status).toBe('interrupted');
    takeover.executed.length = 0;
    expect(await client.runs.wait(id, 'halves', { input: null })).toEqual({ log: ['early', 'late'] });
    expect(takeover.executed).toEqual(['late']);
  });

  it('are looked for where they are', async () => {
    await expect(take('line', { from: `stock+${server.config.databaseUrl}` })).rejects.toThrow(
      /no table "checkpoints"/,
    );
    await expect(take('line', { to: 'sqlite:/nowhere/else.db' })).rejects.toThrow(
      /cannot be opened|kept in another store/,
    );
    await expect(take('nothing')).rejects.toThrow(/Graph nothing not found/);
    await expect(take('line', { from: 'memory:' })).rejects.toThrow(
      /--from is memory:, which no other process can reach/,
    );
    await expect(take('line', { from: null })).rejects.toThrow(/are one store/);
  });
});

it('what one process has in its memory cannot be copied, though it is the project’s own store', async () => {
  const server = await testServer({ stateUrl: 'memory:' });
  const copied = server.baton.copyState({ from: null, to: 'sqlite:/nowhere/state.db', dryRun: false }, () => undefined);
  await expect(copied).rejects.toThrow(/--from is memory:, which no other process can reach/);
  await server.stop();
});

describe('threads that are moved to another store', () => {
  it('go on there when their graph is kept there now; busy ones are left', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'baton-copy-'));
    const state = `sqlite:${join(folder, 'state.db')}`;
    const before = await testServer();
    const { client } = before;
    const lines: string[] = [];
    const closing: (() => Promise<void>)[] = [];
    try {
      const [idle, busy] = [await client.threads.create(), await client.threads.create()];
      await client.runs.wait(idle.thread_id, 'line', { input });
      const database = new Database({ url: before.config.databaseUrl ?? '', log, applicationName: 'test' });
      const threads = new Threads(database);
      const source = await openState({ url: before.config.databaseUrl ?? '', log });
      closing.push(
        () => source.close(),
        () => database.close(),
      );
      const config = { configurable: { gate: 'state-copy-busy' } };
      const run = await client.runs.create(busy.thread_id, 'line', { input, config });
      await gate('state-copy-busy').reached;
      const other = await before.restart({
        worker: false,
        settings: {
          graphs: {
            ...before.config.graphs,
            line: { file: GRAPHS_FILE, exportName: 'line', description: null, state },
          },
        },
      });
      const copy = (request: object = {}) =>
        other.baton.copyState({ from: before.config.databaseUrl, to: state, dryRun: false, ...request }, (line) =>
          lines.push(line),
        );
      try {
        const old = `sqlite:${join(folder, 'old.db')}`;
        expect(await copy({ to: old, threads: [idle.thread_id] })).toMatchObject({ threads: 1, left: 0 });
        expect(await copy({ from: old, threads: [idle.thread_id] })).toMatchObject({ threads: 0, left: 1 });
        expect(lines.splice(0)).toContainEqual(
          expect.stringMatching(`left ${idle.thread_id}: it is kept in the default store`),
        );
        const { token } = await threads.reserve(idle.thread_id);
        expect(await copy()).toMatchObject({ threads: 1, checkpoints: 5, left: 1 });
        await expect(source.fence(idle.thread_id, token)).rejects.toThrow(FencedError);
        expect(lines[0]).toMatch(new RegExp(`^left ${busy.thread_id}: it is busy with a run`));
        expect(lines[1]).toMatch(/1 of 2 threads copied and verified, 5 checkpoints \(5 new\), \d+ bytes/);
        expect(await other.client.threads.get(idle.thread_id)).toMatchObject({ state_store: 'line' });
        expect((await other.client.threads.getState(idle.thread_id)).values).toEqual(abc);
        gate('state-copy-busy').open();
        await client.runs.join(busy.thread_id, run.run_id);
        expect(await copy()).toMatchObject({ threads: 2, checkpoints: 10, added: 5, left: 0 });
        expect((await other.client.threads.getState(busy.thread_id)).values).toEqual(abc);
      } finally {
        await other.baton.stop();
      }
    } finally {
      for (const close of closing) await close();
      await before.stop();
      await rm(folder, { recursive: true });
    }
  });

  it('leave no copy when they are deleted meanwhile', async () => {
    const server = await testServer();
    try {
      const { client } = server;
      const { thread_id } = await client.threads.create({ metadata: { graph_id: 'line' } });
      await graphs.line.compile({ checkpointer: slow }).invoke(input, { configurable: { thread_id } });
      const from = `${fileURLToPath(new URL('fixtures/savers.ts', import.meta.url))}:slow`;
      const copied = server.baton.copyState({ from, to: null, dryRun: false, threads: [thread_id] }, () => undefined);
      await gate('slow-saver').reached;
      await client.threads.delete(thread_id);
      gate('slow-saver').open();
      expect(await copied).toMatchObject({ threads: 0, left: 1 });
      const source = await openState({ url: server.config.databaseUrl ?? '', log });
      expect(await source.threads(9)).toEqual([]);
      await source.close();
    } finally {
      await server.stop();
    }
  });
});
