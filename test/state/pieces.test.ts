import { randomUUID } from 'node:crypto';
import { AIMessage, HumanMessage } from '@langchain/core/messages';
import { END, MessagesAnnotation, START, StateGraph } from '@langchain/langgraph';
import { emptyCheckpoint, uuid6 } from '@langchain/langgraph-checkpoint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { plainCodec } from '../../src/core/codec.ts';
import type { PutCheckpoint, PutWrites } from '../../src/state/drivers/checkpoint-driver.ts';
import { INLINE_CHARS, keptPieces, MAX_PIECES } from '../../src/state/values/cut-values.ts';
import { MemoryDriver } from '../../src/state/drivers/memory/memory-driver.ts';
import { DurableSaver } from '../../src/state/durable-saver.ts';
import { contentIdsOf, withContentIds } from '../../src/state/values/packed-values.ts';
import { Random } from '../random.ts';
import { STORES, type TestStore } from './stores.ts';

/** A driver that notes what it is asked to store. */
class NotingDriver extends MemoryDriver {
  readonly puts: PutCheckpoint[] = [];
  readonly writes: PutWrites[] = [];
  readonly contents = new Map<string, string>();
  bytes = 0;

  override async put(change: PutCheckpoint): Promise<void> {
    this.puts.push(change);
    this.#note(change);
    await super.put(change);
  }

  override async putWrites(change: PutWrites): Promise<void> {
    this.writes.push(change);
    this.#note(change);
    await super.putWrites(change);
  }

  #note({ values }: PutCheckpoint | PutWrites): void {
    for (const [id, bytes] of values) {
      this.contents.set(id, Buffer.from(bytes).toString());
      this.bytes += bytes.length;
    }
  }
}

/** Puts a checkpoint with these values under a parent. */
async function put(saver: DurableSaver, config: object, values: Record<string, unknown>) {
  const versions = Object.fromEntries(Object.keys(values).map((channel) => [channel, saver.getNextVersion(undefined)]));
  const checkpoint = { ...emptyCheckpoint(), id: uuid6(0), channel_values: values, channel_versions: versions };
  return saver.put(config, checkpoint, { source: 'loop', step: 0, parents: {} }, versions);
}

const valuesAt = async (saver: DurableSaver, config: object) => (await saver.get(config))?.channel_values;

const below = (random: Random) => (count: number) => random.int(0, count - 1);

let made = 0;
const ODD = ['],[', '"', '\\', ',', '😀', '\u2028', '{"$baton":"undefined"}', 'null'];

function item(random: Random): unknown {
  const roll = below(random);
  made += 1;
  const text = `${ODD[roll(ODD.length)]}${made}${'x'.repeat(roll(4) === 0 ? roll(3000) : roll(300))}`;
  return [text, { text, at: new Date(made), $baton: 'content' }, made, [text, [text]], new HumanMessage(text)][roll(5)];
}

/** One of the things that graphs do to lists. */
function edited(list: readonly unknown[], random: Random): unknown[] {
  const roll = below(random);
  const at = roll(list.length + 1);
  const more = (): unknown[] => Array.from({ length: 1 + roll(3) }, () => item(random));
  switch (roll(10)) {
    case 0:
      return [...list.slice(0, -1), item(random)];
    case 1:
      return [...list.slice(0, at), item(random), ...list.slice(at)];
    case 2:
      return list.slice(0, at);
    case 3:
      return list.slice(Math.min(at, 3));
    case 4:
      return roll(5) === 0 ? [] : [...list];
    default:
      return [...list, ...more()];
  }
}

