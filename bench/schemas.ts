import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { loadConfig } from '../src/config/config.ts';
import { startPostgres } from '../src/database/embedded/start-postgres.ts';
import { BatonServer } from '../src/server.ts';

const ROUNDS = 5;
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const GRAPHS = {
  zod: `${ROOT}test/engine/graphs/fixtures/zod-graph.ts:zodGraph`,
  typed: `${ROOT}test/engine/graphs/fixtures/typed-graphs.ts:typed`,
};
const log = pino({ level: 'error' });

/** How long the first person who asks a fresh server for a graph's schemas waits: each round is a server of its own. */
export async function benchSchemas(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'baton-bench-'));
  const postgres = await startPostgres({ dataDir: join(folder, 'postgres'), log });
  const took: Record<string, number[]> = {};
  for (let round = 0; round < ROUNDS; round++) {
    const dataDir = await mkdtemp(join(folder, 'data-'));
    await askedFirst(took, { 'zod graph': 'zod', 'TypeScript graph, never read before': 'typed' }, dataDir);
    await askedFirst(took, { 'TypeScript graph, as it was read before': 'typed' }, dataDir);
  }
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
  report(took);

  async function askedFirst(into: Record<string, number[]>, asked: Record<string, string>, dataDir: string) {
    const configPath = join(folder, 'langgraph.json');
    await writeFile(configPath, JSON.stringify({ graphs: GRAPHS }));
    const config = loadConfig({ configPath, flags: { port: 0 }, env: { DATABASE_URL: postgres.url } });
    // The compiler is this checkout's.
    const baton = await BatonServer.create({ ...config, projectDir: ROOT, dataDir }, { log });
    await baton.start();
    await fetch(`${baton.url}/ok`);
    for (const [name, graphId] of Object.entries(asked)) {
      const began = performance.now();
      const answer = await fetch(`${baton.url}/assistants/${graphId}/schemas`);
      const text = await answer.text();
      (into[name] ??= []).push(performance.now() - began);
      if (!text.includes('required')) throw new Error(`no whole schema of ${name}: ${text}`);
    }
    await baton.stop();
  }
}

function report(took: Record<string, number[]>): void {
  const medians = Object.entries(took).map(
    ([name, times]) => [name, times.sort((a, b) => a - b)[times.length >> 1] ?? 0] as const,
  );
  const least = medians[0]?.[1] ?? 1;
  console.log(`\nFirst answer of /assistants/:id/schemas after start, median of ${ROUNDS} servers`);
  console.table(medians.map(([graph, ms]) => ({ graph, ms: ms.toFixed(1), ratio: (ms / least).toFixed(1) })));
}
