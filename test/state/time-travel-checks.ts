import { randomUUID } from 'node:crypto';
import { Command, type StateSnapshot } from '@langchain/langgraph';
import type { BaseCheckpointSaver } from '@langchain/langgraph-checkpoint';
import { expect, vi } from 'vitest';
import { BIG, dice, fanOut, flakyBranches, line, subgraph, twoAskers, twoQuestions } from './graphs.ts';

type Durability = 'sync' | 'async' | 'exit';

/** One promise of time travel, checked on any saver. */
export type Check = (saver: BaseCheckpointSaver, durability: Durability) => Promise<void>;

const thread = (more: object = {}) => ({ configurable: { thread_id: randomUUID(), ...more } });

interface Graph {
  getStateHistory(config: object): AsyncIterableIterator<StateSnapshot>;
}

/** Oldest first. */
async function historyOf(graph: Graph, config: object): Promise<StateSnapshot[]> {
  const states: StateSnapshot[] = [];
  for await (const state of graph.getStateHistory(config)) states.push(state);
  return states.toReversed();
}

/** The checkpoint of a line after which node `next` comes. */
async function before(graph: Graph, config: object, next: string): Promise<StateSnapshot> {
  const found = (await historyOf(graph, config)).filter(
    (state) => state.next[0] === next && state.metadata?.source === 'loop',
  );
  expect(found).toHaveLength(1);
  return found[0] as StateSnapshot;
}

/** What holds at any durability. */
export const CHECKS: Record<string, Check> = {
  'a run reads back as it ended': async (saver, durability) => {
    const graph = line(saver);
    const config = thread();
    const result = await graph.invoke({ v: '1' }, { ...config, durability });
    const { values, next } = await graph.getState(config);
    expect(values).toEqual(result);
    expect(values).toEqual({ log: ['a(1)', 'b(1)', 'c(1)'], v: '1', big: `${BIG}1` });
    expect(next).toEqual([]);
  },

  'the latest is what was stored last, though a clock was wrong': async (saver, durability) => {
    const graph = line(saver);
    const config = { ...thread(), durability };
    try {
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
      await graph.invoke({ v: '1' }, config);
      vi.useRealTimers();
      const { log } = await graph.invoke({ v: '2' }, config);
      expect(log).toHaveLength(6);
      expect((await graph.getState(config)).values.log).toEqual(log);
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 3_600_000 });
      await graph.updateState(config, { v: '3' });
      expect((await graph.getState(config)).values).toMatchObject({ log, v: '3' });
    } finally {
      vi.useRealTimers();
    }
    const history = await historyOf(graph, config);
    const lengths = history.map(({ values }) => (values.log ?? []).length as number);
    expect(lengths).toEqual(lengths.toSorted((a, b) => a - b));
    const [first, ...later] = history.toReversed() as [StateSnapshot, ...StateSnapshot[]];
    const older: StateSnapshot[] = [];
    for await (const state of graph.getStateHistory(config, { before: first.config })) older.push(state);
    expect(older.map(({ config }) => config)).toEqual(later.map(({ config }) => config));
  },

  'two questions in one node, each answered once': async (saver, durability) => {
    const graph = twoQuestions(saver);
    const config = { ...thread(), durability };
    await graph.invoke({}, config);
    await graph.invoke(new Command({ resume: 'one' }), config);
    expect((await graph.getState(config)).tasks[0]?.interrupts[0]?.value).toBe('second?');
    expect((await graph.invoke(new Command({ resume: 'two' }), config)).answers).toEqual(['one', 'two']);
  },

  'a DeltaChannel reads back in the order in which it was built, after a fan-out': async (saver, durability) => {
    const graph = fanOut(saver, 3);
    const config = { ...thread(), durability, recursionLimit: 50 };
    // Three times five writers, whose ids are random: they are hardly ever in order by chance.
    const { items } = await graph.invoke({}, config);
    expect(items).toHaveLength(15);
    expect((await graph.getState(config)).values.items).toEqual(items);
  },
};