describe.each(Object.entries(STORES))('%s', (_, open) => {
  let store: TestStore;
  beforeAll(async () => {
    store = await open();
  });
  afterAll(() => store.close());

  it.each([1, 2, 3])('random edits of lists on random branches read back exactly (seed %i)', async (seed) => {
    const random = new Random(seed);
    const roll = below(random);
    const { saver } = store;
    const thread_id = randomUUID();
    type Node = { config: object; values: Record<string, unknown> };
    const nodes: Node[] = [{ config: { configurable: { thread_id, checkpoint_ns: '' } }, values: { list: [] } }];
    for (let token = 1; nodes.length < 70; token += 1) {
      const parent = nodes[roll(3) === 0 ? roll(nodes.length) : nodes.length - 1] as Node;
      // Forgets what it knows of the thread, as another process would.
      if (roll(8) === 0) await saver.fence(thread_id, token);
      const list = edited(parent.values['list'] as unknown[], random);
      const values = { list, box: { rows: list, note: 'x'.repeat(roll(2000)), deep: { rows: list.slice(1) } } };
      const config = await put(saver, parent.config, values);
      await saver.putWrites(config, [['list', [...list, item(random)]]], 'task');
      nodes.push({ config, values });
      expect(await valuesAt(saver, config)).toEqual(values);
    }
    const copy = randomUUID();
    await saver.copyThread(thread_id, copy);
    for (const { config, values } of nodes.slice(1)) {
      expect(await valuesAt(saver, config)).toEqual(values);
      const there = { configurable: { ...(config as { configurable: object }).configurable, thread_id: copy } };
      expect(await valuesAt(saver, there)).toEqual(values);
    }
  });

  it('what both sides of a fork append stays on its side', async () => {
    const { saver } = store;
    const text = (name: string) => name.repeat(INLINE_CHARS);
    const base = Array.from({ length: 12 }, (__, index) => text(String.fromCharCode(97 + index)));
    let config: object = { configurable: { thread_id: randomUUID(), checkpoint_ns: '' } };
    for (let length = 1; length <= base.length; length += 1)
      config = await put(saver, config, { list: base.slice(0, length) });
    const sides = ['L', 'R'].map((name) => ({ name, config, list: [...base] }));
    for (let step = 0; step < 20; step += 1) {
      for (const side of sides) {
        side.list = [...side.list, text(side.name + step)];
        side.config = await put(saver, side.config, { list: side.list });
      }
    }
    for (const side of sides) expect(await valuesAt(saver, side.config)).toEqual({ list: side.list });
    expect(await valuesAt(saver, config)).toEqual({ list: base });
  });
});

describe('pieces', () => {
  const open = () => {
    const driver = new NotingDriver();
    return { driver, saver: new DurableSaver({ driver }) };
  };

  it('are 8 at most, and a list that grows by an item a step is written a few times, not once a step', async () => {
    const { driver, saver } = open();
    const list: string[] = [];
    let config: object = { configurable: { thread_id: 'thread', checkpoint_ns: '' } };
    for (let step = 0; step < 500; step += 1) {
      list.push(`${step} ${'x'.repeat(1000)}`);
      config = await put(saver, config, { list: [...list] });
    }
    expect(Math.max(...driver.puts.map(({ value_ids }) => value_ids.length))).toBe(MAX_PIECES);
    expect(driver.bytes / JSON.stringify(list).length).toBeLessThan(4);
    expect(await valuesAt(saver, config)).toEqual({ list });
  });

  it('that stand before an edit stay as they are', async () => {
    const { driver, saver } = open();
    const list = Array.from({ length: 6 }, (_, index) => String(index).repeat(5000));
    let config: object = { configurable: { thread_id: 'thread', checkpoint_ns: '' } };
    for (let length = 1; length <= list.length; length += 1)
      config = await put(saver, config, { list: list.slice(0, length) });
    const before = driver.bytes;
    await put(saver, config, { list: [...list.slice(0, -1), 'last'.repeat(1000)] });
    expect(driver.bytes - before).toBeLessThan(4100);
  });

  it('are joined near the best that can be: what is written for each item', () => {
    const writtenPerItem = (count: number): number => {
      let written = 0;
      const pieces: number[] = [];
      for (let step = 0; step < count; step += 1) {
        const kept = keptPieces(pieces, 1);
        const joined = pieces.splice(kept).reduce((sum, length) => sum + length, 1);
        pieces.push(joined);
        written += joined;
      }
      expect(pieces.length).toBeLessThanOrEqual(MAX_PIECES);
      return written / count;
    };
    // The least possible: 1.60, 2.48, 3.58.
    expect(writtenPerItem(20)).toBeLessThan(1.8);
    expect(writtenPerItem(100)).toBeLessThan(2.7);
    expect(writtenPerItem(500)).toBeLessThan(3.9);
  });
});

