import { Client } from '@langchain/langgraph-sdk';
import express from 'express';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import { call, collect } from './fixtures/call.ts';
import { gate } from './fixtures/gates.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

let one: TestServer;
let two: TestServer;
let host: Server;
let base: string;
let breakConnections: () => void;

/** Two servers of one process, each with a database of its own, in an app that has routes and parsers of its own. */
beforeAll(async () => {
  [one, two] = await Promise.all([testServer({ stateUrl: 'memory:' }), testServer({ stateUrl: 'memory:' })]);
  const app = express();
  app.use('/agents/one', one.baton.router);
  app.use(express.json());
  app.use('/agents/two', two.baton.router);
  app.use('/', one.baton.router);
  app.post('/form', express.text({ type: '*/*' }), (req, res) => void res.send(`own: ${String(req.body)}`));
  host = createServer(app).listen(0, '127.0.0.1');
  await once(host, 'listening');
  base = `http://127.0.0.1:${(host.address() as AddressInfo).port}`;
  breakConnections = () => host.closeAllConnections();
});
afterAll(async () => {
  host.closeAllConnections();
  host.close();
  await Promise.all([one.stop(), two.stop()]);
});

const input = { log: [] };

it.each(['/agents/one', '/agents/two', ''])('serves the whole API under "%s"', async (prefix) => {
  const client = new Client({ apiUrl: base + prefix, apiKey: null });
  const { thread_id } = await client.threads.create();
  expect(await client.runs.wait(thread_id, 'line', { input })).toEqual({ log: ['a', 'b', 'c'] });
  const { headers } = await call(`${base}${prefix}/threads/${thread_id}/runs`, 'POST', { assistant_id: 'line', input });
  expect(headers.get('content-location')).toMatch(new RegExp(`^${prefix}/threads/${thread_id}/runs/`));
  const docs = await call(`${base}${prefix}/docs`, 'GET');
  expect(docs.text).toContain('/threads/{thread_id}/runs');
  const { json } = await call(`${base}${prefix}/openapi.json`, 'GET');
  expect(json.servers).toEqual([{ url: prefix || '/' }]);
});

it('keeps two servers of one process apart', async () => {
  const { thread_id } = await one.client.threads.create();
  const elsewhere = new Client({ apiUrl: `${base}/agents/two`, apiKey: null });
  await expect(elsewhere.threads.get(thread_id)).rejects.toThrow(/404/);
});

it('leaves the routes of the app around to it', async () => {
  const answer = await call(`${base}/form`, 'POST', 'not { json', { 'content-type': 'text/plain' });
  expect(answer.text).toBe('own: not { json');
});

it('lets the client come back to a broken stream under its prefix', async () => {
  const client = new Client({ apiUrl: `${base}/agents/one`, apiKey: null });
  const { thread_id } = await client.threads.create();
  const name = uuidv7();
  const stream = client.runs.stream(thread_id, 'line', {
    input,
    streamMode: 'updates',
    config: { configurable: { gate: name } },
  });
  const seen: string[] = [];
  for await (const { id, event } of stream) {
    seen.push(`${id} ${event}`);
    if (seen.length !== 2) continue;
    breakConnections();
    gate(name).open();
  }
  expect(seen).toEqual(['0 metadata', '1 updates', '2 updates', '3 updates']);
});

it('streams through the same process to readers of either router', async () => {
  const { thread_id } = await one.client.threads.create();
  const run = await one.client.runs.create(thread_id, 'line', { input });
  const clients = ['/agents/one', ''].map((prefix) => new Client({ apiUrl: base + prefix, apiKey: null }));
  const [first, second] = await Promise.all(
    clients.map((client) => collect(client.runs.joinStream(thread_id, run.run_id))),
  );
  expect(first).toEqual(second);
});