/** What needs a checkpoint wherever a run rested, and of a DeltaChannel all of them. */
export const REST_CHECKS: Record<string, Check> = {
  'a new input from an older checkpoint reads back as it ran': async (saver, durability) => {
    const graph = line(saver);
    const config = thread();
    await graph.invoke({ v: 'ONE' }, { ...config, durability });
    const first = (await historyOf(graph, config)).at(-1) as StateSnapshot;
    await graph.invoke({ v: 'TWO' }, { ...config, durability });
    const result = await graph.invoke({ v: 'THREE' }, { ...first.config, durability });
    expect(result.log).toEqual(['a(ONE)', 'b(ONE)', 'c(ONE)', 'a(THREE)', 'b(THREE)', 'c(THREE)']);
    expect((await graph.getState(config)).values).toEqual(result);
    expect(result.big).toBe(`${BIG}THREE`);
  },

  'an answer is not given to the second question when the run is retried': async (saver, durability) => {
    const graph = twoQuestions(saver);
    const config = { ...thread(), durability };
    await graph.invoke({}, config);
    await graph.invoke(new Command({ resume: 'one' }), config);
    await graph.invoke(null, config); // the retry of a run whose process died after it had asked
    expect((await graph.getState(config)).tasks[0]?.interrupts[0]?.value).toBe('second?');
    expect((await graph.invoke(new Command({ resume: 'two' }), config)).answers).toEqual(['one', 'two']);
  },

  'an answer that was used before a failure is not used again after it': async (saver, durability) => {
    const graph = twoQuestions(saver, new Set(['between']));
    const config = { ...thread(), durability };
    await graph.invoke({}, config);
    await expect(graph.invoke(new Command({ resume: 'one' }), config)).rejects.toThrow('between the questions');
    await graph.invoke(null, config);
    expect((await graph.getState(config)).tasks[0]?.interrupts[0]?.value).toBe('second?');
    // The same words again are another answer.
    expect((await graph.invoke(new Command({ resume: 'one' }), config)).answers).toEqual(['one', 'one']);
  },

  'an answer that one of two nodes has used still reaches the other': async (saver, durability) => {
    const graph = twoAskers(saver, new Set(['slow']));
    const config = { ...thread(), durability };
    await graph.invoke({}, config);
    await expect(graph.invoke(new Command({ resume: 'yes' }), config)).rejects.toThrow('slow failed');
    const { answers } = await graph.invoke(null, config);
    expect(answers.toSorted()).toEqual(['quick:yes', 'slow:yes']);
  },

  'a question, then a fork before it': async (saver, durability) => {
    const graph = twoQuestions(saver);
    const config = { ...thread(), durability };
    await graph.invoke({}, config);
    const asked = await graph.getState(config);
    await graph.invoke(new Command({ resume: 'one' }), config);
    const done = await graph.invoke(new Command({ resume: 'two' }), config);
    const fork = await graph.invoke(null, { ...asked.config, durability });
    expect(fork).toMatchObject({ __interrupt__: [{ value: 'first?' }] });
    await graph.invoke(new Command({ resume: 'eins' }), config);
    expect((await graph.invoke(new Command({ resume: 'zwei' }), config)).answers).toEqual(['eins', 'zwei']);
    expect(done.answers).toEqual(['one', 'two']);
  },

  "a subgraph's state is read, edited and resumed": async (saver, durability) => {
    const graph = subgraph(saver);
    const config = { ...thread(), durability };
    await graph.invoke({}, config);
    const state = await graph.getState(config, { subgraphs: true });
    const inner = state.tasks[0]?.state as StateSnapshot;
    expect(inner.values.log).toEqual(['before']);
    expect(inner.tasks[0]?.interrupts[0]?.value).toBe('go on?');
    expect((await graph.invoke(new Command({ resume: 'yes' }), config)).log).toContain('answer yes');
    const again = await graph.invoke(null, { ...state.config, durability });
    expect(again).toMatchObject({ __interrupt__: [{ value: 'go on?' }] });
    const { log } = await graph.invoke(new Command({ resume: 'no' }), config);
    expect(log).toContain('answer no');
    expect(log).not.toContain('answer yes');
  },

  'a DeltaChannel is right at every checkpoint and in a fork': async (saver, durability) => {
    const graph = fanOut(saver, 2);
    const config = { ...thread(), durability, recursionLimit: 50 };
    const { items } = await graph.invoke({}, config);
    const steps = await historyOf(graph, config);
    for (const { values } of steps) expect(items.slice(0, values.items?.length ?? 0)).toEqual(values.items ?? []);
    const half = steps.find((state) => state.values.items?.length === 5) as StateSnapshot;
    const fork = await graph.updateState(half.config, { items: ['edited'] }, 'work');
    expect((await graph.invoke(null, { ...fork, durability, recursionLimit: 50 })).items).toEqual([
      ...items.slice(0, 5),
      'edited',
      ...items.slice(5),
    ]);
  },

  'a retried run neither applies its input again nor repeats a finished branch': async (saver, durability) => {
    const trace: string[] = [];
    const graph = flakyBranches(saver, trace, { left: 1 });
    const config = { ...thread({ run_id: randomUUID() }), durability };
    await expect(graph.invoke({ log: ['IN'] }, config)).rejects.toThrow('crash');
    const { log } = await graph.invoke({ log: ['IN'] }, config);
    expect(log.toSorted()).toEqual(['IN', 'flaky', 'sure']);
    expect(trace.toSorted()).toEqual(['flaky', 'flaky', 'sure']);
    // Another run applies its input.
    const other = { ...config, configurable: { ...config.configurable, run_id: randomUUID() } };
    expect((await graph.invoke({ log: ['IN2'] }, other)).log).toHaveLength(6);
  },
};

