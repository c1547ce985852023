import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket, type WebSocket as Accepted } from 'ws';
import { everything, NOBODY, RequestCaller } from '../../src/auth/request-caller.ts';
import { UnauthorizedError } from '../../src/core/errors.ts';
import { DEFAULT_CORS_RULES } from '../../src/http/cors.ts';
import { onUpgrade, Sockets } from '../../src/http/sockets.ts';

let server: Server;
let sockets: Sockets;
let port: number;
let accept: (socket: Accepted) => void;

beforeAll(async () => {
  sockets = new Sockets({
    routes: [
      {
        path: /^\/echo\/(?<word>\w+)$/,
        open: async (_caller, { word }) => {
          return (socket) => {
            accept?.(socket);
            socket.send(word ?? '');
          };
        },
      },
    ],
    corsRules: DEFAULT_CORS_RULES,
    identify: async ({ headers }) => {
      if (headers['x-api-key'] === 'wrong') throw new UnauthorizedError('Who are you?');
      return new RequestCaller(NOBODY, everything);
    },
    heartbeatMs: 20,
    log: pino({ level: 'silent' }),
  });
  server = createServer((request, response) => {
    void text(request).then((body) => response.end(`${request.method} ${request.url} ${body}`));
  });
  onUpgrade(server, sockets, '/below');
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as AddressInfo);
});
afterAll(() => {
  sockets.close();
  server.close();
  server.closeAllConnections();
});

/** Sends bytes as they are and resolves with the first ones of the answer. */
async function talk(text: string): Promise<{ answer: string; socket: Socket }> {
  const socket = connect(port, '127.0.0.1');
  socket.write(text);
  const [data] = (await once(socket, 'data')) as [Buffer];
  return { answer: String(data), socket };
}

const handshake = (path: string, more = '') =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${more}\r\n`;

it('opens a socket below its prefix, for whoever may', async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/below/echo/hello`);
  const [message] = (await once(socket, 'message')) as [Buffer];
  expect(String(message)).toBe('hello');
  socket.close();
  const refusals = await Promise.all([
    talk(handshake('/echo/hello')),
    talk(handshake('/below/elsewhere')),
    talk(handshake('//')),
    talk(handshake('http://[')),
    talk(handshake('/below/echo/hello', 'x-api-key: wrong\r\n')),
  ]);
  expect(refusals.map(({ answer }) => answer.split('\r\n')[0])).toEqual([
    'HTTP/1.1 404 Not Found',
    'HTTP/1.1 404 Not Found',
    'HTTP/1.1 404 Not Found',
    'HTTP/1.1 404 Not Found',
    'HTTP/1.1 401 Unauthorized',
  ]);
  expect(refusals.at(-1)?.answer).toContain('Who are you?');
});

it('cuts a client that is gone without having said so', async () => {
  const accepted = new Promise<Accepted>((resolve) => {
    accept = resolve;
  });
  const { answer, socket } = await talk(handshake('/below/echo/hello'));
  expect(answer).toContain('101 Switching Protocols');
  const closed = once(await accepted, 'close');
  // Nothing is ever answered from here on.
  socket.resume();
  expect((await closed)[0]).toBe(1006);
});

it('takes a request that offers another protocol for what it is without the offer', async () => {
  const body = '{"a":1}';
  const { answer, socket } = await talk(
    `POST /plain HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  expect(answer).toContain('200 OK');
  expect(answer).toContain(`POST /plain ${body}`);
  socket.destroy();
});
