import express from 'express';
import { once } from 'node:events';
import { Agent, createServer, request, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApiKey } from '../../src/auth/api-keys.ts';
import { parseApiKeys } from '../../src/config/api-keys.ts';
import { uuidv7 } from '../../src/core/ids.ts';
import { call } from '../sdk/fixtures/call.ts';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';

const file = fileURLToPath(new URL('fixtures/apps.ts', import.meta.url));
const appOf = (exportName: string) => ({ file, exportName });
const input = { log: [] };

/** What `fetch` would not send as it is, or on a connection of its choice. */
async function raw(
  url: string,
  method: string,
  path: string,
  { agent, body }: { agent?: Agent; body?: string } = {},
): Promise<number | undefined> {
  const { hostname, port } = new URL(url);
  const sent = request({ hostname, port, method, path, agent }).end(body);
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  answer.resume();
  return answer.statusCode;
}

describe.each(['hono', 'expressApp', 'fetchOnly'])('the project’s own app (%s)', (exportName) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ stateUrl: 'memory:', http: { app: appOf(exportName) } });
  });
  afterAll(() => server.stop());
  const wraps = exportName !== 'fetchOnly';

  it('has routes that win over built-in ones', async () => {
    const answer = await call(`${server.url}/runs/afakeroute`, 'GET');
    expect(answer).toMatchObject({ status: 200, text: 'mine' });
    expect(answer.headers.get('x-own')).toBe('wrapped');
  });

  it.each([
    ['TRACE', '/ok'],
    ['GET', '//'],
    ['GET', '//runs/afakeroute'],
  ])('takes %s %s for what nobody serves', async (method, path) => {
    expect(await raw(server.url, method, path)).toBe(404);
  });

  it('answers the next request on a connection, though nobody has read the body of the last', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    expect(await raw(server.url, 'POST', '/nowhere', { agent, body: 'x'.repeat(1_000_000) })).toBe(404);
    expect(await raw(server.url, 'GET', '/ok', { agent })).toBe(200);
    agent.destroy();
  });

  it('leaves the API as it is', async () => {
    const { client } = server;
    const { thread_id } = await client.threads.create({ metadata: { ü: '€' } });
    expect(await client.runs.wait(thread_id, 'line', { input })).toEqual({ log: ['a', 'b', 'c'] });
    await client.threads.delete(thread_id);
    await expect(client.threads.get(thread_id)).rejects.toThrow(/404.*not found/);
    await client.store.putItem(['people'], 'a', { age: 5 });
    await client.store.deleteItem(['people'], 'a');
    expect(await client.store.getItem(['people'], 'a')).toBeNull();
    const info = await call(`${server.url}/info`, 'GET', undefined, { origin: 'http://page' });
    expect(info.json).toMatchObject({ context: 'js' });
    expect(info.headers.get('x-own')).toBe(wraps ? 'wrapped' : null);
    expect(info.headers.get('access-control-allow-origin')).toBe('*');
    expect(info.headers.get('connection')).toBe('keep-alive');
  });

  if (wraps) {
    it('may change what is asked for', async () => {
      const { client } = server;
      for (const way of exportName === 'hono' ? ['json', 'raw', 'read'] : ['json']) {
        const { thread_id } = await client.threads.create();
        const body = { assistant_id: 'line', input };
        const { json } = await call(`${server.url}/threads/${thread_id}/runs/wait`, 'POST', body, { 'x-rewrite': way });
        expect(json).toEqual({ log: way === 'read' ? ['a', 'b', 'c'] : ['middleware', 'a', 'b', 'c'] });
      }
    });
  }

  it('lets events through as they come, and the client’s departure', async () => {
    const { client } = server;
    const { thread_id } = await client.threads.create();
    const name = uuidv7();
    const body = {
      assistant_id: 'line',
      input,
      stream_mode: 'updates',
      on_disconnect: 'cancel',
      config: { configurable: { gate: name } },
    };
    const leave = new AbortController();
    const response = await fetch(`${server.url}/threads/${thread_id}/runs/stream`, {
      method: 'POST',
      body: JSON.stringify(body),
      signal: leave.signal,
    });
    expect(response.headers.get('content-location')).toMatch(new RegExp(`^/threads/${thread_id}/runs/`));
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let seen = '';
    while (!seen.includes('"a"')) seen += (await reader?.read())?.value ?? '';
    leave.abort();
    const [run] = await client.runs.list(thread_id);
    await client.runs.join(thread_id, run?.run_id ?? '');
    expect(await client.runs.get(thread_id, run?.run_id ?? '')).toMatchObject({ status: 'interrupted' });
  });

  it('does not lift limits, nor hide what is not there', async () => {
    const large = JSON.stringify({ metadata: { x: 'x'.repeat(21 * 1024 * 1024) } });
    expect(await call(`${server.url}/threads`, 'POST', large)).toMatchObject({ status: 413 });
    for (const method of ['GET', 'POST']) {
      const answer = await call(`${server.url}/nowhere`, method, method === 'POST' ? {} : undefined);
      expect(answer).toMatchObject({ status: 404, text: `There is no ${method} /nowhere: /docs shows what there is` });
    }
  });
});

