import { randomUUID } from 'node:crypto';
import { Command } from '@langchain/langgraph';
import type { CheckpointTuple } from '@langchain/langgraph-checkpoint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FencedError } from '../../src/core/errors.ts';
import type { CheckpointKey } from '../../src/state/drivers/checkpoint-driver.ts';
import type { DurableSaver } from '../../src/state/durable-saver.ts';
import { fanOut, line, subgraph, twoQuestions } from './graphs.ts';
import { STORES, type TestStore } from './stores.ts';

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** All that can be read of a thread, by place, the last stored first. */
async function tuplesOf(saver: DurableSaver, thread_id: string): Promise<Map<string, CheckpointTuple>> {
  const found = new Map<string, CheckpointTuple>();
  for await (const tuple of saver.list({ configurable: { thread_id } })) found.set(placeOf(tuple), tuple);
  return found;
}

const placeOf = ({ config }: CheckpointTuple): string => {
  const { checkpoint_ns, checkpoint_id } = config.configurable as CheckpointKey;
  return `${checkpoint_ns} ${checkpoint_id}`;
};
const keyOf = ({ config }: CheckpointTuple): CheckpointKey => config.configurable as CheckpointKey;
const parentOf = ({ config, parentConfig }: CheckpointTuple): string | undefined =>
  parentConfig &&
  placeOf({ config: { configurable: { ...config.configurable, ...parentConfig.configurable } } } as never);

/** Threads of many shapes: each is played and leaves what it leaves. */
const SHAPES: Record<string, (saver: DurableSaver, thread_id: string) => Promise<unknown>> = {
  'big values, an edit and a replay': async (saver, thread_id) => {
    const graph = line(saver);
    const config = { configurable: { thread_id } };
    await graph.invoke({ v: '1' }, config);
    const [, afterB, afterA] = await all(graph.getStateHistory(config));
    await graph.invoke(null, await graph.updateState(afterA?.config ?? {}, { v: '2' }));
    await graph.invoke(null, afterB?.config);
  },
  'questions, one of which is open': async (saver, thread_id) => {
    const graph = twoQuestions(saver);
    const config = { configurable: { thread_id } };
    await graph.invoke({}, config);
    await graph.invoke(new Command({ resume: 'one' }), config);
    await graph.invoke(new Command({ resume: 'two' }), config);
    await graph.invoke({}, config);
  },
  'a subgraph that asks': async (saver, thread_id) => {
    const graph = subgraph(saver);
    const config = { configurable: { thread_id } };
    await graph.invoke({}, config);
    await graph.invoke(new Command({ resume: 'yes' }), config);
    await graph.invoke({}, config);
  },
};

