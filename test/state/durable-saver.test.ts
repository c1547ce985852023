import { createCipheriv, createDecipheriv, createHash, randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { Annotation, Command, END, START, StateGraph } from '@langchain/langgraph';
import { type CheckpointTuple, emptyCheckpoint, uuid6 } from '@langchain/langgraph-checkpoint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FENCING_TOKEN_KEY } from '../../src/core/fencing.ts';
import type { Codec, CodecContext } from '../../src/core/codec.ts';
import { DurableSaver } from '../../src/state/durable-saver.ts';
import { PostgresDriver } from '../../src/state/drivers/postgres/postgres-driver.ts';
import { testDatabase } from '../postgres.ts';
import { BIG, line, twoQuestions } from './graphs.ts';
import { log, STORES, type TestStore } from './stores.ts';

const META = { source: 'loop', step: 0, parents: {} } as const;

/** Puts a checkpoint with these values under a parent. */
async function put(saver: DurableSaver, config: object, values: Record<string, unknown>, metadata: object = {}) {
  const versions = Object.fromEntries(Object.keys(values).map((channel) => [channel, saver.getNextVersion(undefined)]));
  const checkpoint = { ...emptyCheckpoint(), id: uuid6(0), channel_values: values, channel_versions: versions };
  return saver.put(config, checkpoint, { ...META, ...metadata }, versions);
}

async function all(tuples: AsyncIterable<CheckpointTuple>): Promise<CheckpointTuple[]> {
  const found: CheckpointTuple[] = [];
  for await (const tuple of tuples) found.push(tuple);
  return found;
}

describe.each(Object.entries(STORES))('%s', (_, open) => {
  let store: TestStore;
  let saver: DurableSaver;
  beforeAll(async () => {
    store = await open();
    saver = store.saver;
  });
  afterAll(() => store.close());

  it('a task whose edge failed is executed again, not passed over', async () => {
    let fails = true;
    const graph = new StateGraph(Annotation.Root({ way: Annotation<string>, done: Annotation<string> }))
      .addNode('choose', () => ({ way: 'left' }))
      .addNode('left', () => ({ done: 'left' }))
      .addEdge(START, 'choose')
      .addConditionalEdges(
        'choose',
        ({ way }) => {
          if (fails) throw new Error('no way yet');
          return way;
        },
        ['left'],
      )
      .addEdge('left', END)
      .compile({ checkpointer: saver });
    const config = { configurable: { thread_id: randomUUID() } };
    await expect(graph.invoke({}, config)).rejects.toThrow('no way yet');
    fails = false;
    expect(await graph.invoke(null, config)).toEqual({ way: 'left', done: 'left' });
  });

  describe('fences', () => {
    const writer = (thread_id: string, token: number) => ({
      configurable: { thread_id, checkpoint_ns: '', [FENCING_TOKEN_KEY]: token },
    });

    it('refuse a writer whose token is older, and let the others write', async () => {
      const thread = randomUUID();
      await saver.fence(thread, 7);
      await put(saver, writer(thread, 7), { v: 'seven' });
      await saver.fence(thread, 9);
      const late = put(saver, writer(thread, 7), { v: 'late' });
      const other = put(saver, { configurable: { thread_id: randomUUID() } }, { v: 'other' });
      const current = put(saver, writer(thread, 9), { v: 'nine' });
      await expect(late).rejects.toMatchObject({ name: 'FencedError', code: 'fenced' });
      await expect(Promise.all([other, current])).resolves.toHaveLength(2);
      expect(
        (await all(saver.list({ configurable: { thread_id: thread } }))).map(
          ({ checkpoint }) => checkpoint.channel_values['v'],
        ),
      ).toEqual(['nine', 'seven']);
    });

    it('refuse writes of a task as well', async () => {
      const thread = randomUUID();
      await saver.fence(thread, 1);
      const at = await put(saver, writer(thread, 1), {});
      await saver.fence(thread, 2);
      const stale = { configurable: { ...at.configurable, [FENCING_TOKEN_KEY]: 1 } };
      await expect(saver.putWrites(stale, [['v', 1]], 'task')).rejects.toMatchObject({ name: 'FencedError' });
      expect((await saver.getTuple(at))?.pendingWrites).toEqual([]);
    });

    it('rise only', async () => {
      const thread = randomUUID();
      await saver.fence(thread, 5);
      await saver.fence(thread, 5);
      await expect(saver.fence(thread, 4)).rejects.toMatchObject({ name: 'FencedError' });
    });

    it('let no late write bring a deleted thread back', async () => {
      const thread = randomUUID();
      await saver.fence(thread, 3);
      const at = await put(saver, writer(thread, 3), { v: BIG });
      await saver.deleteThread(thread);
      await expect(put(saver, writer(thread, 3), { v: BIG })).rejects.toMatchObject({ name: 'FencedError' });
      await expect(
        saver.putWrites({ configurable: { ...at.configurable, [FENCING_TOKEN_KEY]: 3 } }, [['v', 1]], 't'),
      ).rejects.toMatchObject({ name: 'FencedError' });
      expect(await saver.latest(thread)).toBeUndefined();
      expect(await all(saver.list({ configurable: { thread_id: thread } }))).toEqual([]);
    });

    it('end a run whose worker was superseded in the middle', async () => {
      const thread = randomUUID();
      const trace: string[] = [];
      const graph = line(saver, trace);
      await saver.fence(thread, 1);
      const config = { ...writer(thread, 1), durability: 'sync' as const, streamMode: 'updates' as const };
      const run = async (): Promise<void> => {
        for await (const update of await graph.stream({ v: '1' }, config))
          if ('a' in update) await saver.fence(thread, 2);
      };
      await expect(run()).rejects.toMatchObject({ name: 'FencedError' });
      expect(trace).not.toContain('c');
    });
  });

  describe('names', () => {
    const odd = [
      'nul\0',
      'lone\ud800',
      '\udfffturned',
      'back\\slash\\u0000',
      '\uE0000000',
      '__proto__',
      '"quoted',
      '$baton',
      '😀',
      "';--",
    ];
    it.each(odd)('%j as channel, namespace, thread, task and metadata', async (name) => {
      const thread_id = `${name}${randomUUID()}`;
      const at = await put(
        saver,
        { configurable: { thread_id, checkpoint_ns: name } },
        JSON.parse(JSON.stringify({ x: 1 }).replace('"x"', JSON.stringify(name))),
        {
          [`key ${name}`]: { text: name },
        },
      );
      await saver.putWrites(at, [[name, name]], name, name);
      const tuple = await saver.getTuple(at);
      expect(tuple?.config).toEqual(at);
      expect(at.configurable).toMatchObject({ thread_id, checkpoint_ns: name });
      expect(Object.entries(tuple?.checkpoint.channel_values ?? {})).toEqual([[name, 1]]);
      expect(tuple?.metadata).toEqual({ ...META, [`key ${name}`]: { text: name } });
      expect(tuple?.pendingWrites).toEqual([[name, name, name]]);
      const filter = { [`key ${name}`]: { text: name } };
      expect(await all(saver.list({ configurable: { thread_id } }, { filter }))).toHaveLength(1);
      expect(
        await all(saver.list({ configurable: { thread_id } }, { filter: { [`key ${name}`]: { text: `${name}x` } } })),
      ).toEqual([]);
      await saver.deleteThread(thread_id);
      expect(await saver.getTuple(at)).toBeUndefined();
    });

    it('that differ only in what a database cannot hold are different threads', async () => {
      const base = randomUUID();
      const names = [`${base}\0`, `${base}\uE0000000`, `${base}\ud800`, `${base}\udfff`, base];
      for (const thread_id of names) await put(saver, { configurable: { thread_id } }, { v: thread_id });
      for (const thread_id of names) {
        expect((await saver.get({ configurable: { thread_id } }))?.channel_values).toEqual({ v: thread_id });
      }
    });
  });

  describe('metadata', () => {
    it('says which run wrote a checkpoint, holds the caller’s own, and no secret', async () => {
      const graph = line(saver);
      const configurable = {
        thread_id: randomUUID(),
        run_id: randomUUID(),
        assistant_id: 'as',
        api_token: 'secret',
        model: 'secret',
      };
      const metadata = {
        customer: { id: 7 },
        run_id: configurable.run_id,
        __internal: 1,
        source: 'mine',
        langgraph_x: 1,
        model: 'secret',
        track: () => {},
      };
      await graph.invoke({ v: '1' }, { configurable, metadata });
      const tuples = await all(
        saver.list({ configurable: { thread_id: configurable.thread_id } }, { filter: { customer: { id: 7 } } }),
      );
      expect(tuples).toHaveLength(5);
      for (const tuple of tuples) {
        const { source, step, parents, ...rest } = tuple.metadata ?? {};
        expect(['input', 'loop']).toContain(source);
        expect([typeof step, parents]).toEqual(['number', {}]);
        expect(rest).toEqual({ customer: { id: 7 }, run_id: configurable.run_id, assistant_id: 'as' });
      }
    });
  });

  describe('a thread', () => {
    it('is listed page by page, newest first, no row twice', async () => {
      const thread_id = randomUUID();
      const ids: string[] = [];
      for (let index = 0; index < 45; index += 1) {
        const { configurable } = await put(
          saver,
          { configurable: { thread_id, checkpoint_ns: index % 2 ? 'sub' : '' } },
          { index },
          { even: index % 2 === 0 },
        );
        ids.push(configurable?.['checkpoint_id']);
      }
      const idsOf = async (config: object, options?: object) =>
        (await all(saver.list({ configurable: { thread_id, ...config } }, options))).map(
          ({ checkpoint }) => checkpoint.id,
        );
      expect(await idsOf({})).toEqual(ids.toReversed());
      expect(await idsOf({ checkpoint_ns: 'sub' })).toEqual(ids.filter((_id, index) => index % 2 === 1).toReversed());
      expect(await idsOf({}, { limit: 33 })).toEqual(ids.toReversed().slice(0, 33));
      expect(await idsOf({}, { limit: 0 })).toEqual([]);
      expect(await idsOf({}, { before: { configurable: { checkpoint_id: ids[10] } }, filter: { even: true } })).toEqual(
        ids
          .slice(0, 10)
          .filter((_id, index) => index % 2 === 0)
          .toReversed(),
      );
    });

    it('is found among all that have checkpoints, in the order of their names, page by page', async () => {
      const names = ['b', 'a', 'é', '😀', 'ab'].map((name) => `~${name}`);
      for (const thread_id of names) {
        await put(saver, { configurable: { thread_id } }, {});
        await put(saver, { configurable: { thread_id, checkpoint_ns: 'below' } }, {});
      }
      await saver.fence('~without', 1);
      expect(await saver.threads(2, '~')).toEqual(['~a', '~ab']);
      expect(await saver.threads(2, '~ab')).toEqual(['~b', '~é']);
      expect(await saver.threads(2, '~é')).toEqual(['~😀']);
      expect(await saver.threads(1000)).toEqual(expect.arrayContaining(names));
    });

    it('is copied with its whole history, and lives on by itself', async () => {
      const graph = twoQuestions(saver);
      const [from, to] = [randomUUID(), randomUUID()];
      await graph.invoke({}, { configurable: { thread_id: from } });
      await graph.invoke(new Command({ resume: 'one' }), { configurable: { thread_id: from } });
      await saver.copyThread(from, to);
      await expect(saver.copyThread(from, to)).rejects.toMatchObject({ name: 'ConflictError' });
      const resumed = await graph.invoke(new Command({ resume: 'two' }), { configurable: { thread_id: to } });
      expect(resumed.answers).toEqual(['one', 'two']);
      expect((await graph.getState({ configurable: { thread_id: to } })).metadata).toMatchObject({ thread_id: to });
      await saver.deleteThread(to);
      expect((await graph.getState({ configurable: { thread_id: from } })).tasks[0]?.interrupts[0]?.value).toBe(
        'second?',
      );
    });

    it('is as it was before a run that is rolled back', async () => {
      const graph = twoQuestions(saver);
      const thread_id = randomUUID();
      const run = (run_id: string) => ({ configurable: { thread_id, run_id } });
      await graph.invoke({}, run('run-1'));
      const before = await all(saver.list({ configurable: { thread_id } }));
      expect(await saver.latest(thread_id)).toMatchObject({
        run_id: 'run-1',
        pending_writes: 1,
        touched_by: ['run-1'],
      });
      await graph.invoke(new Command({ resume: 'one' }), run('run-2'));
      expect(await saver.latest(thread_id)).toMatchObject({ run_id: 'run-1', touched_by: ['run-1', 'run-2'] });
      await graph.invoke(new Command({ resume: 'two' }), run('run-3'));
      expect((await saver.latest(thread_id))?.run_id).toBe('run-3');
      await expect(saver.deleteRun(thread_id, 'run-1')).rejects.toMatchObject({ name: 'ConflictError' });
      await saver.deleteRun(thread_id, 'run-3');
      await saver.deleteRun(thread_id, 'run-2');
      expect(await all(saver.list({ configurable: { thread_id } }))).toEqual(before);
      await graph.invoke(new Command({ resume: 'eins' }), run('run-4'));
      expect((await graph.invoke(new Command({ resume: 'zwei' }), run('run-5'))).answers).toEqual(['eins', 'zwei']);
    });

    it('begun with the integer versions of another saver goes on', async () => {
      const thread_id = randomUUID();
      const config = { configurable: { thread_id } };
      const legacy = Object.create(saver) as DurableSaver;
      legacy.getNextVersion = (version) => (version ?? 0) + 1;
      for (const method of ['getTuple', 'list', 'put', 'putWrites'] as const)
        legacy[method] = saver[method].bind(saver) as never;
      await line(legacy).invoke({ v: '1' }, config);
      expect((await saver.get(config))?.channel_versions['v']).toSatisfy(Number.isInteger);
      expect((await line(saver).invoke({ v: '2' }, config)).log).toEqual([
        'a(1)',
        'b(1)',
        'c(1)',
        'a(2)',
        'b(2)',
        'c(2)',
      ]);
    });
  });

  describe('what cannot be stored', () => {
    it('stops its own run with the path, and no other', async () => {
      const config = { configurable: { thread_id: randomUUID() } };
      const bad = put(saver, config, { state: { done: () => {} } });
      const good = put(saver, config, { state: 1 });
      await expect(bad).rejects.toMatchObject({ name: 'UnstorableValueError', path: 'state.done' });
      await good;
      expect((await saver.get(config))?.channel_values).toEqual({ state: 1 });
    });
  });

  it('stores a value as it is at the call, not as it is a moment later', async () => {
    const config = { configurable: { thread_id: randomUUID() } };
    const value = { list: [1] };
    const stored = put(saver, config, { value });
    value.list.push(2);
    await stored;
    expect((await saver.get(config))?.channel_values).toEqual({ value: { list: [1] } });
  });

  it('gives each reader objects of its own', async () => {
    const at = await put(saver, { configurable: { thread_id: randomUUID() } }, { small: [1], big: { text: BIG } });
    const [one, two] = [await saver.get(at), await saver.get(at)];
    expect(one).toEqual(two);
    const { big, small } = (one?.channel_values ?? {}) as { big: { text: string }; small: number[] };
    big.text = 'changed';
    small.push(2);
    expect((await saver.get(at))?.channel_values).toEqual({ small: [1], big: { text: BIG } });
  });
});

/** Encrypts, slowly, and binds what it encrypts to its place: what a later codec will do. */
const sealing: Codec = {
  encode: async (text, context) => {
    await setTimeout(Math.random() * 3);
    const cipher = createCipheriv('aes-256-gcm', Buffer.alloc(32, 1), Buffer.alloc(12, 2)).setAAD(placeOf(context));
    return Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  },
  decode: async (bytes, context) => (await sealing.opener(context))(bytes),
  opener: (context) => (bytes) => {
    const decipher = createDecipheriv('aes-256-gcm', Buffer.alloc(32, 1), Buffer.alloc(12, 2)).setAAD(placeOf(context));
    decipher.setAuthTag(bytes.subarray(-16));
    return decipher.update(bytes.subarray(0, -16), undefined, 'utf8') + decipher.final('utf8');
  },
  idOf: (text, threadId) => createHash('sha256').update(threadId).update(text).digest('base64url'),
};
const placeOf = (context: CodecContext) => createHash('sha256').update(JSON.stringify(context)).digest();

it('a codec may be slow and may make any bytes', async () => {
  const database = await testDatabase();
  const saver = new DurableSaver({ driver: await PostgresDriver.open({ url: database.url, log }), codec: sealing });
  const graph = line(saver);
  const config = { configurable: { thread_id: randomUUID() } };
  const result = await graph.invoke({ v: 'añb' }, { ...config, durability: 'async' });
  expect((await graph.getState(config)).values).toEqual(result);
  const states = await all(saver.list(config));
  const parents = await Promise.all(
    states.map(async ({ parentConfig }) => parentConfig && saver.getTuple(parentConfig)),
  );
  expect(parents.map((parent) => parent?.checkpoint.id)).toEqual([
    ...states.slice(1).map(({ checkpoint }) => checkpoint.id),
    undefined,
  ]);
  expect(Math.min(...states.slice(1).map(({ pendingWrites }) => pendingWrites?.length ?? 0))).toBeGreaterThan(0);
  await saver.close();
  await database.drop();
});
