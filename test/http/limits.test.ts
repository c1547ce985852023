import { once } from 'node:events';
import type { Server, ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { uuidv7 } from '../../src/core/ids.ts';
import { closeHttp, listenOn } from '../../src/http/listen-on.ts';
import { call } from '../sdk/fixtures/call.ts';
import { command, RawSocket } from '../sdk/fixtures/protocol.ts';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';

/** All that a server says to these bytes before it hangs up. */
async function saysTo(port: number, ...pieces: string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  for (const piece of pieces) socket.write(piece);
  return text(socket);
}

describe('a server', () => {
  let server: TestServer;
  let port: number;
  beforeAll(async () => {
    server = await testServer({ stateUrl: 'memory:' });
    port = Number(new URL(server.url).port);
  });
  afterAll(() => server.stop());

  it('says what to do with what is too large', async () => {
    const advice = expect.stringMatching(/larger than 20 MB: keep large documents outside/);
    const large = JSON.stringify({ metadata: { x: 'x'.repeat(21 * 1024 * 1024) } });
    expect(await call(`${server.url}/threads`, 'POST', large)).toMatchObject({ status: 413, text: advice });
    const packed = await fetch(`${server.url}/threads`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      body: gzipSync(large),
    });
    expect([packed.status, await packed.text()]).toEqual([413, advice]);
    const headers = `GET /ok HTTP/1.1\r\nHost: x\r\nx-long: ${'x'.repeat(20_000)}\r\n\r\n`;
    expect(await saysTo(port, headers)).toMatch(/^HTTP\/1.1 431 [^]*larger than 16 KB: send what is long in the body$/);
    expect(await saysTo(port, 'nonsense\r\n\r\n')).toMatch(/^HTTP\/1.1 400 [^]*no HTTP/);
  });

  it('takes a text for no depth', async () => {
    const quoted = ['['.repeat(600), '\\"'.repeat(600), `\\${'{"'.repeat(600)}`, '\\'];
    const { json } = await call(`${server.url}/threads`, 'POST', { metadata: { quoted, [quoted[1] ?? '']: [[]] } });
    expect(json.metadata.quoted).toEqual(quoted);
  });

  // Parsed, each would keep the server from everything else for a second.
  it.each([
    ['[', ']'],
    ['{"a":', '}'],
  ])('is not brought down by %s a million times', async (open, close) => {
    const bomb = (value: string) => open.repeat(1_000_000) + value + close.repeat(1_000_000);
    for (const [method, path] of [
      ['POST', '/threads'],
      ['POST', '/threads/search'],
      ['POST', '/runs'],
      ['POST', `/threads/${uuidv7()}/commands`],
      ['PUT', '/store/items'],
      ['POST', '/mcp'],
      ['POST', '/a2a/line'],
    ] as const) {
      const accept = { accept: 'application/json, text/event-stream' };
      const { status } = await call(server.url + path, method, bomb('1'), accept);
      expect([method, path, status]).toEqual([method, path, 422]);
      const inside = `{"jsonrpc": "2.0", "id": 1, "method": "state.get", "params": {"a": ${bomb('1')}}}`;
      expect((await call(server.url + path, method, inside, accept)).status).toBe(422);
    }
    const socket = await RawSocket.open(server.url, uuidv7());
    socket.sendText(`{"id": 3, "method": "state.get", "params": ${bomb('1')}}`);
    expect(await socket.frame(({ type }) => type === 'error')).toMatchObject({ error: 'invalid_argument' });
    socket.close();
  });

  it('hangs up on a WebSocket that sends too much at once, and goes on', async () => {
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/threads/${uuidv7()}/stream/events`);
    await once(socket, 'open');
    const closed = once(socket, 'close');
    socket.on('error', () => undefined);
    socket.send('x'.repeat(20 * 1024 * 1024 + 1));
    expect((await closed)[0]).toBe(1009);
    expect((await command(server.url, uuidv7(), 'state.get')).type).toBe('error');
  });

  it('answers while hundreds are connected and say nothing, or listen', async () => {
    const idle: Socket[] = [];
    for (let i = 0; i < 300; i++) {
      const socket = connect(port, '127.0.0.1');
      idle.push(socket);
      await once(socket, 'connect');
    }
    const { thread_id } = await server.client.threads.create();
    const leave = new AbortController();
    const listeners = await Promise.all(
      Array.from({ length: 100 }, () => fetch(`${server.url}/threads/${thread_id}/stream`, { signal: leave.signal })),
    );
    expect(new Set(listeners.map(({ status }) => status))).toEqual(new Set([200]));
    expect(await server.client.runs.wait(thread_id, 'line', { input: { log: [] } })).toMatchObject({
      log: ['a', 'b', 'c'],
    });
    leave.abort();
    for (const socket of idle) socket.destroy();
    expect((await call(`${server.url}/ok`, 'GET')).status).toBe(200);
  });
});

describe('a slow client', () => {
  const LIMITS = { headersMs: 100, requestMs: 200, checkEveryMs: 20, maxHeaderBytes: 1024 };
  let server: Server;
  let port: number;
  let answering: (response: ServerResponse) => void;
  beforeAll(async () => {
    server = await listenOn(
      (request, response) => {
        void text(request).then(
          () => answering(response),
          () => undefined,
        );
      },
      { host: '127.0.0.1', port: 0 },
      LIMITS,
    );
    ({ port } = server.address() as AddressInfo);
  });
  afterAll(() => closeHttp(server));

  it.each([
    ['nothing', ''],
    ['half of its headers', 'POST /threads HTTP/1.1\r\nHost: x\r\nx-a:'],
    ['half of its body', 'POST /threads HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"a"'],
    ['a chunk now and then', 'POST /threads HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n'],
  ])('is sent away when it has sent %s', async (_what, bytes) => {
    expect(await saysTo(port, bytes)).toMatch(/^HTTP\/1.1 408 [^]*took more than 0.1 s, [^]*more than 0.2 s$/);
  });

  it('is answered for as long as the answer takes', async () => {
    answering = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      let beats = 0;
      const beat = setInterval(() => {
        response.write(`: ${beats}\n\n`);
        if (++beats < 10) return;
        clearInterval(beat);
        response.end('done');
      }, LIMITS.requestMs / 5);
    };
    expect(await saysTo(port, 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).toContain('done');
  });
});
