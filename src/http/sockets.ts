import { STATUS_CODES, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { WebSocketServer, type WebSocket } from 'ws';
import type { Caller } from '../core/caller.ts';
import { originFilter } from './cors.ts';
import type { CorsRules } from '../core/cors-rules.ts';
import { toAnswer } from './error-handler.ts';

const MAX_MESSAGE_BYTES = 20 * 1024 * 1024;
/** Signs of life in a row that a client may leave without an answer. */
const MAX_UNANSWERED = 6;
const SERVICE_RESTART = 1012;

export interface SocketRoute {
  /** Below the prefix under which the API is mounted. The groups are what `open` gets. */
  path: RegExp;
  /** Throws what an HTTP request would be refused with. */
  open(caller: Caller, groups: Record<string, string>): Promise<(socket: WebSocket) => void>;
}

export interface SocketsOptions {
  routes: readonly SocketRoute[];
  corsRules: CorsRules;
  identify: (request: IncomingMessage) => Promise<Caller>;
  heartbeatMs: number;
  log: Logger;
}

/** Turns HTTP requests into WebSockets, for whichever server has got them. */
export class Sockets {
  readonly #options: SocketsOptions;
  readonly #isAllowed: (origin: string) => boolean;
  readonly #server = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES, clientTracking: true });
  readonly #unanswered = new WeakMap<WebSocket, number>();
  readonly #heartbeat: NodeJS.Timeout;

  constructor(options: SocketsOptions) {
    this.#options = options;
    this.#isAllowed = originFilter(options.corsRules);
    this.#heartbeat = setInterval(() => this.#beat(), options.heartbeatMs).unref();
  }

  /** Whether the request was for one of the routes; then it is, or will be, answered. */
  upgrade(request: IncomingMessage, stream: Duplex, head: Buffer, prefix: string): boolean {
    const [path = ''] = (request.url ?? '').split('?');
    if (!path.startsWith(prefix)) return false;
    for (const route of this.#options.routes) {
      const match = route.path.exec(path.slice(prefix.length));
      if (!match) continue;
      void this.#open(route, match.groups ?? {}, { request, stream, head });
      return true;
    }
    return false;
  }

  /** Sends everybody away: clients come back and go on where they were. */
  close(): void {
    clearInterval(this.#heartbeat);
    for (const socket of this.#server.clients) {
      socket.close(SERVICE_RESTART);
      socket.terminate();
    }
  }

  async #open(
    route: SocketRoute,
    groups: Record<string, string>,
    { request, stream, head }: { request: IncomingMessage; stream: Duplex; head: Buffer },
  ): Promise<void> {
    const onError = () => stream.destroy();
    stream.on('error', onError);
    try {
      const { origin } = request.headers;
      if (origin !== undefined && !this.#isAllowed(origin))
        return refuse(stream, 403, `Pages of ${origin} may not connect`);
      const caller = await this.#options.identify(request);
      const begin = await route.open(caller, groups);
      if (stream.destroyed) return;
      stream.off('error', onError);
      this.#server.handleUpgrade(request, stream, head, (socket) => {
        this.#unanswered.set(socket, 0);
        socket.on('pong', () => this.#unanswered.set(socket, 0));
        begin(socket);
      });
    } catch (error) {
      const { status, detail } = toAnswer(error);
      if (status >= 500) this.#options.log.error({ err: error }, 'a WebSocket could not be opened');
      refuse(stream, status, detail);
    }
  }

  /** Also tells proxies that the connection is in use, and finds those that are gone without having said so. */
  #beat(): void {
    for (const socket of this.#server.clients) {
      const unanswered = (this.#unanswered.get(socket) ?? 0) + 1;
      this.#unanswered.set(socket, unanswered);
      if (unanswered > MAX_UNANSWERED) socket.terminate();
      else socket.ping();
    }
  }
}

/**
 * What a server does with a request for another protocol: a WebSocket is opened or refused. Anything else, such as the
 * HTTP/2 that Java's client offers with its first request, a server may pass over: the request is read again without it.
 */
export function onUpgrade(server: Server, sockets: Sockets, prefix: string): void {
  server.on('upgrade', (request, stream, head) => {
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') return readAgain(server, request, stream, head);
    if (!sockets.upgrade(request, stream, head, prefix)) refuse(stream, 404, 'There is no WebSocket here');
  });
}

const OFFER = new Set(['upgrade', 'connection', 'http2-settings']);

function readAgain(
  server: Server,
  { method, url, httpVersion, rawHeaders }: IncomingMessage,
  stream: Duplex,
  head: Buffer,
): void {
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    if (!OFFER.has(name.toLowerCase())) lines.push(`${name}: ${rawHeaders[i + 1]}`);
  }
  stream.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit('connection', stream);
}

function refuse(stream: Duplex, status: number, detail: string): void {
  const body = Buffer.from(detail);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Connection: close',
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${body.length}`,
  ];
  stream.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]));
}
