import { createHmac, randomUUID } from 'node:crypto';
import { Command } from '@langchain/langgraph';
import { type CheckpointTuple, MemorySaver } from '@langchain/langgraph-checkpoint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Codec } from '../../src/core/codec.ts';
import type { LoadedCheckpoint, PutCheckpoint } from '../../src/state/drivers/checkpoint-driver.ts';
import { SealingCodec } from '../../src/state/codec/sealing-codec.ts';
import { copyHistory } from '../../src/state/copy/copy-history.ts';
import { MemoryDriver } from '../../src/state/drivers/memory/memory-driver.ts';
import { DurableSaver } from '../../src/state/durable-saver.ts';
import { ForeignSaver } from '../../src/state/foreign-saver.ts';
import type { StateSaver } from '../../src/state/state-saver.ts';
import { MemoryKeys } from '../memory-keys.ts';
import { fanOut, flakyBranches, line, subgraph, twoQuestions } from './graphs.ts';
import { STORES, type TestStore } from './stores.ts';

const shown = (bytes: Uint8Array): string => Buffer.from(bytes.map((byte) => byte ^ 0xa5)).toString('utf8');

/** Hides what it stores, and names contents in its own way. */
const hiding: Codec = {
  encode: (text) => Buffer.from(text, 'utf8').map((byte) => byte ^ 0xa5),
  decode: (bytes) => shown(bytes),
  opener: () => shown,
  idOf: (text, threadId) => createHmac('sha256', threadId).update(text).digest('base64url'),
};

const OPEN: Record<string, () => Promise<Pick<TestStore, 'close'> & { saver: StateSaver }>> = {
  ...STORES,
  sealed: async () => {
    const saver = new DurableSaver({ driver: new MemoryDriver(), codec: hiding });
    return { saver, close: () => saver.close() };
  },
};

const at = (thread_id: string) => ({ configurable: { thread_id } });

/** Threads of all kinds, as runs leave them. */
async function fill(saver: StateSaver): Promise<Record<string, string>> {
  const ids = {
    edited: randomUUID(),
    asking: randomUUID(),
    nested: randomUUID(),
    deltas: randomUUID(),
    half: randomUUID(),
  };
  const edited = line(saver);
  await edited.invoke({ v: '1' }, { ...at(ids.edited), durability: 'sync' });
  for await (const { next, config } of edited.getStateHistory(at(ids.edited))) {
    if (next[0] === 'b') await edited.invoke(null, await edited.updateState(config, { v: '2' }));
  }
  const asking = twoQuestions(saver);
  await asking.invoke({}, at(ids.asking));
  await asking.invoke(new Command({ resume: 'one' }), {
    configurable: { ...at(ids.asking).configurable, run_id: randomUUID() },
  });
  await subgraph(saver).invoke({}, at(ids.nested));
  await fanOut(saver, 3).invoke({}, at(ids.deltas));
  await flakyBranches(saver, [], { left: 1 })
    .invoke({}, at(ids.half))
    .catch(() => undefined);
  return ids;
}

async function tuplesOf(saver: StateSaver, thread_id: string): Promise<CheckpointTuple[]> {
  const tuples: CheckpointTuple[] = [];
  for await (const tuple of saver.list({ configurable: { thread_id } })) tuples.push(tuple);
  return tuples;
}

describe.each(Object.keys(OPEN))('from memory to %s and back', (name) => {
  let source: DurableSaver;
  let there: Awaited<ReturnType<(typeof OPEN)[string]>>;
  let ids: Record<string, string>;
  beforeAll(async () => {
    source = new DurableSaver({ driver: new MemoryDriver() });
    there = await OPEN[name]!();
    ids = await fill(source);
  });
  afterAll(() => there.close());

  it('a thread is the same to whoever reads it, with its order, its runs and its half-done steps', async () => {
    const back = new DurableSaver({ driver: new MemoryDriver() });
    for (const threadId of Object.values(ids)) {
      const copied = await copyHistory({ from: source, to: there.saver, threadId });
      expect(copied.added).toBe(copied.checkpoints);
      await copyHistory({ from: there.saver, to: back, threadId });
      const expected = await tuplesOf(source, threadId);
      expect(copied.checkpoints).toBe(expected.length);
      for (const saver of [there.saver, back]) {
        expect(await tuplesOf(saver, threadId)).toEqual(expected);
        expect(await saver.latest(threadId)).toEqual(await source.latest(threadId));
      }
      const outline = async (saver: DurableSaver) =>
        (await saver.outline(threadId)).checkpoints.map((row) => Object.assign(row, { stored_at: null }));
      expect(await outline(back)).toEqual(await outline(source));
    }
  });

  it('goes on there', async () => {
    const { saver } = there;
    expect((await line(saver).getState(at(ids['edited']!))).values).toMatchObject({ v: '2' });
    expect(await twoQuestions(saver).invoke(new Command({ resume: 'two' }), at(ids['asking']!))).toEqual({
      answers: ['one', 'two'],
    });
    expect(await subgraph(saver).invoke(new Command({ resume: 'yes' }), at(ids['nested']!))).toEqual({
      log: ['before', 'before', 'answer yes', 'after 3'],
    });
    expect((await fanOut(saver).getState(at(ids['deltas']!))).values).toEqual(
      (await fanOut(source).getState(at(ids['deltas']!))).values,
    );
    const trace: string[] = [];
    const half = flakyBranches(saver, trace, { left: 0 });
    expect(await half.invoke(null, at(ids['half']!))).toEqual({ log: ['flaky', 'sure'] });
    expect(trace).toEqual(['flaky']);
  });
});

