import { Client } from '@langchain/langgraph-sdk';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import { CuttingProxy, type CuttingProxyOptions, type Fate } from '../cutting-proxy.ts';
import { readThrough, type SseFrame } from '../sse-frames.ts';
import { collect } from './fixtures/call.ts';
import { ALL_CHANNELS, isEnd, readEvents, run, webSocketFactory, type WireEvent } from './fixtures/protocol.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

const file = fileURLToPath(new URL('fixtures/long-graph.ts', import.meta.url));
const request = { assistant_id: 'long', input: { count: 0 }, stream_mode: ['values', 'custom'] };
const FATES: Fate[] = ['cut', 'reset', 'delay'];

let server: TestServer;
beforeAll(async () => {
  server = await testServer({ graphs: { long: { file, exportName: 'long', description: null } } });
});
afterAll(() => server.stop());

function post(url: string, body: object, signal: AbortSignal | null = null): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(url, { method: 'POST', headers, body: JSON.stringify(body), signal });
}

function resume(url: string, lastId: string | null, signal: AbortSignal | null = null): Promise<Response> {
  return fetch(url, { headers: { 'last-event-id': lastId ?? '-1' }, signal });
}

async function through<T>(
  options: Partial<CuttingProxyOptions> & { seed: number },
  work: (url: string) => Promise<T>,
): Promise<T> {
  const proxy = await CuttingProxy.listen({ target: server.url, fates: FATES, ...options });
  try {
    const result = await work(proxy.url);
    expect(proxy.struck).toBeGreaterThan(0);
    return result;
  } finally {
    await proxy.close();
  }
}

async function wholeStream(threadId: string): Promise<void> {
  await (await post(`${server.url}/threads/${threadId}/runs/stream`, request)).text();
}

/** All that the log has of a run. */
async function wholeRun(threadId: string): Promise<SseFrame[]> {
  const [{ run_id } = { run_id: '' }] = await server.client.runs.list(threadId);
  const frames = await readThrough((lastId) =>
    resume(`${server.url}/threads/${threadId}/runs/${run_id}/stream`, lastId),
  );
  expect(frames.filter(({ event }) => event === 'custom')).toHaveLength(60);
  expect(frames.map(({ id }) => Number(id))).toEqual(frames.map((_, index) => index));
  return frames;
}

describe('over a network that breaks, a client sees every event once, in order:', () => {
  it.each([1, 2, 3])('of the run that it has started, by Location and Last-Event-ID (seed %i)', async (seed) => {
    const { thread_id } = await server.client.threads.create();
    const frames = await through({ seed, faults: 8 }, async (url) => {
      let location: string | null = null;
      return readThrough(async (lastId, signal) => {
        if (location !== null) return resume(new URL(location, url).href, lastId, signal);
        const answer = await post(`${url}/threads/${thread_id}/runs/stream`, request, signal);
        location = answer.headers.get('location');
        return answer;
      });
    });
    expect(frames).toEqual(await wholeRun(thread_id));
  });

  it.each([4, 5])('of a run that it joins, also through silence (seed %i)', async (seed) => {
    const { thread_id } = await server.client.threads.create();
    const { run_id } = await server.client.runs.create(thread_id, 'long', {
      input: { count: 0 },
      streamMode: ['values', 'custom'],
    });
    const frames = await through({ seed, fates: [...FATES, 'stall'], faults: 8 }, (url) =>
      readThrough((lastId, signal) => resume(`${url}/threads/${thread_id}/runs/${run_id}/stream`, lastId, signal), {
        silenceMs: 300,
      }),
    );
    expect(frames).toEqual(await wholeRun(thread_id));
  });

  it('of a thread with two runs', async () => {
    const { thread_id } = await server.client.threads.create();
    for (let runs = 0; runs < 2; runs++) await wholeStream(thread_id);
    const read = (url: string) => {
      let runsLeft = 2;
      return readThrough((lastId, signal) => resume(`${url}/threads/${thread_id}/stream`, lastId ?? '-', signal), {
        isLast: ({ data }) => data.includes('run_done') && --runsLeft === 0,
      });
    };
    const frames = await through({ seed: 6, faults: 8 }, read);
    expect(frames).toEqual(await read(server.url));
    expect(frames.filter(({ event }) => event === 'custom')).toHaveLength(120);
  });

  it('of a thread in the protocol of threads', async () => {
    const threadId = uuidv7();
    await run(server.client, server.url, threadId, request);
    const expected = await readEvents(server.url, threadId, {}, isEnd);
    const frames = await through({ seed: 7, faults: 8 }, async (url) => {
      let since = 0;
      return readThrough(
        (_lastId, signal) =>
          post(`${url}/threads/${threadId}/stream/events`, { channels: ALL_CHANNELS, since }, signal),
        {
          isLast: ({ data }) => {
            const event = JSON.parse(data) as WireEvent;
            since = event.seq;
            return isEnd(event);
          },
        },
      );
    });
    expect(frames.map(({ data }) => JSON.parse(data) as WireEvent)).toEqual(expected);
  });
});

describe('the official client over a network that breaks sees every event once, in order:', () => {
  it('of a run', async () => {
    const { thread_id } = await server.client.threads.create();
    // It waits for a second or two before it comes back.
    const parts = await through({ seed: 8, fates: ['cut', 'reset'], faults: 3 }, (url) =>
      collect<{ id?: string; event: string }>(
        new Client({ apiUrl: url, apiKey: null }).runs.stream(thread_id, 'long', {
          input: { count: 0 },
          streamMode: ['values', 'custom'],
        }),
      ),
    );
    const names = ({ id, event }: { id?: string; event: string }) => `${id} ${event}`;
    expect(parts.map(names)).toEqual((await wholeRun(thread_id)).map(names));
  }, 30_000);

  it.each(['sse', 'websocket'] as const)('of a thread over %s', async (transport) => {
    const threadId = uuidv7();
    // The SDK's WebSocket (1.15) stays lost when it is cut while it subscribes again: later, then.
    const bytes = [6000, 12_000] as const;
    const events = await through({ seed: 9, fates: ['cut', 'reset'], faults: 6, bytes }, async (url) => {
      const thread = new Client({ apiUrl: url, apiKey: null }).threads.stream(threadId, {
        assistantId: 'long',
        transport,
        webSocketFactory,
        reconnectDelayMs: () => 0,
        maxReconnectAttempts: 50,
      });
      await run(server.client, server.url, threadId, request);
      const seen = await collect(await thread.subscribe(ALL_CHANNELS as never));
      await thread.close();
      return seen;
    });
    expect(events).toEqual(await readEvents(server.url, threadId, {}, isEnd));
  });
});
