import { Annotation, Command, END, START, StateGraph } from '@langchain/langgraph';
import { InMemoryCache } from '@langchain/langgraph-checkpoint';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BlobOffload } from '../../src/blobs/blob-offload.ts';
import { BlobVault } from '../../src/blobs/blob-vault.ts';
import { openNoBlobs } from '../../src/blobs/no-blobs.ts';
import { plainCodec } from '../../src/core/codec.ts';
import { ServiceError } from '../../src/core/errors.ts';
import type { RunKwargs, StreamMode } from '../../src/core/run.ts';
import { Blobs } from '../../src/database/blobs.ts';
import { Database } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { channelsReadLater, DeferredState } from '../../src/engine/runs/deferred-state.ts';
import { isInfrastructure } from '../../src/engine/runs/infrastructure.ts';
import type { CompiledGraph } from '../../src/engine/graphs/registry.ts';
import { READ_LATER_KEY } from '../../src/state/values/deferred-value.ts';
import { MemoryDriver } from '../../src/state/drivers/memory/memory-driver.ts';
import { DurableSaver } from '../../src/state/durable-saver.ts';
import { type TestDatabase, testDatabase } from '../postgres.ts';
import { Random } from '../random.ts';
import { log } from '../state/stores.ts';
import { FaultyStore } from './faulty-store.ts';

/** Objects in memory, that are away for as many reads as is wished. */
class CountedStore extends FaultyStore {
  away = 0;

  constructor() {
    super(new Random(1));
    this.faulty = false;
  }

  override async get(name: string): Promise<Uint8Array | null> {
    this.#beThere();
    return super.get(name);
  }

  override getSync(name: string): Uint8Array | null {
    this.#beThere();
    return super.getSync(name);
  }

  #beThere(): void {
    if (this.away === 0) return;
    this.away -= 1;
    throw new ServiceError('unavailable', 'the store is away');
  }
}

let testing: TestDatabase;
let database: Database;
let store: CountedStore;
let saver: DurableSaver;
let deferred: DeferredState;
/** Of 1000 characters; each test has its own, since the database knows what is stored. */
let text = '';

beforeAll(async () => {
  testing = await testDatabase();
  database = new Database({ url: testing.url, log, applicationName: 'test' });
  await migrate(database);
});

afterAll(async () => {
  await database.close();
  await testing.drop();
});

beforeEach(() => {
  text = `${Number.parseInt(text || '0', 10) + 1}`.padEnd(1000, 'x');
  store = new CountedStore();
  deferred = new DeferredState();
  const offload = new BlobOffload(new BlobVault({ store, blobs: new Blobs(database) }), 100);
  const driver = offload.driver(new MemoryDriver());
  saver = new DurableSaver({ driver, codec: offload.codec(plainCodec), inlineChars: 100 });
});

const Page = Annotation.Root({
  raw: Annotation<string>,
  turns: Annotation<number>,
  lengths: Annotation<number[]>({ reducer: (all, more) => all.concat(more), default: () => [] }),
});
type Page = typeof Page.State;

/** What the last run streamed. */
const chunks: unknown[] = [];

/** Executes a run as the engine does. */
async function run(
  builder: { compile(options: object): unknown },
  input: object,
  { modes = ['updates'], thread = 'a', cache }: { modes?: StreamMode[]; thread?: string; cache?: InMemoryCache } = {},
) {
  store.reads = 0;
  store.blockingReads = 0;
  const graph = builder.compile({ checkpointer: saver, cache }) as CompiledGraph;
  const later = channelsReadLater(graph, { stream_mode: modes } as RunKwargs);
  if (later.size > 0) deferred.open(graph, 'page');
  const options = { configurable: { thread_id: thread, [READ_LATER_KEY]: later }, streamMode: modes };
  const streamed = graph as unknown as { stream(input: object, options: object): Promise<AsyncIterable<unknown>> };
  chunks.length = 0;
  for await (const chunk of await streamed.stream(input, options)) chunks.push(chunk);
  return { reads: store.reads, blocking: store.blockingReads, later: later.size };
}

const values = async () => (await saver.get({ configurable: { thread_id: 'a' } }))?.channel_values;

