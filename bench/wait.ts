import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { openState } from '../src/state/open-state.ts';
import { startTestServer } from '../src/testing/index.ts';
import { benchDatabase } from './bench-database.ts';
import { quantile } from './figures.ts';
import { builder } from './graphs.ts';

const WARM_UP = 30;
const ROUNDS = 200;
const log = pino({ level: 'error' });

/** How much `runs/wait` adds to the graph itself: both on the same Postgres, fsync on, both durable after every node, in turn. */
export async function benchWait(): Promise<void> {
  const database = await benchDatabase(log);
  const baton = await startTestServer({
    graphs: { three: `${fileURLToPath(new URL('graphs.ts', import.meta.url))}:three` },
    databaseUrl: database.url,
    stateUrl: database.url,
    log,
  });
  const saver = await openState({ url: database.url, log });
  const bare = builder.compile({ checkpointer: saver });

  const inProcess = async () => {
    const { n } = await bare.invoke({ n: 0 }, { configurable: { thread_id: randomUUID() }, durability: 'sync' });
    return n;
  };
  const overHttp = async () => {
    const answer = await fetch(`${baton.url}/threads/${randomUUID()}/runs/wait`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ assistant_id: 'three', input: { n: 0 }, if_not_exists: 'create' }),
    });
    return ((await answer.json()) as { n: number }).n;
  };

  const bareMs: number[] = [];
  const waitMs: number[] = [];
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    const took = [await timed(inProcess), await timed(overHttp)] as const;
    if (round < 0) continue;
    bareMs.push(took[0]);
    waitMs.push(took[1]);
  }
  report(bareMs, waitMs);

  await saver.close();
  await baton.stop();
  await database.close();
}

async function timed(work: () => Promise<number>): Promise<number> {
  const began = performance.now();
  if ((await work()) !== 3) throw new Error('the graph did not count to three');
  return performance.now() - began;
}

function report(bareMs: number[], waitMs: number[]): void {
  console.log(
    `\nruns/wait of a 3-node graph against graph.invoke in process: ${ROUNDS} in turn, one at a time, fsync on`,
  );
  const rows = (
    [
      ['median', 0.5],
      ['p95', 0.95],
    ] as const
  ).map(([name, q]) => {
    const [bare, wait] = [quantile(bareMs, q), quantile(waitMs, q)];
    return {
      '': name,
      'in process ms': bare.toFixed(1),
      'runs/wait ms': wait.toFixed(1),
      ratio: (wait / bare).toFixed(2),
      'added ms': (wait - bare).toFixed(1),
    };
  });
  console.table(rows);
}