/** What needs a checkpoint after every step. */
export const STEP_CHECKS: Record<string, Check> = {
  'replay from every checkpoint runs what came after it, and the original stays': async (saver, durability) => {
    const trace: string[] = [];
    const graph = line(saver, trace);
    const config = thread();
    const original = await graph.invoke({ v: '1' }, { ...config, durability });
    const steps = await historyOf(graph, config);
    const expected = [['a', 'b', 'c'], ['a', 'b', 'c'], ['b', 'c'], ['c'], []];
    for (const [index, step] of steps.entries()) {
      trace.length = 0;
      const replayed = await graph.invoke(null, { ...step.config, durability });
      expect(trace).toEqual(expected[index]);
      expect(replayed).toEqual(original);
      expect((await graph.getState(config)).values).toEqual(original);
      expect((await graph.getState(step.config)).values).toEqual(step.values);
    }
  },

  'an edit at every checkpoint is what the run goes on from': async (saver, durability) => {
    const graph = line(saver);
    const config = thread();
    await graph.invoke({ v: '1' }, { ...config, durability });
    const steps = (await historyOf(graph, config)).filter((state) => ['b', 'c'].includes(state.next[0] ?? ''));
    expect(steps).toHaveLength(2);
    for (const step of steps) {
      const fork = await graph.updateState(step.config, { v: 'EDITED' });
      expect((await graph.getState(fork)).values).toEqual({ ...step.values, v: 'EDITED' });
      const result = await graph.invoke(null, { ...fork, durability });
      const rest = step.next[0] === 'b' ? ['b(EDITED)', 'c(EDITED)'] : ['c(EDITED)'];
      expect(result.log).toEqual([...step.values.log, ...rest]);
      expect((await graph.getState(config)).values).toEqual(result);
      expect((await graph.getState(step.config)).values).toEqual(step.values);
    }
  },

  'a fork of a fork': async (saver, durability) => {
    const graph = line(saver);
    const config = thread();
    const first = await graph.invoke({ v: '1' }, { ...config, durability });
    const last = (await historyOf(graph, config)).at(-1) as StateSnapshot;
    const fork = await graph.updateState((await before(graph, config, 'b')).config, { v: '2', big: `${BIG}2` });
    const second = await graph.invoke(null, { ...fork, durability });
    expect(second).toEqual({ log: ['a(1)', 'b(2)', 'c(2)'], v: '2', big: `${BIG}2` });
    const states = await historyOf(graph, config);
    const inFork = states.findLast((state) => state.next[0] === 'c' && state.values.v === '2') as StateSnapshot;
    const forkOfFork = await graph.updateState(inFork.config, { v: '3' });
    expect(await graph.invoke(null, { ...forkOfFork, durability })).toEqual({
      log: ['a(1)', 'b(2)', 'c(3)'],
      v: '3',
      big: `${BIG}2`,
    });
    expect((await graph.getState(last.config)).values).toEqual(first);
  },

  'a copied checkpoint is its original': async (saver, durability) => {
    const graph = line(saver);
    const config = thread();
    await graph.invoke({ v: '1' }, { ...config, durability });
    const origin = await before(graph, config, 'c');
    const copy = await graph.updateState(origin.config, null, '__copy__');
    const { values, next } = await graph.getState(copy);
    expect({ values, next }).toEqual({ values: origin.values, next: ['c'] });
    expect((await graph.invoke(null, copy)).log).toEqual(['a(1)', 'b(1)', 'c(1)']);
  },

  'a replayed node that answers otherwise is read back with the new answer': async (saver, durability) => {
    const graph = dice(saver);
    const config = thread();
    const first = await graph.invoke({}, { ...config, durability });
    const step = (await historyOf(graph, config)).find((state) => state.next[0] === 'throw') as StateSnapshot;
    const last = (await historyOf(graph, config)).at(-1) as StateSnapshot;
    const second = await graph.invoke(null, { ...step.config, durability });
    expect(second.answer).not.toBe(first.answer);
    expect((await graph.getState(config)).values).toEqual(second);
    expect((await graph.getState(last.config)).values).toEqual(first);
  },
};
