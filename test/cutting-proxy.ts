import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Random } from './random.ts';

/**
 * What becomes of a connection when so many bytes of answers have come through it: it ends as if the server had hung up, is
 * reset, is silent for ever, or goes on after a pause. `pass` leaves it alone.
 */
export type Fate = 'pass' | 'cut' | 'reset' | 'stall' | 'delay';

export interface CuttingProxyOptions {
  /** Where connections go on to. It may change: {@link CuttingProxy.target}. */
  target: string;
  seed: number;
  /** One of these for each connection, by chance. */
  fates: readonly Fate[];
  /** So many connections have such a fate; those after them pass. Default: all. */
  faults?: number;
  /** After how many bytes, at least and at most. */
  bytes?: readonly [number, number];
  delayMs?: number;
}

/** A network that cannot be relied on, between clients and a server: the same each time for the same seed. */
export class CuttingProxy {
  target: string;
  /** How many connections have met a fate other than `pass`. */
  struck = 0;
  readonly #options: Required<CuttingProxyOptions>;
  readonly #random: Random;
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  #faultsLeft: number;

  private constructor(options: CuttingProxyOptions) {
    this.#options = { faults: Infinity, bytes: [800, 4000], delayMs: 100, ...options };
    this.target = options.target;
    this.#faultsLeft = this.#options.faults;
    this.#random = new Random(options.seed);
    this.#server = createServer((client) => this.#join(client));
  }

  static async listen(options: CuttingProxyOptions): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(options);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Cuts what is open. */
  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket): void {
    const { fates, bytes, delayMs } = this.#options;
    const { hostname, port } = new URL(this.target);
    const server = connect(Number(port), hostname);
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#open.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        this.#open.delete(one);
        other.destroy();
      });
    }
    client.pipe(server);
    const fate = this.#faultsLeft > 0 ? this.#random.pick(fates) : 'pass';
    if (fate === 'pass') return void server.pipe(client);
    this.#faultsLeft -= 1;
    let left = this.#random.int(...bytes);
    const forward = (chunk: Buffer): void => {
      client.write(chunk.subarray(0, left));
      left -= chunk.length;
      if (left > 0) return;
      server.off('data', forward);
      this.struck += 1;
      this.#strike(fate, { client, server, rest: chunk.subarray(chunk.length + left), delayMs });
    };
    server.on('data', forward);
    server.on('end', () => client.end());
  }

  #strike(
    fate: Exclude<Fate, 'pass'>,
    { client, server, rest, delayMs }: { client: Socket; server: Socket; rest: Buffer; delayMs: number },
  ): void {
    server.pause();
    if (fate === 'cut') client.end(() => server.destroy());
    else if (fate === 'reset') client.resetAndDestroy();
    else if (fate === 'delay') {
      setTimeout(() => {
        client.write(rest);
        server.pipe(client);
      }, delayMs);
    }
  }
}
