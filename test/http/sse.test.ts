import express, { type Response } from 'express';
import { once } from 'node:events';
import { get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { departure, sendEvents, type SseEvent } from '../../src/http/sse.ts';
import { collect } from '../sdk/fixtures/call.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** Serves one stream of these events and answers with the response to it. */
async function stream(events: (signal: AbortSignal, res: Response) => AsyncIterable<SseEvent>, heartbeatMs = 60_000) {
  let ended: () => void = () => {};
  const isOver = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const app = express().get('/', async (_req, res) => {
    const signal = departure(res);
    await sendEvents(res, events(signal, res), { signal, heartbeatMs });
    ended();
  });
  server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const response = await new Promise<IncomingMessage>((resolve) => get(`http://127.0.0.1:${port}/`, resolve));
  return { response, isOver };
}

async function firstChunk(response: IncomingMessage): Promise<string> {
  const [chunk] = (await once(response, 'data')) as [Buffer];
  return chunk.toString();
}

it('sends its headers before the first event', async () => {
  let go: () => void = () => {};
  const isAsked = new Promise<void>((resolve) => {
    go = resolve;
  });
  const { response } = await stream(async function* () {
    await isAsked;
    yield { event: 'values', data: '{"a":1}', id: 7 };
  });
  expect(response.headers).toMatchObject({ 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  go();
  expect((await collect<Buffer>(response)).join('')).toBe('event: values\ndata: {"a":1}\nid: 7\n\n');
});

it('shows that it is alive while there is nothing to send, and goes on doing so', async () => {
  const { response, isOver } = await stream(async function* (signal) {
    await once(signal, 'abort');
    yield* [];
  }, 5);
  for (let beats = 0; beats < 3; beats++) expect(await firstChunk(response)).toMatch(/^(: heartbeat\n\n)+$/);
  response.destroy();
  await isOver;
});

it('waits for its reader instead of holding everything in memory', async () => {
  let mostHeld = 0;
  const { response, isOver } = await stream(async function* (_signal, res) {
    for (let id = 0; id < 500; id++) {
      mostHeld = Math.max(mostHeld, res.writableLength);
      yield { event: 'values', data: JSON.stringify('x'.repeat(100_000)), id };
    }
  });
  const text = await collect<Buffer>(response);
  await isOver;
  expect(text.reduce((bytes, chunk) => bytes + chunk.length, 0)).toBeGreaterThan(50_000_000);
  expect(mostHeld).toBeLessThan(200_000);
});

it('ends its source when the reader leaves, also one that was slow', async () => {
  let isClosed = false;
  const { response, isOver } = await stream(async function* () {
    try {
      for (let id = 0; ; id++) yield { event: 'values', data: JSON.stringify('x'.repeat(100_000)), id };
    } finally {
      isClosed = true;
    }
  });
  await firstChunk(response);
  response.destroy();
  await isOver;
  expect(isClosed).toBe(true);
});

it('notices a reader that left before there was anything to send', async () => {
  let arrived: () => void = () => {};
  const hasArrived = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  let told: (aborted: boolean) => void = () => {};
  const isTold = new Promise<boolean>((resolve) => {
    told = resolve;
  });
  const app = express().get('/', async (_req, res) => {
    arrived();
    await once(res, 'close');
    const signal = departure(res);
    await sendEvents(res, neverAsked, { signal, heartbeatMs: 1 });
    told(signal.aborted);
  });
  server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const request = get(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`).on('error', () => undefined);
  await hasArrived;
  request.destroy();
  expect(await isTold).toBe(true);
});

const neverAsked: AsyncIterable<SseEvent> = {
  [Symbol.asyncIterator]: () => {
    throw new Error('nobody is there to read');
  },
};
