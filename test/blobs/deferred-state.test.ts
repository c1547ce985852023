import { Annotation, END, START, StateGraph } from '@langchain/langgraph';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BlobOffload } from '../../src/blobs/blob-offload.ts';
import { BlobVault } from '../../src/blobs/blob-vault.ts';
import { plainCodec } from '../../src/core/codec.ts';
import { Blobs } from '../../src/database/blobs.ts';
import { Database } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { DeferredState } from '../../src/engine/deferred-state.ts';
import { READ_LATER_KEY } from '../../src/state/deferred-value.ts';
import { MemoryDriver } from '../../src/state/drivers/memory/memory-driver.ts';
import { DurableSaver } from '../../src/state/durable-saver.ts';
import { type TestDatabase, testDatabase } from '../postgres.ts';
import { Random } from '../random.ts';
import { log } from '../state/stores.ts';
import { FaultyStore } from './faulty-store.ts';

let testing: TestDatabase;
let database: Database;

beforeAll(async () => {
  testing = await testDatabase();
  database = new Database({ url: testing.url, log, applicationName: 'test' });
  await migrate(database);
});

afterAll(async () => {
  await database.close();
  await testing.drop();
});

const Page = Annotation.Root({
  raw: Annotation<string>,
  turns: Annotation<number>,
  lengths: Annotation<number[]>({ reducer: (all, more) => all.concat(more), default: () => [] }),
});

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

test('an unread value is read when a node looks, once for all of them, and before the node begins if it looked the last time', async () => {
  const store = new FaultyStore(new Random(1));
  store.faulty = false;
  const offload = new BlobOffload(new BlobVault({ store, blobs: new Blobs(database) }), 100);
  const saver = new DurableSaver({
    driver: offload.driver(new MemoryDriver()),
    codec: offload.codec(plainCodec),
    inlineChars: 100,
  });
  const deferred = new DeferredState();
  const configurable = { thread_id: 'a', [READ_LATER_KEY]: new Set(['raw']) };
  const turn = async (input: Partial<typeof Page.State>) => {
    store.reads = 0;
    store.blockingReads = 0;
    const graph = page.compile({ checkpointer: saver });
    deferred.open(graph, 'page');
    const nodes: string[] = [];
    const updates = await graph.stream(input, { configurable, streamMode: 'updates' });
    for await (const update of updates) nodes.push(...Object.keys(update));
    expect(nodes.toSorted()).toEqual(['idle', 'left', 'right']);
    return { reads: store.reads, blocking: store.blockingReads };
  };

  // Written in this run: nothing is read at all.
  expect(await turn({ raw: 'x'.repeat(1000), turns: 0 })).toEqual({ reads: 0, blocking: 0 });
  expect(await turn({ turns: 0 })).toEqual({ reads: 0, blocking: 0 });
  expect(await turn({ turns: 1 })).toEqual({ reads: 1, blocking: 1 });
  expect(await turn({ turns: 1 })).toEqual({ reads: 1, blocking: 0 });
  // They look no more: the first time that is not known.
  expect(await turn({ turns: 0 })).toEqual({ reads: 1, blocking: 0 });
  expect(await turn({ turns: 0 })).toEqual({ reads: 0, blocking: 0 });
  expect((await saver.get({ configurable: { thread_id: 'a' } }))?.channel_values).toMatchObject({
    raw: 'x'.repeat(1000),
    lengths: [1000, 1000, 1000, 1000],
  });
});