describe('a copy', () => {
  it('that was stopped is completed, and one that is complete is left alone', async () => {
    const [from, to] = [
      new DurableSaver({ driver: new MemoryDriver() }),
      new DurableSaver({ driver: new MemoryDriver() }),
    ];
    const ids = await fill(from);
    const threadId = ids['asking']!;
    let left = 2;
    const failing = new Proxy(to, {
      get(target, key) {
        const member: unknown = Reflect.get(target, key, target);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]) => {
          if (key.toString().startsWith('put') && left-- === 0) throw new Error('stopped');
          return Reflect.apply(member, target, args) as unknown;
        };
      },
    });
    await expect(copyHistory({ from, to: failing, threadId })).rejects.toThrow('stopped');
    const tuples = await tuplesOf(from, threadId);
    expect((await tuplesOf(to, threadId)).length).toBeLessThanOrEqual(tuples.length);
    expect(await copyHistory({ from, to, threadId })).toMatchObject({ checkpoints: tuples.length });
    expect(await copyHistory({ from, to, threadId })).toMatchObject({ checkpoints: tuples.length, added: 0 });
    expect(await tuplesOf(to, threadId)).toEqual(tuples);
    // What came in the meantime comes along.
    await twoQuestions(from).invoke(new Command({ resume: 'two' }), at(threadId));
    expect((await copyHistory({ from, to, threadId })).added).toBe(1);
    expect(await tuplesOf(to, threadId)).toEqual(await tuplesOf(from, threadId));
  });

  it('leaves a thread that went on in the target', async () => {
    const [from, to] = [
      new DurableSaver({ driver: new MemoryDriver() }),
      new DurableSaver({ driver: new MemoryDriver() }),
    ];
    const threadId = (await fill(from))['asking']!;
    await copyHistory({ from, to, threadId });
    await twoQuestions(to).invoke(new Command({ resume: 'there' }), at(threadId));
    const before = await tuplesOf(to, threadId);
    await expect(copyHistory({ from, to, threadId })).rejects.toMatchObject({ code: 'conflict' });
    await twoQuestions(from).invoke(new Command({ resume: 'here' }), at(threadId));
    await expect(copyHistory({ from, to, threadId })).rejects.toMatchObject({ code: 'conflict' });
    expect(await tuplesOf(to, threadId)).toEqual(before);
  });

  it('that does not read back as it was is not called one', async () => {
    const [from, to] = [
      new DurableSaver({ driver: new MemoryDriver() }),
      new DurableSaver({ driver: new MemoryDriver() }),
    ];
    const threadId = (await fill(from))['edited']!;
    const put = to.put.bind(to);
    to.put = (config, checkpoint, metadata, versions) =>
      put(config, { ...checkpoint, channel_values: { ...checkpoint.channel_values, v: 'other' } }, metadata, versions);
    await expect(copyHistory({ from, to, threadId })).rejects.toThrow(/does not read back as it was/);
  });

  it('under a key of its own holds one step of a thread at a time', async () => {
    let [held, most, steps] = [0, 0, 0];
    class CountingDriver extends MemoryDriver {
      override async get(...place: Parameters<MemoryDriver['get']>) {
        return this.#read([await super.get(...place)])[0];
      }
      override async list(...query: Parameters<MemoryDriver['list']>) {
        return this.#read(await super.list(...query)) as LoadedCheckpoint[];
      }
      override async put(change: PutCheckpoint): Promise<void> {
        [held, steps] = [held - 1, steps + 1];
        return super.put(change);
      }
      #read(found: (LoadedCheckpoint | undefined)[]) {
        most = Math.max(most, (held += found.length));
        return found;
      }
    }
    const codec = new SealingCodec({ keys: new MemoryKeys(), readsPlain: false, clearMetadata: new Set() });
    const saver = new DurableSaver({ driver: new CountingDriver(), codec });
    await fanOut(saver, 3).invoke({}, at('one'));
    [held, most, steps] = [0, 0, 0];
    await saver.copyThread('one', 'other');
    expect(steps).toBeGreaterThan(2);
    expect(most).toBe(1);
    expect((await fanOut(saver).getState(at('other'))).values).toEqual(
      (await fanOut(saver).getState(at('one'))).values,
    );
  });

  it('from a saver of other make brings all that this one tells', async () => {
    const inner = new MemorySaver();
    const from = new ForeignSaver({ saver: inner, name: 'it', mayWrite: async () => true, closes: false });
    const to = new DurableSaver({ driver: new MemoryDriver() });
    const { half, nested, deltas } = (await fill(from)) as Record<'half' | 'nested' | 'deltas', string>;
    for (const threadId of await from.threads(10)) await copyHistory({ from, to, threadId });
    const trace: string[] = [];
    expect(await flakyBranches(to, trace, { left: 0 }).invoke(null, at(half))).toEqual({ log: ['flaky', 'sure'] });
    expect(trace).toEqual(['flaky']);
    expect((await subgraph(to).getState(at(nested), { subgraphs: true })).tasks[0]?.interrupts).toHaveLength(1);
    expect((await fanOut(to).getState(at(deltas))).values).toEqual((await fanOut(inner).getState(at(deltas))).values);
  });
});
