import { randomUUID } from 'node:crypto';
import {
  Command,
  DeltaValue,
  END,
  interrupt,
  Send,
  START,
  StateGraph,
  StateSchema,
  type StateSnapshot,
} from '@langchain/langgraph';
import type { RunnableConfig } from '@langchain/core/runnables';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { RetentionRule } from '../../src/core/retention.ts';
import type { CheckpointKey } from '../../src/state/drivers/checkpoint-driver.ts';
import type { DurableSaver } from '../../src/state/durable-saver.ts';
import { BIG, line, subgraph, twoQuestions } from './graphs.ts';
import { STORES, type TestStore } from './stores.ts';

const delta = (snapshotFrequency: number) =>
  new DeltaValue(z.array(z.string()).default([]), {
    reducer: (state, writes) => state.concat(...writes),
    snapshotFrequency,
  });

/** A bit of everything: two DeltaChannels, a fan-out, a subgraph with a DeltaChannel of its own that may ask, big values. */
function everything(saver: DurableSaver) {
  const State = new StateSchema({
    items: delta(3),
    others: delta(4),
    big: z.string().default(''),
    n: z.number().default(0),
  });
  const Sub = new StateSchema({ notes: delta(2), n: z.number().default(0), items: delta(3) });
  const sub = new StateGraph(Sub)
    .addNode('note', ({ n }) => ({ notes: [`note ${n}`] }))
    .addNode('ask', ({ n, notes }) => ({
      items: [n % 3 === 1 ? `answer ${interrupt<string, string>(`n is ${n}?`)}` : `notes ${notes.length}`],
    }))
    .addEdge(START, 'note')
    .addEdge('note', 'ask')
    .addEdge('ask', END)
    .compile();
  return new StateGraph(State)
    .addNode('begin', ({ n }) => ({ n: n + 1, big: `${BIG}${n % 2}` }))
    .addNode('work', ({ items }: { items: string[] }) => ({ items, others: items.slice(0, 1) }))
    .addNode('sub', sub)
    .addNode('end', ({ items, n }) => ({ others: [`end ${n} of ${items.length}`] }))
    .addEdge(START, 'begin')
    .addConditionalEdges('begin', ({ n }) => [0, 1].map((at) => new Send('work', { items: [`${n}.${at}`] })), ['work'])
    .addEdge('work', 'sub')
    .addEdge('sub', 'end')
    .addEdge('end', END)
    .compile({ checkpointer: saver });
}
type Everything = ReturnType<typeof everything>;