describe('a Hono app', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ stateUrl: 'memory:', worker: false, http: { app: appOf('hono') } });
  });
  afterAll(() => server.stop());

  it('streams, echoes, sets cookies', async () => {
    const leave = new AbortController();
    const events = await fetch(`${server.url}/own/events`, { signal: leave.signal });
    const first = await events.body?.getReader().read();
    expect(new TextDecoder().decode(first?.value)).toBe('event: one\ndata: 1\n\n');
    leave.abort();
    const text = 'x'.repeat(300_000);
    expect((await call(`${server.url}/own/echo`, 'POST', text)).text).toBe(text);
    const { status, headers } = await call(`${server.url}/own/cookies`, 'GET');
    expect([status, headers.getSetCookie()]).toEqual([204, ['a=1', 'b=2']]);
  });

  it('that fails shows no more than that', async () => {
    const answer = await call(`${server.url}/own/fault`, 'GET');
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain('hunter2');
  });

  it('serves two servers of one process, each with its own API behind', async () => {
    const other = await testServer({ stateUrl: 'memory:', worker: false, http: { app: appOf('hono') } });
    const { thread_id } = await server.client.threads.create();
    expect(await call(`${server.url}/threads/${thread_id}`, 'GET')).toMatchObject({ status: 200 });
    expect(await call(`${other.url}/threads/${thread_id}`, 'GET')).toMatchObject({ status: 404 });
    await other.stop();
  });

  it('can be mounted with the API, and leaves the rest to the app around', async () => {
    const app = express().use('/agents', server.baton.router);
    app.get('/agents/further', (_req, res) => void res.send('further on'));
    const host = createServer(app).listen(0, '127.0.0.1');
    await once(host, 'listening');
    const base = `http://127.0.0.1:${(host.address() as AddressInfo).port}/agents`;
    expect(await call(`${base}/runs/afakeroute`, 'GET')).toMatchObject({ text: 'mine' });
    expect(await call(`${base}/further`, 'GET')).toMatchObject({ text: 'further on' });
    const { thread_id } = (await call(`${base}/threads`, 'POST', {})).json;
    const { headers } = await call(`${base}/threads/${thread_id}/runs`, 'POST', { assistant_id: 'line', input });
    expect(headers.get('content-location')).toMatch(new RegExp(`^/agents/threads/${thread_id}/runs/`));
    host.closeAllConnections();
    host.close();
  });
});

describe('where authentication is configured', () => {
  const { key, entry } = createApiKey('me', []);
  const auth = { apiKeys: parseApiKeys(entry) };

  it('the app’s routes ask for a login as the API’s do', async () => {
    const server = await testServer({ stateUrl: 'memory:', worker: false, auth, http: { app: appOf('hono') } });
    for (const path of ['/runs/afakeroute', '/assistants/line']) {
      expect(await call(server.url + path, 'GET')).toMatchObject({ status: 401 });
      expect(await call(server.url + path, 'GET', undefined, { 'x-api-key': key })).toMatchObject({ status: 200 });
    }
    expect(await call(`${server.url}/info`, 'GET')).toMatchObject({ status: 200 });
    await server.stop();
  });

  it('unless they need not', async () => {
    const http = { app: appOf('hono'), guardApp: false };
    const server = await testServer({ stateUrl: 'memory:', worker: false, auth, http });
    expect(await call(`${server.url}/runs/afakeroute`, 'GET')).toMatchObject({ status: 200 });
    expect(await call(`${server.url}/assistants/line`, 'GET')).toMatchObject({ status: 401 });
    await server.stop();
  });
});

describe('what is no app', () => {
  it.each([
    ['nothing', /names neither a Hono app nor an Express app/],
    ['missing', /http\.app .*apps\.ts \(export "missing"\) cannot be used: there is no such export/],
  ])('keeps the server from starting: %s', async (exportName, message) => {
    await expect(testServer({ stateUrl: 'memory:', http: { app: appOf(exportName) } })).rejects.toThrow(message);
  });
});

describe('the way home', () => {
  const graphs = {
    callsHome: {
      file: fileURLToPath(new URL('fixtures/caller-graph.ts', import.meta.url)),
      exportName: 'callsHome',
      description: null,
    },
  };

  it('leads code without an address to its own server, from nodes and from routes', async () => {
    const [one, two] = await Promise.all([
      testServer({ stateUrl: 'memory:', graphs, http: { app: appOf('hono'), mountPrefix: '/api' } }),
      testServer({ stateUrl: 'memory:', graphs, http: { app: appOf('expressApp') } }),
    ]);
    await one.client.assistants.create({ graphId: 'line', name: 'only in one' });
    for (const server of [one, two, one]) {
      const { names, log } = (await server.client.runs.wait(null, 'callsHome', { input: { log: [] } })) as {
        names: string[];
        log: string[];
      };
      expect(names.includes('only in one')).toBe(server === one);
      expect(log).toEqual(['a', 'b', 'c']);
      const { json } = await call(`${server.url}/own/assistants`, 'GET');
      expect(json.some(({ name }: { name: string }) => name === 'only in one')).toBe(server === one);
    }
    await Promise.all([one.stop(), two.stop()]);
    expect(Reflect.get(globalThis, Symbol.for('langgraph_api:fetch'))).toBeUndefined();
  });
});
