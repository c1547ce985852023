import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface Received {
  path: string;
  headers: IncomingMessage['headers'];
  body: string;
  /** Of a webhook: whatever the test expects. */
  json: ReturnType<typeof JSON.parse>;
}

/** Somebody who is told of the ends of runs: a real HTTP server on the loopback address. */
export class Receiver {
  readonly received: Received[] = [];
  /** How the next ones are answered. Default: 200. */
  answer: (response: ServerResponse, received: Received) => void = (response) => response.end('thank you');
  readonly #server = createServer();
  #wake = () => {};

  static async start(): Promise<Receiver> {
    const receiver = new Receiver();
    receiver.#server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      void receiver.#take(request, response);
    });
    receiver.#server.listen(0, '127.0.0.1');
    await once(receiver.#server, 'listening');
    return receiver;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Resolves with all when there are as many. */
  async until(count: number, path?: string): Promise<Received[]> {
    const of = () => this.received.filter((one) => path === undefined || one.path === path);
    while (of().length < count) {
      await new Promise<void>((resolve) => {
        const before = this.#wake;
        this.#wake = () => {
          before();
          resolve();
        };
      });
    }
    return of();
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    const { url: path = '', headers } = request;
    const received = { path, headers, body, json: body.startsWith('{') ? (JSON.parse(body) as unknown) : undefined };
    this.received.push(received);
    this.answer(response, received);
    const wake = this.#wake;
    this.#wake = () => {};
    wake();
  }
}