/** The same choices at every run. */
function choices(seed: number): (below: number) => number {
  let state = seed * 2654435761;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

async function historyOf(graph: Pick<Everything, 'getStateHistory'>, config: RunnableConfig): Promise<StateSnapshot[]> {
  const found: StateSnapshot[] = [];
  for await (const state of graph.getStateHistory(config)) found.push(state);
  return found;
}

/** A history with forks, edits, replays, questions and answers. */
async function live(saver: DurableSaver, thread_id: string, random: (below: number) => number): Promise<void> {
  const graph = everything(saver);
  const config = { configurable: { thread_id } };
  await graph.invoke({ n: random(3) }, config);
  for (let turn = 0; turn < 5; turn += 1) {
    const { checkpoints } = await saver.outline(thread_id);
    const own = checkpoints.filter(({ checkpoint_ns }) => checkpoint_ns === '').toReversed();
    const some = { configurable: own[random(own.length)] };
    switch (random(5)) {
      case 0:
        await graph.updateState(some, { items: [`edit ${turn}`], n: turn }, 'end');
        break;
      case 1:
        await graph.invoke(null, some);
        break;
      case 2:
        await graph.invoke(new Command({ resume: `yes ${turn}` }), config);
        break;
      case 3:
        await graph.invoke({ n: turn }, some);
        break;
      default:
        await graph.invoke({ n: turn }, config);
    }
  }
}

const placeOf = ({ checkpoint_ns, checkpoint_id }: CheckpointKey): string => `${checkpoint_ns} ${checkpoint_id}`;

async function prune(saver: DurableSaver, threadId: string, rule: RetentionRule): Promise<CheckpointKey[]> {
  const { checkpoints } = await saver.prunePlan(threadId, rule);
  await saver.remove(threadId, checkpoints);
  return checkpoints;
}

/** Its state in full, but for what the neighbours are called. */
async function read(graph: Pick<Everything, 'getState'>, thread_id: string, key: CheckpointKey): Promise<unknown> {
  const configurable = { thread_id, checkpoint_ns: '', checkpoint_id: key.checkpoint_id };
  const state = await graph.getState({ configurable }, { subgraphs: true });
  const bare = ({ config: _config, parentConfig: _parent, ...rest }: StateSnapshot): unknown => ({
    ...rest,
    tasks: rest.tasks.map((task) => ({
      ...task,
      state: task.state && 'values' in task.state ? bare(task.state) : null,
    })),
  });
  return JSON.parse(JSON.stringify(bare(state)).replaceAll(thread_id, 'the thread'));
}

/** What comes of going on from a checkpoint, as it is and changed. */
async function goOn(saver: DurableSaver, thread_id: string, { checkpoint_id }: CheckpointKey): Promise<unknown> {
  const copy = randomUUID();
  await saver.copyThread(thread_id, copy);
  const graph = everything(saver);
  const config = { configurable: { thread_id: copy, checkpoint_ns: '', checkpoint_id } };
  const replayed = await graph.invoke(null, config);
  const answered = await graph.invoke(new Command({ resume: 'ok' }), { configurable: { thread_id: copy } });
  const forked = await graph.invoke(null, await graph.updateState(config, { items: ['fork'] }, 'begin'));
  await saver.deleteThread(copy);
  // Ids of interrupts are made of those of the new checkpoints.
  return JSON.parse(JSON.stringify({ replayed, answered, forked }), (key, value: unknown) =>
    key === 'id' ? 0 : value,
  );
}

describe.each(Object.entries(STORES))('%s', (name, open) => {
  let store: TestStore;
  let saver: DurableSaver;
  beforeAll(async () => {
    store = await open();
    saver = store.saver;
  });
  afterAll(() => store.close());

  const rules: RetentionRule[] = [{ keep_last: 1 }, { keep_last: 3 }, { older_than_ms: 0 }, { keep_last: 6 }];
  const seeds = Array.from({ length: name === 'memory' ? 16 : 4 }, (_, index) => index + 1);
  it.each(seeds)('what stays of a random history reads as before, and goes on as before (%i)', async (seed) => {
    const random = choices(seed);
    const [thread_id, whole] = [randomUUID(), randomUUID()];
    const graph = everything(saver);
    await live(saver, thread_id, random);
    await saver.copyThread(thread_id, whole);
    const before = await saver.outline(thread_id);
    const rule = rules[seed % rules.length] as RetentionRule;
    const bookmark = before.checkpoints[random(before.checkpoints.length)] as CheckpointKey;
    const bookmarks = seed % 2 === 0 ? [bookmark] : [];
    const plan = await saver.prunePlan(thread_id, rule, bookmarks);
    expect(await saver.outline(thread_id)).toEqual(before);
    await saver.remove(thread_id, plan.checkpoints);
    const after = await saver.outline(thread_id);
    const gone = new Set(plan.checkpoints.map(placeOf));
    expect(after.checkpoints.map(placeOf)).toEqual(before.checkpoints.map(placeOf).filter((place) => !gone.has(place)));
    const bytes = (outline: typeof before): number =>
      [...outline.checkpoints, ...outline.writes, ...outline.values].reduce((sum, row) => sum + row.bytes, 0);
    expect(bytes(before) - bytes(after)).toBe(plan.bytes);
    expect(after.checkpoints.map(placeOf)).toEqual(expect.arrayContaining(bookmarks.map(placeOf)));
    for (const key of after.checkpoints) {
      const at = (thread: string) => ({ configurable: { ...key, thread_id: thread } });
      const [tuple, expected] = [await saver.getTuple(at(thread_id)), await saver.getTuple(at(whole))];
      expect(tuple?.checkpoint).toEqual(expected?.checkpoint);
      expect(tuple?.metadata).toEqual(expected?.metadata);
      expect(tuple?.pendingWrites).toEqual(expected?.pendingWrites);
      // The line above it ends where nothing is left, and nowhere else.
      expect(tuple?.parentConfig && (await saver.getTuple(tuple.parentConfig))?.config).toEqual(tuple?.parentConfig);
    }
    const own = after.checkpoints.filter(({ checkpoint_ns }) => checkpoint_ns === '');
    for (const key of own) expect(await read(graph, thread_id, key)).toEqual(await read(graph, whole, key));
    // How a run goes on is the same in every store that reads back the same.
    for (const key of own.slice(name === 'memory' ? -4 : -2))
      expect(await goOn(saver, thread_id, key)).toEqual(await goOn(saver, whole, key));
  });

  it('a DeltaChannel of 11 items has 11 when all but the latest checkpoint may go', async () => {
    const State = new StateSchema({ items: delta(1000), n: z.number().default(0) });
    const graph = new StateGraph(State)
      .addNode('add', ({ n }) => ({ items: [`item ${n}`], n: n + 1 }))
      .addEdge(START, 'add')
      .addConditionalEdges('add', ({ n }) => (n < 11 ? 'add' : END), ['add', END])
      .compile({ checkpointer: saver });
    const [kept, naive] = [randomUUID(), randomUUID()].map((thread_id) => ({ configurable: { thread_id } }));
    for (const config of [kept, naive]) await graph.invoke({}, config ?? {});
    const { checkpoints } = await saver.outline(naive?.configurable.thread_id ?? '');
    await saver.remove(naive?.configurable.thread_id ?? '', checkpoints.slice(0, -1));
    expect((await graph.getState(naive ?? {})).values.items).toEqual([]);
    expect(await prune(saver, kept?.configurable.thread_id ?? '', { keep_last: 1 })).toEqual([]);
    expect((await graph.getState(kept ?? {})).values.items).toHaveLength(11);
  });

  it('a DeltaChannel needs no more than its latest snapshot', async () => {
    const State = new StateSchema({ items: delta(10), n: z.number().default(0) });
    const graph = new StateGraph(State)
      .addNode('add', ({ n }) => ({ items: [`item ${n}`], n: n + 1 }))
      .addEdge(START, 'add')
      .addConditionalEdges('add', ({ n }) => (n % 38 !== 0 ? 'add' : END), ['add', END])
      .compile({ checkpointer: saver });
    const config = { configurable: { thread_id: randomUUID() }, recursionLimit: 50 };
    await graph.invoke({ n: 1 }, config);
    const checkpoints = await prune(saver, config.configurable.thread_id, { keep_last: 1 });
    expect(checkpoints.length).toBeGreaterThan(25);
    expect((await graph.getState(config)).values.items).toHaveLength(37);
    expect((await graph.invoke({ n: 37 }, config)).items).toHaveLength(38);
  });

  it('of a plain thread one checkpoint is left, and all its values', async () => {
    const thread_id = randomUUID();
    const graph = line(saver);
    for (const v of ['1', '2', '3']) await graph.invoke({ v }, { configurable: { thread_id } });
    const state = await graph.getState({ configurable: { thread_id } });
    await prune(saver, thread_id, { keep_last: 1 });
    const { checkpoints, writes, values } = await saver.outline(thread_id);
    expect([checkpoints.length, writes.length]).toEqual([1, 0]);
    expect(values.map(({ id }) => id).toSorted()).toEqual([...new Set(checkpoints[0]?.value_ids)].toSorted());
    expect(await graph.getState({ configurable: { thread_id } })).toEqual({ ...state, parentConfig: undefined });
    expect(await historyOf(graph, { configurable: { thread_id } })).toHaveLength(1);
    expect((await graph.invoke({ v: '4' }, { configurable: { thread_id } })).log).toHaveLength(12);
  });

  it('both conditions must hold for a checkpoint to go', async () => {
    const thread_id = randomUUID();
    await line(saver).invoke({ v: '1' }, { configurable: { thread_id } });
    const planned = async (rule: RetentionRule) => (await saver.prunePlan(thread_id, rule)).checkpoints.length;
    expect(await planned({ keep_last: 2 })).toBe(3);
    expect(await planned({ older_than_ms: 3_600_000 })).toBe(0);
    expect(await planned({ keep_last: 2, older_than_ms: 3_600_000 })).toBe(0);
    expect(await planned({ keep_last: 2, older_than_ms: -1000 })).toBe(3);
    expect(await planned({ older_than_ms: -1000 })).toBe(4);
  });

  it('a question that waits in another branch stays, and can be answered', async () => {
    const thread_id = randomUUID();
    const config = { configurable: { thread_id } };
    const graph = twoQuestions(saver);
    await graph.invoke({}, config);
    const asking = await graph.getState(config);
    const [, first] = await historyOf(graph, config);
    await graph.updateState(first?.config ?? {}, { answers: ['by hand'] }, 'ask');
    await prune(saver, thread_id, { keep_last: 1 });
    expect((await graph.getState(asking.config)).tasks[0]?.interrupts[0]?.value).toBe('first?');
    const { checkpoint_id } = asking.config.configurable as CheckpointKey;
    expect((await saver.outline(thread_id)).checkpoints.map((row) => row.checkpoint_id)).toContain(checkpoint_id);
  });

  it('the point at which the branch that stays was left is kept', async () => {
    const thread_id = randomUUID();
    const config = { configurable: { thread_id } };
    const graph = line(saver);
    await graph.invoke({ v: '1' }, config);
    const [, , afterA] = await historyOf(graph, config);
    await graph.invoke(null, await graph.updateState(afterA?.config ?? {}, { v: '2' }));
    await prune(saver, thread_id, { keep_last: 1 });
    const left = await historyOf(graph, config);
    expect(left.map(({ values }) => values.log)).toEqual([['a(1)', 'b(2)', 'c(2)'], ['a(1)']]);
    expect(left[1]?.config).toEqual(afterA?.config);
    expect(left[0]?.parentConfig).toEqual(afterA?.config);
  });

  it('a subgraph’s history goes with the checkpoint that it belongs to', async () => {
    const thread_id = randomUUID();
    const config = { configurable: { thread_id } };
    const graph = subgraph(saver);
    const namespaces = async () =>
      new Set((await saver.outline(thread_id)).checkpoints.map(({ checkpoint_ns }) => checkpoint_ns)).size;
    await graph.invoke({}, config);
    await graph.invoke(new Command({ resume: 'yes' }), config);
    await graph.invoke({}, config);
    expect(await namespaces()).toBe(3);
    await prune(saver, thread_id, { keep_last: 1 });
    expect(await namespaces()).toBe(2);
    const { log } = await graph.invoke(new Command({ resume: 'again' }), config);
    expect(log).toContain('answer again');
    await prune(saver, thread_id, { keep_last: 1 });
    expect(await namespaces()).toBe(1);
  });
});
