import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { startReference } from '../test/conformance/servers.ts';

const GRAPHS = fileURLToPath(new URL('graphs.ts', import.meta.url));
const IDS = ['three', 'talk'];
/** The default of both. */
const WORKERS = 10;

export interface ApiServer {
  name: string;
  url: string;
  /** Memory of its Node processes, in bytes; NaN where /proc does not show it. */
  residentBytes(): number;
  stop(): Promise<void>;
}

/** `baton start` in a process of its own. */
export async function startBaton(databaseUrl: string): Promise<ApiServer> {
  const folder = await mkdtemp(join(tmpdir(), 'baton-bench-'));
  const config = join(folder, 'langgraph.json');
  await writeFile(config, JSON.stringify({ graphs: Object.fromEntries(IDS.map((id) => [id, `${GRAPHS}:${id}`])) }));
  const bin = fileURLToPath(new URL('../bin/baton.js', import.meta.url));
  const server = spawn(process.execPath, [bin, 'start', '--config', config, '--port', '0', '-n', String(WORKERS)], {
    env: { ...process.env, DATABASE_URL: databaseUrl, BATON_LOG_LEVEL: 'error' },
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let url: string | undefined;
  for await (const line of createInterface(server.stdout)) {
    url = /http:\/\/\S+/.exec(line)?.[0];
    if (url !== undefined) break;
  }
  if (url === undefined) throw new Error('baton did not start');
  return {
    name: 'Baton',
    url,
    residentBytes: () => residentBytes(server.pid ?? Number.NaN),
    stop: async () => {
      const gone = once(server, 'exit');
      server.kill();
      await gone;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The official development server, which keeps everything in memory. */
export async function startDevServer(): Promise<ApiServer> {
  const { group, ...reference } = await startReference({ file: GRAPHS, ids: IDS }, WORKERS);
  return { ...reference, name: 'dev server', residentBytes: () => residentBytes(group) };
}

const PAGE_BYTES = 4096;

function residentBytes(group: number): number {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => bytesIfOf(group, pid))
      .reduce((sum, bytes) => sum + bytes, 0);
  } catch {
    return Number.NaN;
  }
}

function bytesIfOf(group: number, pid: string): number {
  try {
    const [, , processGroup] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    if (Number(processGroup) !== group) return 0;
    return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES;
  } catch {
    return 0; // it has ended meanwhile
  }
}
