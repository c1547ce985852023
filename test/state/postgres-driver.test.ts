import { randomUUID } from 'node:crypto';
import { Annotation, END, START, StateGraph } from '@langchain/langgraph';
import { emptyCheckpoint, uuid6 } from '@langchain/langgraph-checkpoint';
import { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FencedError } from '../../src/core/errors.ts';
import { FENCING_TOKEN_KEY } from '../../src/core/fencing.ts';
import { PostgresDriver } from '../../src/state/drivers/postgres/postgres-driver.ts';
import type { DurableSaver } from '../../src/state/durable-saver.ts';
import { openState } from '../../src/state/open-state.ts';
import { type TestDatabase, testDatabase } from '../postgres.ts';
import { fanOut } from './graphs.ts';
import { log } from './stores.ts';

let database: TestDatabase;
let pool: Pool;
let saver: DurableSaver;
let statements = 0;

beforeAll(async () => {
  database = await testDatabase();
  pool = new Pool({ connectionString: database.url, max: 10 });
  pool.on('error', () => {});
  pool.on('connect', (client) => {
    const query = client.query.bind(client) as (...parameters: unknown[]) => unknown;
    client.query = ((...parameters: unknown[]) => {
      statements += 1;
      return query(...parameters);
    }) as typeof client.query;
  });
  saver = await openState({ url: database.url, log, pool });
});
afterAll(async () => {
  await saver.close();
  await pool.end();
  await database.drop();
});

const put = (on: DurableSaver, configurable: object, values: Record<string, unknown> = {}) => {
  const versions = Object.fromEntries(Object.keys(values).map((channel) => [channel, on.getNextVersion(undefined)]));
  const checkpoint = { ...emptyCheckpoint(), id: uuid6(0), channel_values: values, channel_versions: versions };
  return on.put({ configurable }, checkpoint, { source: 'loop', step: 0, parents: {} }, versions);
};

async function rowsOf(thread_id: string): Promise<Record<string, number>> {
  const { rows } = await pool.query<Record<string, number>>(
    `select (select count(*)::int from baton_state.checkpoints where thread_id = $1) as checkpoints,
      (select count(*)::int from baton_state.writes where thread_id = $1) as writes,
      (select count(*)::int from baton_state.values where thread_id = $1) as values,
      (select count(*)::int from baton_state.fences where thread_id = $1) as fences`,
    [thread_id],
  );
  return rows[0] ?? {};
}

/** A line of nodes that count. */
function counting(length: number) {
  const State = Annotation.Root({ n: Annotation<number>, big: Annotation<string> });
  const builder = new StateGraph(State);
  const names = Array.from({ length }, (_, index) => `node_${index}`);
  for (const name of names) builder.addNode(name, ({ n }: typeof State.State) => ({ n: n + 1 }));
  const path = [START, ...names, END];
  for (const [index, name] of path.slice(0, -1).entries())
    builder.addEdge(name as typeof START, path[index + 1] as typeof END);
  return builder.compile({ checkpointer: saver });
}

describe('opening', () => {
  it('works for six at once on an empty database', async () => {
    const empty = await testDatabase();
    const savers = await Promise.all(Array.from({ length: 6 }, () => openState({ url: empty.url, log })));
    const config = await put(savers[0] as DurableSaver, { thread_id: 't' }, { v: 1 });
    for (const other of savers) expect((await other.get(config))?.channel_values).toEqual({ v: 1 });
    await Promise.all(savers.map((other) => other.close()));
    await empty.drop();
  });

  it('keeps what a row may be made of, when the worker that stored it did not say, as older ones do not', async () => {
    const thread_id = randomUUID();
    const graph = fanOut(saver, 3);
    await graph.invoke({}, { configurable: { thread_id } });
    const { values } = await graph.getState({ configurable: { thread_id } });
    const planned = (await saver.prunePlan(thread_id, { keep_last: 1 })).checkpoints;
    await pool.query('update baton_state.checkpoints set deltas = default where thread_id = $1', [thread_id]);
    const { checkpoints } = await saver.prunePlan(thread_id, { keep_last: 1 });
    expect(checkpoints).toEqual(planned);
    await saver.remove(thread_id, checkpoints);
    expect((await graph.getState({ configurable: { thread_id } })).values).toEqual(values);
  });

  it('refuses an address that no driver takes', async () => {
    await expect(openState({ url: 'mysql://x', log })).rejects.toMatchObject({ code: 'invalid_input' });
  });

  it('leaves a pool that was given open', async () => {
    const other = await openState({ url: database.url, log, pool });
    await other.close();
    await expect(pool.query('select 1')).resolves.toMatchObject({ rowCount: 1 });
  });
});

