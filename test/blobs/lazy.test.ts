import { randomBytes } from 'node:crypto';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../postgres.ts';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';
import { longText } from './fixtures/shelf-graph.ts';

const FILE = new URL('./fixtures/shelf-graph.ts', import.meta.url).pathname;
const GRAPHS = { shelf: { file: FILE, exportName: 'shelf', description: null } };
const LENGTH = longText('raw').length;

interface Shelf {
  seen: Record<string, unknown>;
  raw: string;
  pages: { title: string; text: string };
}

const SETUPS = [
  { name: 'plain', scheme: '', settings: {} },
  {
    name: 'encrypted',
    scheme: 'encrypted+',
    settings: {
      encryption: { keys: [{ id: 'one', secret: randomBytes(32).toString('base64') }], clearMetadata: [] },
    },
  },
];

// A test hides the blob store, or a node does: from then on whoever reads fails, until a node brings it back.
describe.each(SETUPS)('the big values of a thread ($name)', ({ scheme, settings }) => {
  let database: TestDatabase;
  let folder: string;
  let store: string;
  let hidden: string;
  let server: TestServer;
  let threadId: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'baton-lazy-'));
    store = join(folder, 'blobs');
    hidden = join(folder, 'hidden');
    database = await testDatabase();
    const stateUrl = scheme + database.url;
    const blobs = { url: `disk:${store}`, limitBytes: 65_536, credentials: {} };
    server = await testServer({ graphs: GRAPHS, stateUrl, settings: { blobs, ...settings } });
  });

  afterAll(async () => {
    await server.stop();
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  });

  beforeEach(async () => {
    threadId = (await server.client.threads.create()).thread_id;
    await server.client.runs.wait(threadId, 'shelf', { input: {} });
  });

  async function go(way: string) {
    const { client } = server;
    const command = { resume: way, update: { store, hidden } };
    const chunks = client.runs.stream(threadId, 'shelf', { command, streamMode: 'updates' });
    const events: string[] = [];
    for await (const { event, data } of chunks) events.push(event === 'error' ? JSON.stringify(data) : event);
    return events;
  }

  const state = async (): Promise<Shelf> => (await server.client.threads.getState<Shelf>(threadId)).values;

  test('are not read by nodes and edges that do not look at them', async () => {
    await rename(store, hidden);
    expect(await go('skip')).toEqual(['metadata', 'updates', 'updates', 'updates']);
    expect(await state()).toMatchObject({
      seen: { before: 0 },
      raw: longText('raw'),
      pages: { text: longText('pages') },
    });
  });

  test('are read once, however many look', async () => {
    expect(await go('look')).not.toContain('error');
    expect((await state()).seen).toEqual({ look: LENGTH, left: LENGTH, right: LENGTH });
  });

  test('are what they are by every way to the state', async () => {
    expect(await go('ways')).not.toContain('error');
    expect(await state()).toMatchObject({
      seen: { spread: LENGTH, task: LENGTH, subgraph: LENGTH, sent: LENGTH, title: 'all' },
      raw: longText('raw'),
      pages: { title: 'all', text: longText('pages') },
    });
  });

  test('can be replaced in the state that a node got, for itself', async () => {
    expect(await go('change')).not.toContain('error');
    expect(await state()).toMatchObject({ seen: { changed: 'mine alone' }, raw: longText('raw') });
  });

  test('are there for the first edge of a later run', async () => {
    await go('change');
    const updates = server.client.runs.stream(threadId, 'shelf', { input: { way: 'again' }, streamMode: 'updates' });
    const nodes: string[] = [];
    for await (const { event, data } of updates) if (event === 'updates') nodes.push(...Object.keys(data));
    expect(nodes).toEqual(['__interrupt__']);
  });

  test('are not read, and kept, by a run from an earlier checkpoint', async () => {
    const { client } = server;
    await rename(store, hidden);
    await go('skip');
    const history = await client.threads.getHistory<Shelf>(threadId);
    const { checkpoint_id = '' } = history.find(({ next }) => next[0] === 'count')?.checkpoint ?? {};
    await rename(store, hidden);
    const run = { input: null, streamMode: 'updates' as const, checkpointId: checkpoint_id ?? '' };
    const nodes: string[] = [];
    for await (const { event, data } of client.runs.stream(threadId, 'shelf', run)) {
      if (event === 'updates') nodes.push(...Object.keys(data));
    }
    expect(nodes).toEqual(['count', 'bring']);
    expect(await state()).toMatchObject({ seen: { before: 0 }, raw: longText('raw') });
  });
});
