import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from 'node:http';
import { Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** One end of a connection within the process, and what the client wants the server to know of it. */
class End extends Duplex {
  readonly note: unknown;
  #other: End | null = null;
  #read: (() => void) | null = null;

  private constructor(note: unknown) {
    super();
    this.note = note;
  }

  static pair(note: unknown): [End, End] {
    const [one, two] = [new End(note), new End(note)];
    one.#other = two;
    two.#other = one;
    return [one, two];
  }

  override _read(): void {
    const resume = this.#read;
    this.#read = null;
    resume?.();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const other = this.#other;
    if (!other || other.destroyed) return done();
    if (other.push(chunk)) done();
    else other.#read = done;
  }

  override _final(done: () => void): void {
    this.#other?.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const other = this.#other;
    this.#other = null;
    // Unless this side came to its end, the other one sees a connection that broke.
    if (other && !other.destroyed && !this.writableFinished) setImmediate(() => other.destroy());
    this._read();
    done(error);
  }
}

/**
 * HTTP without a network: requests go to the handler through connections in memory. It is real HTTP all the same, so that
 * streams, back pressure and clients that leave are as they always are.
 */
export class InProcess {
  readonly #server: Server;
  readonly #open = new Set<End>();

  constructor(handler: RequestListener) {
    this.#server = createServer(handler);
  }

  /** As the global `fetch`, to this handler, whatever host the address names. The handler finds `note` by {@link noteOf}. */
  async fetch(input: string | URL | Request, init?: RequestInit, note?: unknown): Promise<Response> {
    const request = new Request(input, init);
    const answer = await this.#send(request, note);
    return toResponse(answer, request);
  }

  /** Breaks what is still open. */
  close(): void {
    for (const end of this.#open) end.destroy();
  }

  #send(request: Request, note: unknown): Promise<IncomingMessage> {
    const { pathname, search, host } = new URL(request.url);
    const headers: Record<string, string> = { host, ...Object.fromEntries(request.headers), connection: 'close' };
    if (request.body) {
      // Said for every method: for some, such as DELETE, Node takes it that there is no body.
      delete headers['content-length'];
      headers['transfer-encoding'] = 'chunked';
    }
    const [client, server] = End.pair(note);
    this.#open.add(client);
    client.once('close', () => this.#open.delete(client));
    this.#server.emit('connection', server);
    return new Promise((resolve, reject) => {
      const sent = httpRequest({
        method: request.method,
        path: pathname + search,
        headers,
        createConnection: () => client,
        signal: request.signal,
      });
      const fail = (error: Error) => reject(request.signal.aborted ? (request.signal.reason as Error) : error);
      sent.once('response', resolve).once('error', fail);
      if (!request.body) sent.end();
      else pipeline(Readable.fromWeb(request.body), sent).catch(fail);
    });
  }
}

/** What a request within the process was sent with; undefined for one that came over a network. */
export function noteOf(request: IncomingMessage): unknown {
  return request.socket instanceof End ? request.socket.note : undefined;
}

/** They belong to the one connection. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding']);

function toResponse(answer: IncomingMessage, request: Request): Response {
  const headers = new Headers();
  for (const [name, values] of Object.entries(answer.headersDistinct)) {
    if (HOP_BY_HOP.has(name)) continue;
    for (const value of values ?? []) headers.append(name, value);
  }
  const status = answer.statusCode ?? 500;
  const hasBody = request.method !== 'HEAD' && ![204, 205, 304].includes(status);
  if (!hasBody) answer.resume();
  const body = hasBody ? (Readable.toWeb(answer) as ReadableStream<Uint8Array>) : null;
  return new Response(body, { status, statusText: answer.statusMessage ?? '', headers });
}
