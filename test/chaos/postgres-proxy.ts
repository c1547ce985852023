import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';

const NOTIFICATION = 'A'.charCodeAt(0);

/**
 * The network between one process and Postgres, in the hands of the nemesis. It knows enough of the wire to lose or double
 * notifications: `PostgresProxy` listens on TCP, the server on its Unix socket.
 */
export class PostgresProxy {
  /** What becomes of the notifications that come by. */
  notifications: 'pass' | 'lose' | 'double' = 'pass';
  /** How many were lost or doubled. */
  touched = 0;
  /** How long each chunk takes: as with a disk that is slow to commit. */
  delayMs = 0;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  #gate: Promise<void> = Promise.resolve();

  private constructor(socketPath: () => string) {
    this.#server = createServer((client) => this.#join(client, connect(socketPath())));
  }

  static async listen(socketPath: () => string): Promise<PostgresProxy> {
    const proxy = new PostgresProxy(socketPath);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get url(): string {
    return `postgres://baton@127.0.0.1:${(this.#server.address() as AddressInfo).port}/baton`;
  }

  cut(): void {
    for (const client of this.#clients) client.end().destroySoon();
  }

  reset(): void {
    for (const client of this.#clients) client.resetAndDestroy();
  }

  /** Nothing comes through, in either direction, and nothing is lost. */
  async stall(ms: number): Promise<void> {
    this.#gate = pause(ms);
    await this.#gate;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket, server: Socket): void {
    this.#clients.add(client);
    client.once('close', () => this.#clients.delete(client));
    const part = (): void => {
      client.destroy();
      server.destroy();
    };
    pipeline(client, (chunks: AsyncIterable<Buffer>) => this.#passing(chunks), server).then(part, part);
    pipeline(server, (chunks: AsyncIterable<Buffer>) => this.#passing(this.#messages(chunks)), client).then(part, part);
  }

  async *#passing(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      await this.#gate;
      if (this.delayMs > 0) await pause(this.delayMs);
      yield chunk;
    }
  }

  /** The server's messages, whole: a byte that says what it is, then its length without that byte. */
  async *#messages(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let rest: Buffer = Buffer.alloc(0);
    for await (const chunk of chunks) {
      const bytes = Buffer.concat([rest, chunk]);
      const passed: Buffer[] = [];
      let at = 0;
      while (at + 5 <= bytes.length) {
        const end = at + 1 + bytes.readUInt32BE(at + 1);
        if (end > bytes.length) break;
        const message = bytes.subarray(at, end);
        passed.push(...(bytes[at] === NOTIFICATION ? this.#notification(message) : [message]));
        at = end;
      }
      rest = bytes.subarray(at);
      if (passed.length > 0) yield Buffer.concat(passed);
    }
  }

  #notification(message: Buffer): Buffer[] {
    if (this.notifications === 'pass') return [message];
    this.touched += 1;
    return this.notifications === 'lose' ? [] : [message, message];
  }
}