/** The same choices at every run. */
function choices(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe.each(Object.entries(STORES))('%s', (_, open) => {
  let store: TestStore;
  let saver: DurableSaver;
  beforeAll(async () => {
    store = await open();
    saver = store.saver;
  });
  afterAll(() => store.close());

  describe.each(Object.entries(SHAPES))('%s', (_title, play) => {
    it.each([1, 3, 5, 7])('reads as before after checkpoints were removed (%i)', async (seed) => {
      const thread_id = randomUUID();
      await play(saver, thread_id);
      const before = await tuplesOf(saver, thread_id);
      const random = choices(seed);
      const gone = new Map([...before].filter(() => random() < seed / 8));
      await saver.remove(thread_id, [...gone.values()].map(keyOf));
      await saver.remove(thread_id, [...gone.values()].map(keyOf));
      const after = await tuplesOf(saver, thread_id);
      expect([...after.keys()]).toEqual([...before.keys()].filter((place) => !gone.has(place)));
      for (const [place, tuple] of after) {
        const { parentConfig: _newParent, ...read } = tuple;
        const { parentConfig: _parent, ...expected } = before.get(place) as CheckpointTuple;
        expect(read).toEqual(expected);
        let parent = parentOf(before.get(place) as CheckpointTuple);
        while (parent !== undefined && gone.has(parent)) parent = parentOf(gone.get(parent) as CheckpointTuple);
        expect(parentOf(tuple)).toBe(parent);
      }
      const outline = await saver.outline(thread_id);
      const used = new Set([...outline.checkpoints, ...outline.writes].flatMap(({ value_ids }) => value_ids));
      expect(new Set(outline.values.map(({ id }) => id))).toEqual(used);
      expect(outline.checkpoints).toHaveLength(after.size);
      // Nor is there anything of the others.
      const places = new Set(after.keys());
      expect(outline.writes.filter((key) => !places.has(`${key.checkpoint_ns} ${key.checkpoint_id}`))).toEqual([]);
      const copy = randomUUID();
      await saver.copyThread(thread_id, copy);
      const copied = await tuplesOf(saver, copy);
      expect([...copied.values()].map(({ checkpoint, pendingWrites }) => [checkpoint, pendingWrites])).toEqual(
        [...after.values()].map(({ checkpoint, pendingWrites }) => [checkpoint, pendingWrites]),
      );
      await saver.remove(thread_id, [...after.values()].map(keyOf));
      expect(await saver.outline(thread_id)).toEqual({ checkpoints: [], writes: [], values: [] });
    });
  });

  it('removal leaves the results of the steps that were taken from a checkpoint that stays', async () => {
    const thread_id = randomUUID();
    const graph = line(saver);
    await graph.invoke({ v: '1' }, { configurable: { thread_id } });
    const [end, afterB] = await all(graph.getStateHistory({ configurable: { thread_id } }));
    expect(afterB?.tasks).toMatchObject([{ name: 'c', result: { log: ['c(1)'] } }]);
    await saver.remove(thread_id, [end?.config.configurable as CheckpointKey]);
    expect(await graph.getState(afterB?.config ?? {})).toEqual(afterB);
    // And it can be gone on from.
    expect(await graph.invoke(null, afterB?.config)).toMatchObject({ log: ['a(1)', 'b(1)', 'c(1)'] });
  });

  it('removal by whom a newer writer has superseded is refused', async () => {
    const thread_id = randomUUID();
    await line(saver).invoke({ v: '1' }, { configurable: { thread_id } });
    const before = await saver.outline(thread_id);
    await expect(saver.remove(thread_id, before.checkpoints, 1)).rejects.toThrow(FencedError);
    await saver.fence(thread_id, 2);
    await expect(saver.remove(thread_id, before.checkpoints, 1)).rejects.toThrow(FencedError);
    expect(await saver.outline(thread_id)).toEqual(before);
    await saver.remove(thread_id, before.checkpoints, 2);
    expect((await saver.outline(thread_id)).checkpoints).toEqual([]);
  });

  it('an outline tells all that is stored, without opening it', async () => {
    const thread_id = randomUUID();
    const begun = Date.now();
    await line(saver).invoke({ v: '1' }, { configurable: { thread_id, run_id: 'run' } });
    const outline = await saver.outline(thread_id);
    const tuples = [...(await tuplesOf(saver, thread_id)).values()].toReversed();
    expect(outline.checkpoints.map(({ checkpoint_id }) => checkpoint_id)).toEqual(
      tuples.map(({ checkpoint }) => checkpoint.id),
    );
    expect(outline.checkpoints.map(({ parent_id }) => parent_id)).toEqual([
      null,
      ...tuples.slice(0, -1).map(({ checkpoint }) => checkpoint.id),
    ]);
    for (const { thread_id: thread, checkpoint_ns, run_id, deltas, stored_at, bytes } of outline.checkpoints) {
      expect({ thread, checkpoint_ns, run_id, deltas }).toEqual({
        thread: thread_id,
        checkpoint_ns: '',
        run_id: 'run',
        deltas: false,
      });
      expect(Math.abs(stored_at.getTime() - begun)).toBeLessThan(60_000);
      expect(bytes).toBeGreaterThan(100);
    }
    // `big`, which node a makes, by its own write and in all that came after.
    const { id = '' } = outline.values.toSorted((a, b) => b.bytes - a.bytes)[0] ?? {};
    const holds = ({ value_ids }: { value_ids: readonly string[] }): boolean => value_ids.includes(id);
    expect(outline.checkpoints.map(holds)).toEqual([false, false, true, true, true]);
    const wrote = new Map(outline.writes.map((row) => [row.checkpoint_id, holds(row)]));
    expect(wrote.get(tuples[1]?.checkpoint.id ?? '')).toBe(true);
    expect(outline.writes.every((writes) => writes.bytes > 0 && writes.task_id !== '')).toBe(true);
    expect(await saver.outline(randomUUID())).toEqual({ checkpoints: [], writes: [], values: [] });
  });

  it('an outline tells which checkpoints stand on their ancestors', async () => {
    const thread_id = randomUUID();
    await fanOut(saver).invoke({}, { configurable: { thread_id } });
    const { checkpoints, writes } = await saver.outline(thread_id);
    expect(checkpoints.length).toBeGreaterThan(3);
    expect(checkpoints.slice(2).every(({ deltas }) => deltas)).toBe(true);
    expect(new Set(writes.map(({ task_id }) => task_id)).size).toBeGreaterThan(6);
  });
});
