import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

class Gate {
  open = false;
  readonly #waiting: ServerResponse[] = [];
  #arrived: () => void = () => {};
  readonly reached = new Promise<void>((resolve) => {
    this.#arrived = resolve;
  });

  arrive(res: ServerResponse): void {
    this.#arrived();
    if (this.open) res.end();
    else this.#waiting.push(res);
  }

  letThrough(): void {
    this.open = true;
    for (const res of this.#waiting.splice(0)) res.end();
  }
}

/** Gates that nodes of any process wait at, by HTTP: nothing is timed. */
export class Gates {
  readonly #gates = new Map<string, Gate>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((req, res) => this.#gate(req.url ?? '').arrive(res));
  }

  static async listen(): Promise<Gates> {
    const gates = new Gates();
    await new Promise<void>((resolve) => gates.#server.listen(0, '127.0.0.1', resolve));
    return gates;
  }

  address(name: string): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/${name}`;
  }

  async reached(name: string): Promise<void> {
    await this.#gate(`/${name}`).reached;
  }

  open(name: string): void {
    this.#gate(`/${name}`).letThrough();
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #gate(path: string): Gate {
    const known = this.#gates.get(path) ?? new Gate();
    this.#gates.set(path, known);
    return known;
  }
}
