import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pino, type Logger } from 'pino';
import { loadConfig, type BatonConfig } from '../config/config.ts';
import { BatonServer, type ServerOptions } from '../server.ts';

export interface TestServerOptions {
  /** Graph id -> `path/to/file.ts:export`, from the current folder. */
  graphs: Record<string, string>;
  /** Default: an embedded Postgres of its own, in a temporary folder. */
  databaseUrl?: string;
  /** Default `memory:`. */
  stateUrl?: string;
  /** Default: says nothing. */
  log?: Logger;
  role?: ServerOptions['role'];
  worker?: Partial<BatonConfig['worker']>;
  decorate?: ServerOptions['decorate'];
}

export interface TestServer {
  /** Where it listens, on a port of its own. */
  url: string;
  server: BatonServer;
  /** Stops it and removes what it left on disk. */
  stop(): Promise<void>;
}

/** A whole server for a test: real HTTP, real Postgres, your graphs. */
export async function startTestServer({
  graphs,
  databaseUrl,
  stateUrl = 'memory:',
  log = pino({ level: 'silent' }),
  worker,
  ...options
}: TestServerOptions): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), 'baton-test-server-'));
  const configPath = join(folder, 'langgraph.json');
  const absolute = Object.fromEntries(Object.entries(graphs).map(([id, path]) => [id, resolve(path)]));
  await writeFile(configPath, JSON.stringify({ graphs: absolute }));
  const config = loadConfig({ configPath, flags: { port: 0 }, env: {} });
  const server = await BatonServer.create(
    { ...config, databaseUrl: databaseUrl ?? null, stateUrl, worker: { ...config.worker, graceMs: 0, ...worker } },
    { log, ...options },
  );
  await server.start();
  return {
    url: server.url ?? '',
    server,
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
