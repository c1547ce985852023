import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AddressInfo, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { createClient, RESP_TYPES } from '@redis/client';

/** A real Redis in a directory of its own, on a socket in it. It can be killed and started again, and has what it had on disk. */
export class RedisServer {
  readonly #directory: string;
  readonly #args: readonly string[];
  #end: () => Promise<void>;

  private constructor(directory: string, args: readonly string[], end: () => Promise<void>) {
    this.#directory = directory;
    this.#args = args;
    this.#end = end;
  }

  /** Null when there is no `redis-server` on the path. */
  static async start(args: readonly string[] = []): Promise<RedisServer | null> {
    const directory = await mkdtemp(join(tmpdir(), 'baton-redis-'));
    const end = await spawnServer(directory, args);
    if (end !== null) return new RedisServer(directory, args, end);
    await rm(directory, { recursive: true });
    return null;
  }

  get url(): string {
    return `redis+unix://${this.#socket}`;
  }

  get #socket(): string {
    return join(this.#directory, 'redis.sock');
  }

  /** One command, past all drivers. */
  ask<T>(...args: string[]): Promise<T> {
    return this.#ask((client) => client.sendCommand<T>(args));
  }

  /** The same, with all texts of the answer as the bytes that they are. */
  askBytes(...args: string[]): Promise<Buffer | Buffer[]> {
    return this.#ask((client) => client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }).sendCommand(args));
  }

  async #ask<T>(send: (client: ReturnType<typeof clientOf>) => Promise<T>): Promise<T> {
    const client = clientOf(this.#socket);
    await client.connect();
    try {
      return await send(client);
    } finally {
      client.destroy();
    }
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.#end();
  }

  async startAgain(args: readonly string[] = []): Promise<void> {
    this.#end = (await spawnServer(this.#directory, [...this.#args, ...args])) ?? this.#end;
  }

  async stop(): Promise<void> {
    await this.#end();
    // A child that it forked may still write, for a moment.
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function clientOf(path: string) {
  return createClient({ socket: { path, tls: false }, RESP: 2 });
}

/** Resolves when it answers, with the way to kill it; with null when it is not installed. */
async function spawnServer(directory: string, args: readonly string[]): Promise<(() => Promise<void>) | null> {
  const common = [
    '--port',
    '0',
    '--unixsocket',
    'redis.sock',
    '--save',
    '',
    '--appendonly',
    'yes',
    '--daemonize',
    'no',
  ];
  const child = spawn('redis-server', [...common, ...args], { cwd: directory, stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const told: string[] = [];
  try {
    await once(child, 'spawn');
  } catch (error) {
    exited.catch(() => undefined);
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const lines = createInterface(child.stdout);
  const ready = (async () => {
    for await (const line of lines) {
      told.push(line);
      if (/ready to accept connections/i.test(line)) return;
    }
    throw new Error(`redis-server did not start:\n${told.join('\n')}`);
  })();
  await ready;
  child.stdout.resume();
  return async () => {
    child.kill('SIGKILL');
    await exited;
  };
}
