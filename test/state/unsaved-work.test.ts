import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { Annotation, Command, END, START, StateGraph } from '@langchain/langgraph';
import type { BaseCheckpointSaver, CheckpointTuple } from '@langchain/langgraph-checkpoint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FENCING_TOKEN_KEY } from '../../src/core/fencing.ts';
import type { CheckpointDriver } from '../../src/state/drivers/checkpoint-driver.ts';
import { MemoryDriver } from '../../src/state/drivers/memory/memory-driver.ts';
import { PostgresDriver } from '../../src/state/drivers/postgres/postgres-driver.ts';
import { DurableSaver } from '../../src/state/durable-saver.ts';
import { WorkMeter, type WorkMeterOptions } from '../../src/state/unsaved/work-meter.ts';
import { testDatabase } from '../postgres.ts';
import { BIG, fanOut, line, subgraph, twoQuestions } from './graphs.ts';
import { NEVER } from './holding-saver.ts';
import { log } from './stores.ts';

const DRIVERS: Record<string, () => Promise<CheckpointDriver>> = {
  memory: async () => new MemoryDriver(),
  postgres: async () => {
    const database = await testDatabase();
    const driver = await PostgresDriver.open({ url: database.url, log });
    const close = driver.close.bind(driver);
    driver.close = async () => {
      await close();
      await database.drop();
    };
    return driver;
  },
};

async function all(tuples: AsyncIterable<CheckpointTuple>): Promise<CheckpointTuple[]> {
  const found: CheckpointTuple[] = [];
  for await (const tuple of tuples) found.push(tuple);
  return found;
}

/** A line of nodes, each of which does something of its own; it may end before it gets to the last. */
function chain(checkpointer: BaseCheckpointSaver, nodes: (() => unknown)[]) {
  const State = Annotation.Root({ n: Annotation<number>({ reducer: (a, b) => a + b, default: () => 0 }) });
  const names = nodes.map((_, index) => `n${index}`);
  const builder = new StateGraph(State);
  for (const [index, work] of nodes.entries()) {
    builder.addNode(`n${index}`, async () => {
      await work();
      return { n: 1 };
    });
  }
  const path = [START, ...names, END];
  for (const [index, name] of path.slice(0, -1).entries())
    builder.addEdge(name as typeof START, path[index + 1] as typeof END);
  return builder.compile({ checkpointer });
}