describe('group commit', () => {
  const runOf = (graph: ReturnType<typeof counting>, thread_id = randomUUID()) =>
    graph.invoke({ n: 0, big: '' }, { configurable: { thread_id }, durability: 'sync', recursionLimit: 50 });

  it('takes at most 1.3 statements a node for one run, and one row a step', async () => {
    const graph = counting(20);
    await runOf(graph);
    statements = 0;
    const thread_id = randomUUID();
    expect((await runOf(graph, thread_id)).n).toBe(20);
    expect(statements / 20).toBeLessThanOrEqual(1.3);
    const { checkpoints, writes } = await rowsOf(thread_id);
    expect(checkpoints).toBe(22);
    expect(writes).toBeLessThanOrEqual(2);
  });

  it('takes at most 0.2 statements a node for 32 runs at once', async () => {
    const graph = counting(20);
    await Promise.all(Array.from({ length: 32 }, () => runOf(graph)));
    statements = 0;
    const results = await Promise.all(Array.from({ length: 32 }, () => runOf(graph)));
    expect(results.map(({ n }) => n)).toEqual(Array.from({ length: 32 }, () => 20));
    expect(statements / (32 * 20)).toBeLessThanOrEqual(0.2);
  });

  it('makes the changes of others when one of a batch is at fault', async () => {
    const driver = await PostgresDriver.open({ url: database.url, log, pool });
    const change = (search: string) => {
      const row = {
        thread_id: randomUUID(),
        checkpoint_ns: '',
        checkpoint_id: uuid6(0),
        parent_id: null,
        run_id: null,
        body: Buffer.from('{}'),
      };
      return { row, values: new Map(), value_ids: [], search, deltas: false };
    };
    const [good, bad, last] = [change('{}'), change('{"broken'), change('{}')];
    const outcomes = await Promise.allSettled([driver.put(good), driver.put(bad), driver.put(last)]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await driver.get(last.row.thread_id, '')).toMatchObject({ row: last.row });
    expect(await driver.get(bad.row.thread_id, '')).toBeUndefined();
  });

  it('never shows a checkpoint without the writes that led to it', async () => {
    const thread_id = randomUUID();
    const run = { ended: false };
    const work = async (): Promise<void> => {
      await counting(40).invoke(
        { n: 0, big: '' },
        { configurable: { thread_id }, durability: 'async', recursionLimit: 50 },
      );
      run.ended = true;
    };
    const seen = new Map<string, number>();
    const look = async (): Promise<void> => {
      while (!run.ended) {
        const latest = await saver.getTuple({ configurable: { thread_id } });
        if (latest?.parentConfig === undefined) continue;
        const parent = await saver.getTuple(latest.parentConfig);
        seen.set(latest.checkpoint.id, parent?.pendingWrites?.length ?? 0);
      }
    };
    await Promise.all([work(), look()]);
    expect(seen.size).toBeGreaterThan(3);
    expect(Math.min(...seen.values())).toBeGreaterThan(0);
  });
});

describe('big values', () => {
  it('are stored once for each content, however many steps, writes and branches have them', async () => {
    const thread_id = randomUUID();
    const big = 'x'.repeat(1_000_000);
    const config = { configurable: { thread_id } };
    const graph = counting(5);
    await graph.invoke({ n: 0, big }, config);
    expect((await rowsOf(thread_id))['values']).toBe(1);
    const [, , older] = await historyOf(graph, config);
    await graph.invoke(null, older?.config);
    await graph.updateState(config, { big });
    expect((await rowsOf(thread_id))['values']).toBe(1);
    expect((await graph.getState(config)).values.big).toBe(big);
    const { checkpoints, writes, values } = await saver.storage(thread_id);
    expect(checkpoints.bytes + writes.bytes + values.bytes).toBeLessThan(1.1 * big.length);
  });

  it('go with the run that brought them', async () => {
    const thread_id = randomUUID();
    const graph = counting(2);
    const run = (run_id: string, big: string) => graph.invoke({ n: 0, big }, { configurable: { thread_id, run_id } });
    await run('one', 'a'.repeat(5000));
    const before = await rowsOf(thread_id);
    await run('two', 'b'.repeat(5000));
    await saver.deleteRun(thread_id, 'two');
    expect(await rowsOf(thread_id)).toEqual(before);
    expect((await graph.getState({ configurable: { thread_id } })).values.big).toBe('a'.repeat(5000));
  });

  it('leave nothing behind when the thread is deleted', async () => {
    const thread_id = randomUUID();
    await saver.fence(thread_id, 1);
    await counting(2).invoke({ n: 0, big: 'c'.repeat(5000) }, { configurable: { thread_id } });
    await saver.deleteThread(thread_id);
    expect(await rowsOf(thread_id)).toEqual({ checkpoints: 0, writes: 0, values: 0, fences: 0 });
  });
});

