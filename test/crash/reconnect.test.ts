import { Client } from '@langchain/langgraph-sdk';
import { Client as Connection } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import { CuttingProxy, type Fate } from '../cutting-proxy.ts';
import { collect } from '../sdk/fixtures/call.ts';
import {
  ALL_CHANNELS,
  command,
  isEnd,
  readEvents,
  webSocketFactory,
  type WireEvent,
} from '../sdk/fixtures/protocol.ts';
import { readThrough } from '../sse-frames.ts';
import { crashDatabase, type CrashDatabase } from './crash-database.ts';
import { killed } from './processes.ts';

type StreamOptions = NonNullable<Parameters<Client['threads']['stream']>[1]>;

const NODES = ['a', 'b1', 'b2', 'c', 'd'];

let crash: CrashDatabase;
const proxies: CuttingProxy[] = [];
beforeAll(async () => {
  crash = await crashDatabase();
});
afterAll(async () => {
  for (const proxy of proxies) await proxy.close();
  await crash.drop();
});

async function proxyTo(target: string, fates: Fate[]): Promise<CuttingProxy> {
  const proxy = await CuttingProxy.listen({ target, seed: 1, fates, bytes: [800, 1500] });
  proxies.push(proxy);
  return proxy;
}

const isB = ({ params }: WireEvent) => /^b[12]$/.test(params.node ?? '');

/** Keeps a node from going on until the returned function is called. */
async function shut(gate: string): Promise<() => Promise<void>> {
  const connection = new Connection({ connectionString: crash.url });
  await connection.connect();
  await connection.query('select pg_advisory_lock(hashtext($1))', [`gate ${gate}`]);
  return () => connection.end();
}

/** The official client, as it watches a thread through everything. */
async function watch(url: string, threadId: string, options: Pick<StreamOptions, 'transport' | 'webSocketFactory'>) {
  const thread = new Client({ apiUrl: url, apiKey: null }).threads.stream(threadId, {
    assistantId: 'relay',
    reconnectDelayMs: () => 50,
    maxReconnectAttempts: 1000,
    ...options,
  });
  const events = await collect(await thread.subscribe(ALL_CHANNELS as never));
  await thread.close();
  return events;
}

/** Counts the subscriptions that WebSockets are granted. */
class Grants {
  #count = 0;
  #wake: () => void = () => {};

  readonly factory = (url: string) => {
    const socket = webSocketFactory(url);
    socket.addEventListener('message', ({ data }) => {
      if (!String(data).includes('subscription_id')) return;
      this.#count += 1;
      this.#wake();
    });
    return socket;
  };

  get count(): number {
    return this.#count;
  }

  async reach(count: number): Promise<void> {
    while (this.#count < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

it('every client sees every event once and in order, though each process is killed or stopped under it', async () => {
  const { processes } = crash;
  const [api, worker] = await Promise.all([processes.start('api'), processes.start('worker')]);
  const cutting = await proxyTo(api.url, ['pass', 'cut', 'reset']);
  // The SDK's WebSocket (1.15) stays lost when it is cut while it subscribes again: it is cut by the processes alone.
  const whole = await proxyTo(api.url, ['pass']);
  const openC = await shut('c');
  const threadId = uuidv7();
  const { result } = await command(api.url, threadId, 'run.start', { assistant_id: 'relay', input: { passed: [] } });
  const grants = new Grants();
  const watching = Promise.all([
    watch(cutting.url, threadId, { transport: 'sse' }),
    watch(whole.url, threadId, { transport: 'websocket', webSocketFactory: grants.factory }),
  ]);
  const run = `/threads/${threadId}/runs/${result.run_id}/stream`;
  const readRun = () =>
    readThrough((lastId, signal) => fetch(cutting.url + run, { headers: { 'last-event-id': lastId ?? '-1' }, signal }));
  const reading = readRun();
  const before = await readEvents(api.url, threadId, {}, isB);

  await Promise.all([killed(api.process), killed(worker.process)]);
  const [second, third] = await Promise.all([
    processes.start('api'),
    processes.start('api'),
    processes.start('worker'),
  ]);
  const granted = grants.count;
  cutting.target = whole.target = second.url;
  await grants.reach(2 * granted);
  expect(await readEvents(second.url, threadId, {}, isB)).toEqual(before);
  second.process.kill('SIGTERM');
  cutting.target = whole.target = third.url;
  await openC();

  const events = await readEvents(third.url, threadId, {}, isEnd);
  expect(events.slice(0, before.length)).toEqual(before);
  const seqs = events.map(({ seq }) => seq);
  expect(seqs).toEqual([...new Set(seqs)].toSorted((a, b) => a - b));
  const lifecycles = events.filter(({ method }) => method === 'lifecycle').map(({ params }) => params.data.event);
  expect(lifecycles).toEqual(['running', 'completed']);
  const passed = events.findLast(({ method }) => method === 'values')?.params.data.passed as string[];
  expect(passed.toSorted()).toEqual(NODES);
  expect(await watching).toEqual([events, events]);

  const frames = await reading;
  expect(frames).toEqual(await readRun());
  expect(frames.map(({ id }) => Number(id))).toEqual(frames.map((_, index) => index));
  const updates = frames.filter(({ event }) => event === 'updates').map(({ data }) => data);
  for (const node of NODES) expect([node, updates.some((data) => data.includes(`"${node}"`))]).toEqual([node, true]);
}, 120_000);