describe('a content', () => {
  it('is stored once, though the input, a write and a channel have it', async () => {
    const driver = new NotingDriver();
    const graph = new StateGraph(MessagesAnnotation)
      .addNode('say', () => ({ messages: [new AIMessage({ id: 'b', content: 'b'.repeat(5000) })] }))
      .addEdge(START, 'say')
      .addEdge('say', END)
      .compile({ checkpointer: new DurableSaver({ driver }) });
    const input = { messages: [new HumanMessage({ id: 'a', content: 'a'.repeat(5000) })] };
    await graph.invoke(input, { configurable: { thread_id: 't' }, durability: 'sync' });
    expect([...driver.contents.values()].map((text) => text.length > 5000)).toEqual([true, true]);
  });

  it('has another id under another codec, and the bodies that name it read the same', async () => {
    const from = new NotingDriver();
    const saver = new DurableSaver({ driver: from });
    const values = {
      list: ['a'.repeat(1000), 'b'.repeat(1000)],
      box: { text: 'c'.repeat(1000), small: 1, __proto: { x: 'd'.repeat(900) } },
      text: 'e'.repeat(1000),
    };
    const config = await put(saver, { configurable: { thread_id: 'thread' } }, values);
    await saver.putWrites(
      config,
      [
        ['list', values.list],
        ['n', 1],
      ],
      'task',
    );
    const expected = await saver.getTuple(config);

    const idOf = (text: string): string => `other-${plainCodec.idOf(text, '') as string}`;
    const into = new MemoryDriver();
    const nameOf = (id: string): string => idOf(from.contents.get(id) ?? '');
    const contents = new Map([...from.contents.values()].map((text) => [idOf(text), Buffer.from(text)]));
    for (const change of [...from.puts, ...from.writes]) {
      const text = Buffer.from(change.row.body).toString();
      expect(contentIdsOf(text).toSorted()).toEqual(change.value_ids.toSorted());
      const body = Buffer.from(withContentIds(text, nameOf));
      const value_ids = contentIdsOf(body.toString());
      expect(value_ids.every((id) => contents.has(id))).toBe(true);
      const moved = { ...change, row: { ...change.row, body }, value_ids, values: contents };
      await ('search' in moved ? into.put(moved as PutCheckpoint) : into.putWrites(moved as PutWrites));
    }
    expect(await new DurableSaver({ driver: into }).getTuple(config)).toEqual(expected);
  });

  it('of a body of an earlier version is found', async () => {
    const driver = new MemoryDriver();
    const body = {
      checkpoint: {
        ...emptyCheckpoint(),
        id: undefined,
        channel_values: undefined,
        channel_versions: { big: 1, n: 1 },
      },
      metadata: { source: 'loop', step: 0, parents: {} },
      values: { n: 1 },
      refs: { big: 'id' },
    };
    const key = { thread_id: 'thread', checkpoint_ns: '', checkpoint_id: uuid6(0) };
    const writes = [
      [0, 'big', null, 'id'],
      [1, 'n', 2],
    ];
    const values = new Map([['id', Buffer.from('["a","b"]')]]);
    const change = { values, value_ids: ['id'] };
    const row = { ...key, run_id: null };
    await driver.put({
      ...change,
      row: { ...row, parent_id: null, body: Buffer.from(JSON.stringify(body)) },
      search: '{}',
      deltas: false,
    });
    await driver.putWrites({
      ...change,
      row: { ...row, task_id: 't', task_path: '', body: Buffer.from(JSON.stringify(writes)) },
    });
    const saver = new DurableSaver({ driver });
    const tuple = await saver.getTuple({ configurable: key });
    expect(tuple?.checkpoint.channel_values).toEqual({ n: 1, big: ['a', 'b'] });
    expect(tuple?.pendingWrites).toEqual([
      ['t', 'big', ['a', 'b']],
      ['t', 'n', 2],
    ]);
    const next = await put(saver, { configurable: key }, { big: ['a', 'b', 'c'.repeat(2000)] });
    expect(await valuesAt(saver, next)).toEqual({ big: ['a', 'b', 'c'.repeat(2000)] });
  });
});