describe('a fence against a writer at full speed', () => {
  /** Puts one checkpoint after another until it is refused. */
  async function writeOn(on: DurableSaver, thread_id: string, token: number): Promise<number> {
    for (let made = 0; ; made += 1) {
      try {
        await put(on, { thread_id, [FENCING_TOKEN_KEY]: token }, { made });
      } catch (error) {
        if (error instanceof FencedError) return made;
        throw error;
      }
    }
  }

  it('lets no write through that was not there when fence() returned', async () => {
    const other = await openState({ url: database.url, log });
    for (let round = 0; round < 15; round += 1) {
      const thread_id = randomUUID();
      await saver.fence(thread_id, 1);
      const writing = [writeOn(saver, thread_id, 1), writeOn(other, thread_id, 1)];
      await put(other, { thread_id: randomUUID() });
      await other.fence(thread_id, 2);
      const { checkpoints } = await rowsOf(thread_id);
      const made = await Promise.all(writing);
      expect((made[0] ?? 0) + (made[1] ?? 0)).toBe(checkpoints);
      expect(await rowsOf(thread_id)).toMatchObject({ checkpoints });
    }
    await other.close();
  });

  it('and a deleted thread stays deleted', async () => {
    const other = await openState({ url: database.url, log });
    for (let round = 0; round < 15; round += 1) {
      const thread_id = randomUUID();
      await saver.fence(thread_id, 1);
      const writing = [writeOn(saver, thread_id, 1), writeOn(other, thread_id, 1)];
      await put(saver, { thread_id: randomUUID() });
      await saver.deleteThread(thread_id);
      await Promise.all(writing);
      expect(await rowsOf(thread_id)).toEqual({ checkpoints: 0, writes: 0, values: 0, fences: 0 });
    }
    await other.close();
  });
});

describe('a DeltaChannel', () => {
  it('with a chain of 1,500 checkpoints is read in at most 10 statements', async () => {
    const thread_id = randomUUID();
    const ids = Array.from({ length: 1500 }, () => uuid6(0));
    const at = (index: number) => ({ configurable: { thread_id, checkpoint_ns: '', checkpoint_id: ids[index] } });
    const saving = ids.flatMap((id, index) => {
      const parent = index === 0 ? { configurable: { thread_id, checkpoint_ns: '' } } : at(index - 1);
      const stored = saver.put(parent, { ...emptyCheckpoint(), id }, { source: 'loop', step: index, parents: {} }, {});
      return [
        stored,
        saver.putWrites(
          at(index),
          [
            ['items', index],
            ['items', 'x'.repeat(index % 100 === 0 ? 3000 : 0)],
          ],
          'task',
        ),
      ];
    });
    await Promise.all(saving);
    statements = 0;
    const history = await saver.getDeltaChannelHistory({ config: at(1499), channels: ['items', 'none'] });
    expect(statements).toBeLessThanOrEqual(10);
    const numbers = history['items']?.writes.flatMap(([, , value]) => (typeof value === 'number' ? value : []));
    expect(numbers).toEqual(Array.from({ length: 1499 }, (_, index) => index));
    expect(history['items']?.writes.filter(([, , value]) => String(value).length === 3000)).toHaveLength(15);
    expect(history['none']).toEqual({ writes: [] });
  });

  it('is read once for all states of a history', async () => {
    const thread_id = randomUUID();
    const config = { configurable: { thread_id }, recursionLimit: 1000, durability: 'async' as const };
    await fanOut(saver, 60).invoke({}, config);
    statements = 0;
    const lengths: number[] = [];
    for await (const { values } of fanOut(saver).getStateHistory(config, { limit: 20 }))
      lengths.push(values.items.length);
    expect(statements).toBeLessThanOrEqual(10);
    expect(lengths.slice(0, 6)).toEqual([300, 300, 295, 295, 295, 290]);
  });

  it('with snapshots on the way is read in a few', async () => {
    const thread_id = randomUUID();
    const config = { configurable: { thread_id }, recursionLimit: 1000, durability: 'async' as const };
    const { items } = await fanOut(saver, 60).invoke({}, config);
    expect(items).toHaveLength(300);
    statements = 0;
    expect((await fanOut(saver).getState(config)).values.items).toEqual(items);
    expect(statements).toBeLessThanOrEqual(4);
  });
});

describe('lost connections', () => {
  it('are outlived by a run, which loses and repeats nothing', async () => {
    const thread_id = randomUUID();
    const graph = counting(20);
    let killed = 0;
    const stream = await graph.stream(
      { n: 0, big: '' },
      { configurable: { thread_id }, durability: 'sync', recursionLimit: 50, streamMode: 'updates' },
    );
    for await (const update of stream) {
      if (!('node_3' in update) && !('node_9' in update)) continue;
      const killer = new Pool({ connectionString: database.url, max: 1 });
      const { rowCount } = await killer.query(
        'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
      );
      killed += rowCount ?? 0;
      await killer.end();
    }
    expect(killed).toBeGreaterThan(1);
    expect((await graph.getState({ configurable: { thread_id } })).values.n).toBe(20);
    expect((await rowsOf(thread_id))['checkpoints']).toBe(22);
  });
});

async function historyOf(graph: ReturnType<typeof counting>, config: object) {
  const states = [];
  for await (const state of graph.getStateHistory(config)) states.push(state);
  return states;
}
