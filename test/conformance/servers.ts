import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { statSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { loadConfig } from '../../src/config/config.ts';
import { BatonServer } from '../../src/server.ts';

export interface RunningServer {
  url: string;
  stop(): Promise<void>;
}

/** A module of graphs, and the names under which it exports them. */
interface GraphModule {
  file: string;
  ids: readonly string[];
}

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const GRAPH_IDS = [
  'line',
  'chat',
  'canned',
  'asking',
  'twice',
  'parent',
  'failing',
  'spread',
  'mirror',
  'made',
  'typed',
  'odd',
];
const GRAPHS: GraphModule = { file: here('graphs.ts'), ids: GRAPH_IDS };
/** Runs that wait at gates hold a worker each. */
const WORKERS = 40;
const START_MS = 60_000;

/** Baton as it is by default: everything in a Postgres that it brings along. */
export async function startBaton(): Promise<RunningServer> {
  const folder = await mkdtemp(join(tmpdir(), 'conformance-baton-'));
  const configPath = join(folder, 'langgraph.json');
  await writeFile(configPath, JSON.stringify({ graphs: graphPaths(GRAPHS.ids, GRAPHS.file) }));
  const config = loadConfig({ configPath, flags: { port: 0 }, env: {} });
  const worker = { ...config.worker, concurrency: WORKERS, graceMs: 0 };
  const level = process.env['CONFORMANCE_LOG'] ?? 'silent';
  const server = await BatonServer.create({ ...config, worker }, { log: pino({ level }) });
  await server.start();
  return {
    url: server.url ?? '',
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/**
 * The official development server over the same graphs, in a project of its own that has the same version of LangGraph.
 * `group`: the id of its processes' group.
 */
export async function startReference(
  { file, ids }: GraphModule = GRAPHS,
  workers = WORKERS,
): Promise<RunningServer & { group: number }> {
  installReference();
  const project = await mkdtemp(join(tmpdir(), 'conformance-reference-'));
  await symlink(here('reference/node_modules'), join(project, 'node_modules'));
  await copyFile(file, join(project, 'graphs.ts'));
  await writeFile(join(project, 'package.json'), '{ "type": "module" }');
  await writeFile(
    join(project, 'langgraph.json'),
    JSON.stringify({ node_version: '20', env: {}, graphs: graphPaths(ids, './graphs.ts') }),
  );
  const port = await freePort();
  const process = runReference(project, port, workers);
  const output: string[] = [];
  for (const stream of [process.stdout, process.stderr]) stream?.on('data', (text) => output.push(String(text)));
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    await endGroup(process);
    await rm(project, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await answers(url, process);
  } catch (error) {
    await stop();
    throw new Error(`The reference server did not start:\n${output.join('')}`, { cause: error });
  }
  return { url, stop, group: process.pid ?? Number.NaN };
}

function installReference(): void {
  const installed = statSync(here('reference/node_modules/.package-lock.json'), { throwIfNoEntry: false });
  if (installed && installed.mtimeMs > statSync(here('reference/package-lock.json')).mtimeMs) return;
  console.log('Installing the reference server ...');
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--prefix', here('reference')], {
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (status !== 0) throw new Error('npm ci of the reference server failed: it needs the network, once');
}

/** In a process group of its own, since its command line starts another process that serves. */
function runReference(project: string, port: number, workers: number): ChildProcess {
  const cli = here('reference/node_modules/@langchain/langgraph-cli/dist/cli/cli.mjs');
  const options = ['--no-browser', '--no-reload', '-h', '127.0.0.1', '-p', String(port), '-n', String(workers)];
  const { PATH, HOME } = process.env;
  return spawn(process.execPath, [cli, 'dev', ...options], {
    cwd: project,
    env: { PATH, HOME, LANGSMITH_TRACING: 'false', LANGGRAPH_CLI_NO_ANALYTICS: '1', LOG_LEVEL: 'error' },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function answers(url: string, server: ChildProcess): Promise<void> {
  const deadline = Date.now() + START_MS;
  for (;;) {
    const isUp = await fetch(`${url}/ok`, { signal: AbortSignal.timeout(START_MS) }).then(
      (response) => response.ok,
      () => false,
    );
    if (isUp) return;
    if (server.exitCode !== null) throw new Error(`it ended with code ${server.exitCode}`);
    if (Date.now() > deadline) throw new Error(`it did not answer within ${START_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function endGroup(server: ChildProcess): Promise<void> {
  if (server.pid === undefined || server.exitCode !== null || server.signalCode !== null) return;
  const gone = once(server, 'exit');
  process.kill(-server.pid, 'SIGKILL');
  await gone;
}

function graphPaths(ids: readonly string[], file: string): Record<string, string> {
  return Object.fromEntries(ids.map((id) => [id, `${file}:${id}`]));
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise<void>((resolve) => probe.close(() => resolve()));
  return port;
}