describe('an unread value', () => {
  const page = new StateGraph(Page)
    .addNode('idle', ({ turns }) => ({ turns: turns + 1 }))
    // Two side by side, in the turns in which they look.
    .addNode('left', (state) => (state.turns > 1 ? { lengths: [state.raw.length] } : {}))
    .addNode('right', (state) => (state.turns > 1 ? { lengths: [state.raw.length] } : {}))
    .addEdge(START, 'idle')
    .addEdge('idle', 'left')
    .addEdge('idle', 'right')
    .addEdge('left', END)
    .addEdge('right', END);

  test('is read when a node looks, once for all of them, and before the node begins if it looked the last time', async () => {
    // Written in this run: nothing is read at all.
    expect(await run(page, { raw: text, turns: 0 })).toMatchObject({ reads: 0, blocking: 0 });
    expect(await run(page, { turns: 0 })).toMatchObject({ reads: 0, blocking: 0 });
    expect(await run(page, { turns: 1 })).toMatchObject({ reads: 1, blocking: 1 });
    expect(await run(page, { turns: 1 })).toMatchObject({ reads: 1, blocking: 0 });
    // They look no more: the first time that is not known.
    expect(await run(page, { turns: 0 })).toMatchObject({ reads: 1, blocking: 0 });
    expect(await run(page, { turns: 0 })).toMatchObject({ reads: 0, blocking: 0 });
    expect(await values()).toMatchObject({ raw: text, lengths: [1000, 1000, 1000, 1000] });
  });

  test('that cannot be read ends the attempt, whatever the node makes of it', async () => {
    const careless = new StateGraph(Page)
      .addNode('look', (state) => {
        try {
          return { lengths: [state.raw.length] };
        } catch {
          return { lengths: [-1] };
        }
      })
      .addEdge(START, 'look')
      .addEdge('look', END);
    await run(careless, { raw: text });
    store.away = 1;
    await expect(run(careless, {})).rejects.toThrow('the store is away');
    expect(chunks).toEqual([]);
    expect((await saver.getTuple({ configurable: { thread_id: 'a' } }))?.pendingWrites).toMatchObject([
      [{}, '__error__', {}],
    ]);
    await run(careless, {});
    expect(await values()).toMatchObject({ lengths: [1000, 1000] });
  });

  test('that two nodes side by side cannot read is an outage, too', async () => {
    await run(page, { raw: text, turns: 0 });
    store.away = 2;
    const failure: unknown = await run(page, { turns: 1 }).catch((error: unknown) => error);
    expect(isInfrastructure(failure)).toBe(true);
  });

  test('is asked for again by a node that is tried again', async () => {
    const patient = new StateGraph(Page)
      .addNode('look', (state) => ({ lengths: [state.raw.length] }), {
        retryPolicy: { maxAttempts: 4, initialInterval: 1, jitter: false, logWarning: false },
      })
      .addEdge(START, 'look')
      .addEdge('look', END);
    await run(patient, { raw: text });
    // The first time when it looks, from then on before it begins.
    store.away = 3;
    await run(patient, {});
    expect(await values()).toMatchObject({ lengths: [1000, 1000] });
  });

  test('keeps what a node changed in its own state when the node is tried again', async () => {
    let tries = 0;
    const stubborn = new StateGraph(Page)
      .addNode(
        'change',
        (state) => {
          state.raw += '!';
          tries += 1;
          if (tries % 3 !== 0) throw new Error('once more');
          return { lengths: [state.raw.length] };
        },
        { retryPolicy: { maxAttempts: 3, initialInterval: 1, jitter: false, logWarning: false } },
      )
      .addEdge(START, 'change')
      .addEdge('change', END);
    await run(stubborn, { raw: text });
    expect(await run(stubborn, {})).toMatchObject({ later: 2 });
    expect(await values()).toMatchObject({ lengths: [1003, 1003] });
  });

  test('is seen by an edge that comes after a command to the parent', async () => {
    const inner = new StateGraph(Page)
      .addNode('leave', () => new Command({ graph: Command.PARENT, update: { turns: 7 } }), { ends: [] })
      .addEdge(START, 'leave')
      .compile();
    const seen: unknown[] = [];
    const outer = new StateGraph(Page)
      .addNode('inner', inner)
      .addEdge(START, 'inner')
      .addConditionalEdges('inner', (state) => {
        seen.push(state.raw.length);
        return END;
      });
    await run(outer, { raw: text });
    expect(await run(outer, { turns: 1 })).toMatchObject({ later: 2 });
    expect(seen).toEqual([1000, 1000]);
  });
});

describe('values are read with the checkpoint', () => {
  const later = (graph: unknown, modes: StreamMode[]): number =>
    channelsReadLater(graph as CompiledGraph, { stream_mode: modes } as RunKwargs).size;
  const look = new StateGraph(Page)
    .addNode('idle', () => ({}))
    .addEdge(START, 'idle')
    .addEdge('idle', END);

  test.each<{ modes: StreamMode[] }>([
    { modes: ['values'] },
    { modes: ['updates', 'messages-tuple'] },
    { modes: ['debug'] },
  ])('when somebody sees whole states: $modes', ({ modes }) => {
    expect(later(look.compile(), modes)).toBe(0);
  });

  test('when callbacks hear of all that the graph does', () => {
    const heard = look.compile().withConfig({ callbacks: [{ handleChainEnd: () => undefined }] });
    expect(
      channelsReadLater(heard as unknown as CompiledGraph, { stream_mode: ['updates'] } as unknown as RunKwargs).size,
    ).toBe(0);
  });

  test('when a key of the cache of a node is made of them', async () => {
    const cached = new StateGraph(Page)
      .addNode('turn', (state: Page) => ({ lengths: [state.raw.length] }), {
        cachePolicy: { keyFunc: ([state]: unknown[]) => (state as Page).raw },
      })
      .addEdge(START, 'turn')
      .addEdge('turn', END);
    const cache = new InMemoryCache();
    await run(cached, { raw: text }, { cache });
    await run(cached, { raw: `${text}!` }, { cache, thread: 'b' });
    await run(cached, { turns: 2 }, { cache });
    expect(await values()).toMatchObject({ lengths: [1000, 1000] });
  });

  test('when there is no blob store', async () => {
    const offload = await openNoBlobs(database);
    const plain = new DurableSaver({ driver: offload.driver(new MemoryDriver()), codec: offload.codec(plainCodec) });
    expect(plain.readsLater).toBe(false);
    expect(saver.readsLater).toBe(true);
  });
});