describe.each(Object.entries(DRIVERS))('%s', (_, open) => {
  let driver: CheckpointDriver;
  /** The saver of the process that runs, and that of another process. */
  let saver: DurableSaver;
  let elsewhere: DurableSaver;

  beforeAll(async () => {
    driver = await open();
    saver = new DurableSaver({ driver });
    elsewhere = new DurableSaver({ driver });
  });
  afterAll(() => driver.close());

  /** Begins as an attempt of a run does. */
  async function hold(thread_id: string, { token = 1, ...meter }: Partial<WorkMeterOptions> & { token?: number } = {}) {
    await saver.fence(thread_id, token);
    saver.hold(thread_id, token, new WorkMeter({ ...NEVER, ...meter }));
    return {
      configurable: { thread_id, [FENCING_TOKEN_KEY]: token },
      durability: 'sync' as const,
      recursionLimit: 50,
    };
  }

  const stored = (thread_id: string) => all(elsewhere.list({ configurable: { thread_id, checkpoint_ns: '' } }));

  it('is read here as if it were stored, and is nowhere else until it is saved', async () => {
    const thread = randomUUID();
    const config = await hold(thread);
    const result = await line(saver).invoke({ v: '1' }, config);
    expect((await line(saver).getState(config)).values).toEqual(result);
    expect(await saver.latest(thread)).toMatchObject({ checkpoint_id: expect.any(String), pending_writes: 0 });
    expect(await stored(thread)).toEqual([]);
    await saver.flush(thread);
    expect((await line(elsewhere).getState({ configurable: { thread_id: thread } })).values).toEqual(result);
  });

  it('is saved as one checkpoint below the last one that was, with the big values of those left out', async () => {
    const thread = randomUUID();
    const config = await hold(thread);
    const before = saver.checkpointsWritten;
    await line(saver).invoke({ v: '1' }, config);
    await saver.flush(thread);
    await line(saver).invoke({ v: '2' }, config);
    await saver.flush(thread);
    const [second, first] = await stored(thread);
    expect(saver.checkpointsWritten - before).toBe(2);
    expect(second?.parentConfig?.configurable?.['checkpoint_id']).toBe(first?.checkpoint.id);
    expect(first?.parentConfig).toBeUndefined();
    expect([first, second].map((tuple) => tuple?.checkpoint.channel_values['big'])).toEqual([`${BIG}1`, `${BIG}2`]);
  });

  it('lists with what is stored, in order, page by page', async () => {
    const thread = randomUUID();
    const config = await hold(thread);
    for (const v of ['1', '2']) {
      await line(saver).invoke({ v }, config);
      await saver.flush(thread);
    }
    await line(saver).invoke({ v: '3' }, config);
    const list = async (options: object, place: object = {}) =>
      (await all(saver.list({ configurable: { thread_id: thread, ...place } }, options))).map(
        ({ checkpoint }) => checkpoint.channel_values['v'],
      );
    expect(await list({})).toEqual(['3', '2', '1']);
    expect(await list({ limit: 2 })).toEqual(['3', '2']);
    expect(await list({ filter: { source: 'loop' } })).toHaveLength(3);
    expect(await list({ filter: { step: 13 } })).toEqual(['3']);
    expect(await list({ filter: { source: 'input' } })).toEqual([]);
    expect(await list({}, { checkpoint_ns: 'other' })).toEqual([]);
    const [newest] = await all(saver.list({ configurable: { thread_id: thread } }, { limit: 1 }));
    expect(await list({ before: newest?.config })).toEqual(['2', '1']);
    expect(await list({}, { checkpoint_id: newest?.checkpoint.id })).toEqual(['3']);
  });

  it('goes on elsewhere from what was saved in the middle of a step: an answer, a question, a subgraph', async () => {
    const thread = randomUUID();
    const config = await hold(thread);
    await subgraph(saver).invoke({}, config);
    await saver.flush(thread);
    saver.release(thread, 1);
    const other = { configurable: { thread_id: thread } };
    const { tasks } = await subgraph(elsewhere).getState(other, { subgraphs: true });
    expect(tasks[0]?.state).toMatchObject({ values: { log: ['before'] } });
    expect((await subgraph(elsewhere).invoke(new Command({ resume: 'yes' }), other)).log).toContain('answer yes');

    const asking = randomUUID();
    const asked = await hold(asking);
    await twoQuestions(saver).invoke({}, asked);
    await twoQuestions(saver).invoke(new Command({ resume: 'one' }), asked);
    await saver.flush(asking);
    const rest = await twoQuestions(elsewhere).invoke(new Command({ resume: 'two' }), {
      configurable: { thread_id: asking },
    });
    expect(rest.answers).toEqual(['one', 'two']);
  });

  it('leaves out what subgraphs saved in steps that are left out', async () => {
    const thread = randomUUID();
    const config = await hold(thread);
    await subgraph(saver).invoke({}, config);
    await subgraph(saver).invoke(new Command({ resume: 'yes' }), config);
    await saver.flush(thread);
    const places = (await all(elsewhere.list({ configurable: { thread_id: thread } }))).map(
      (tuple) => tuple.config.configurable?.['checkpoint_ns'] as string,
    );
    expect(places).toEqual(['']);
  });

  it('leaves nothing out where a checkpoint holds only what was added to the one before', async () => {
    const thread = randomUUID();
    const config = await hold(thread);
    const { items } = await fanOut(saver, 3).invoke({}, config);
    await saver.flush(thread);
    const other = { configurable: { thread_id: thread } };
    expect((await fanOut(elsewhere, 3).getState(other)).values.items).toEqual(items);
    expect((await stored(thread)).length).toBeGreaterThan(9);
  });

  it('is saved as soon as it has taken longer than the limit, and cheap steps cost no write', async () => {
    const thread = randomUUID();
    let nowMs = 0;
    const takes = (ms: number) => () => {
      nowMs += ms;
    };
    const saved: number[] = [];
    const cheap = async () => {
      saved.push((await stored(thread)).length);
    };
    const config = await hold(thread, { limit: { ms: 100, cost: Infinity }, now: () => nowMs });
    const nodes = [cheap, takes(60), cheap, takes(60), cheap, cheap, takes(500), cheap, takes(100), cheap];
    await chain(saver, nodes).invoke({ n: 0 }, config);
    expect(saved).toEqual([0, 0, 1, 1, 2, 2]);
    const [newest] = await stored(thread);
    expect(newest?.checkpoint.channel_values['n']).toBe(7);
  });

  it('is saved as soon as it has cost more than the limit', async () => {
    const thread = randomUUID();
    const saved: number[] = [];
    const costs = [0.004, 0.004, 0.004, 0.004];
    const config = await hold(thread, {
      limit: { ms: Infinity, cost: 0.01 },
      cost: { ofTask: () => costs.shift() ?? 0 },
    });
    const look = async () => {
      saved.push((await stored(thread)).length);
    };
    // The first task is LangGraph's own, which takes the input.
    await chain(saver, [look, look, look, look]).invoke({ n: 0 }, config);
    expect(saved).toEqual([0, 0, 1, 1]);
  });

  it('is weighed inside of subgraphs, too', async () => {
    const thread = randomUUID();
    let nowMs = 0;
    let saved = 0;
    const inner = chain(undefined as unknown as BaseCheckpointSaver, [
      () => {
        nowMs += 500;
      },
      async () => {
        saved = (await all(elsewhere.list({ configurable: { thread_id: thread } }))).length;
      },
    ]);
    const graph = new StateGraph(Annotation.Root({ n: Annotation<number> }))
      .addNode('inner', inner)
      .addEdge(START, 'inner')
      .addEdge('inner', END)
      .compile({ checkpointer: saver });
    const config = await hold(thread, { limit: { ms: 100, cost: Infinity }, now: () => nowMs });
    await graph.invoke({ n: 0 }, config);
    // The subgraph's, and that of the graph around it, in whose step it is.
    expect(saved).toBe(2);
  });

  it('saves a branch that has ended while another goes on', async () => {
    const thread = randomUUID();
    let nowMs = 0;
    let writes: unknown[] = [];
    const graph = new StateGraph(Annotation.Root({ n: Annotation<number>, m: Annotation<number> }))
      .addNode('quick', () => {
        nowMs += 500;
        return { n: 1 };
      })
      .addNode('slow', async () => {
        for (let turns = 0; writes.length === 0 && turns < 500; turns += 1) {
          await setImmediate();
          writes = (await stored(thread))[0]?.pendingWrites ?? [];
        }
        return { m: 1 };
      })
      .addEdge(START, 'quick')
      .addEdge(START, 'slow')
      .compile({ checkpointer: saver });
    await graph.invoke({ n: 0 }, await hold(thread, { limit: { ms: 100, cost: Infinity }, now: () => nowMs }));
    expect(writes).toEqual([[expect.any(String), 'n', 1]]);
  });

  it('of a zombie is refused when it is to be saved, and its later work as well', async () => {
    const thread = randomUUID();
    const config = await hold(thread, { token: 5 });
    await line(saver).invoke({ v: 'zombie' }, config);
    await elsewhere.fence(thread, 6);
    await expect(saver.flush(thread)).rejects.toMatchObject({ name: 'FencedError' });
    await expect(line(saver).invoke({ v: 'zombie again' }, config)).rejects.toMatchObject({ name: 'FencedError' });
    await expect(saver.flush(thread)).rejects.toMatchObject({ name: 'FencedError' });
    expect(await stored(thread)).toEqual([]);
  });

  it('of a zombie is gone once the next attempt has the thread, in the same process too', async () => {
    const thread = randomUUID();
    const zombie = await hold(thread, { token: 5 });
    await line(saver).invoke({ v: 'zombie' }, zombie);
    const heir = await hold(thread, { token: 6 });
    expect((await line(saver).getState(heir)).values).toEqual({});
    await expect(line(saver).invoke({ v: 'zombie again' }, zombie)).rejects.toMatchObject({ name: 'FencedError' });
    saver.release(thread, 5); // the end of the zombie, not of the heir
    const { log: passed } = await line(saver).invoke({ v: 'heir' }, heir);
    await saver.flush(thread);
    expect((await stored(thread))[0]?.checkpoint.channel_values['log']).toEqual(passed);
  });

  it('that was not saved is lost at the release, and what was saved is gone on from', async () => {
    const thread = randomUUID();
    const config = await hold(thread);
    const graph = line(saver);
    await graph.invoke({ v: '1' }, config);
    await saver.flush(thread);
    await graph.invoke({ v: '2' }, config);
    saver.release(thread, 1);
    const { values } = await graph.getState({ configurable: { thread_id: thread } });
    expect(values).toEqual({ log: ['a(1)', 'b(1)', 'c(1)'], v: '1', big: `${BIG}1` });
    const { log: passed } = await graph.invoke({ v: '3' }, config);
    expect(passed).toEqual(['a(1)', 'b(1)', 'c(1)', 'a(3)', 'b(3)', 'c(3)']);
    expect((await line(elsewhere).getState({ configurable: { thread_id: thread } })).values.log).toEqual(passed);
  });

  it('is saved before its thread is copied, and goes with its thread', async () => {
    const [thread, copy] = [randomUUID(), randomUUID()];
    const config = await hold(thread);
    const result = await line(saver).invoke({ v: '1' }, config);
    await saver.copyThread(thread, copy);
    expect((await line(elsewhere).getState({ configurable: { thread_id: copy } })).values).toEqual(result);
    await line(saver).invoke({ v: '2' }, config);
    await saver.deleteThread(thread);
    await saver.flush(thread);
    expect(await all(saver.list({ configurable: { thread_id: thread } }))).toEqual([]);
  });

  it('with durability async is durable when a flush has ended', async () => {
    const thread = randomUUID();
    await saver.fence(thread, 1);
    const seen: unknown[] = [];
    const look = async () => {
      await saver.flush(thread);
      seen.push((await stored(thread))[0]?.checkpoint.channel_values['n']);
    };
    const config = { configurable: { thread_id: thread, [FENCING_TOKEN_KEY]: 1 }, durability: 'async' as const };
    await chain(saver, [look, look, look]).invoke({ n: 0 }, config);
    expect(seen).toEqual([0, 1, 2]);
  });
});
