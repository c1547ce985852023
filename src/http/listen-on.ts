import { createServer, STATUS_CODES, type RequestListener, type Server } from 'node:http';
import type { Duplex } from 'node:stream';

/** How long, and how much, a client may send before it is heard. None of it bounds how long an answer takes. */
interface RequestLimits {
  headersMs: number;
  /** From the first byte of the headers to the last one of the body. */
  requestMs: number;
  /** How often the two are looked at. */
  checkEveryMs: number;
  maxHeaderBytes: number;
}

/** The largest body passes in that time over a line of 600 kbit/s. */
const LIMITS: RequestLimits = {
  headersMs: 20_000,
  requestMs: 300_000,
  checkEveryMs: 5000,
  maxHeaderBytes: 16 * 1024,
};
const KEEP_ALIVE_MS = 90_000;

/** Resolves when it listens. Rejects when it cannot, such as on a port that is taken. */
export async function listenOn(
  handler: RequestListener,
  { host, port }: { host: string; port: number },
  limits = LIMITS,
): Promise<Server> {
  const server = createServer(
    {
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: limits.headersMs,
      requestTimeout: limits.requestMs,
      connectionsCheckingInterval: limits.checkEveryMs,
      maxHeaderSize: limits.maxHeaderBytes,
    },
    handler,
  );
  server.on('clientError', (error: NodeJS.ErrnoException, connection) => refuse(error, connection, limits));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return server;
}

/** Open streams would keep the server up for ever: their clients come back and go on where they were. */
export async function closeHttp(server: Server | null): Promise<void> {
  if (!server) return;
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** What could not be read as a request reaches no handler. */
function refuse({ code }: NodeJS.ErrnoException, connection: Duplex, limits: RequestLimits): void {
  if (!connection.writable || code === 'ECONNRESET') return void connection.destroy();
  const [status, detail] = refusalOf(code, limits);
  connection.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(detail)}\r\n\r\n${detail}`,
  );
}

function refusalOf(
  code: string | undefined,
  { headersMs, requestMs, maxHeaderBytes }: RequestLimits,
): [number, string] {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return [431, `Address and headers are larger than ${maxHeaderBytes / 1024} KB: send what is long in the body`];
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return [
      408,
      `The headers took more than ${headersMs / 1000} s, or all of the request more than ${requestMs / 1000} s`,
    ];
  }
  return [400, 'This is no HTTP/1.1 request'];
}
