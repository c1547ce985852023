import { randomUUID } from 'node:crypto';
import { Annotation, END, START, StateGraph } from '@langchain/langgraph';
import { Pool } from 'pg';
import { pino } from 'pino';
import { FENCING_TOKEN_KEY } from '../src/core/fencing.ts';
import { DURABILITIES, type Durability } from '../src/core/run.ts';
import type { DurableSaver } from '../src/state/durable-saver.ts';
import { openState } from '../src/state/open-state.ts';
import { WorkMeter } from '../src/state/unsaved/work-meter.ts';
import { benchDatabase } from './bench-database.ts';
import { DatabaseMeter, type DatabaseUse } from './database-meter.ts';
import { median, short } from './figures.ts';

const NODES = 20;
const COSTLY = new Set([4, 10, 16]);
const COSTLY_MS = 2100;
const LIMIT = { ms: 2000, cost: 0.01 };
const ROUNDS = 15;
const RUNS = 10;
const TOKEN = 1;
const log = pino({ level: 'error' });

/** Of one node. */
type Cost = Omit<DatabaseUse, 'cpuMs'> & { ms: number };

/** What it costs to keep a run of many cheap nodes and a few costly ones, by its durability. */
export async function benchDurability(): Promise<void> {
  const database = await benchDatabase(log);
  const pool = new Pool({ connectionString: database.url, max: 10, idleTimeoutMillis: 0 });
  const meter = new DatabaseMeter(pool);
  const costs = new Map<Durability | 'none', Cost[]>();
  try {
    const saver = await openState({ url: database.url, log, pool });
    for (let round = -1; round < ROUNDS; round += 1) {
      for (const durability of ['none', ...DURABILITIES] as const) {
        const cost = await costOf(durability, saver, meter);
        // The first round warms up.
        if (round >= 0) costs.set(durability, [...(costs.get(durability) ?? []), cost]);
      }
    }
  } finally {
    await pool.end();
    await database.close();
  }
  print(costs);
}

function print(costs: ReadonlyMap<Durability | 'none', readonly Cost[]>): void {
  const of = (durability: Durability | 'none', key: keyof Cost): number =>
    median((costs.get(durability) ?? []).map((cost) => cost[key]));
  console.log(
    `${NODES} nodes, ${COSTLY.size} of them costly, 1 KB of state, one run after the other; medians of ${ROUNDS} rounds in turn.\n` +
      'What the costly ones take is told to the meter and not waited for: what is left is LangGraph and the saver',
  );
  console.table(
    Object.fromEntries(
      DURABILITIES.map((durability) => [
        durability,
        {
          'statements/node': short(of(durability, 'statements')),
          'bytes/node': Math.round(of(durability, 'bytes')),
          'ms/node': short(of(durability, 'ms')),
          'more than no saver, ms/node': short(of(durability, 'ms') - of('none', 'ms')),
        },
      ]),
    ),
  );
}

const State = Annotation.Root({ n: Annotation<number>, text: Annotation<string> });

/** `costly` is called in the nodes that are. */
function chain(saver: DurableSaver | undefined, costly: () => void) {
  const builder = new StateGraph(State);
  const names = Array.from({ length: NODES }, (_, index) => `node_${index}`);
  for (const [index, name] of names.entries()) {
    builder.addNode(name, ({ n }: typeof State.State) => {
      if (COSTLY.has(index)) costly();
      return { n: n + 1 };
    });
  }
  const path = [START, ...names, END];
  for (const [index, name] of path.slice(0, -1).entries())
    builder.addEdge(name as typeof START, path[index + 1] as typeof END);
  return builder.compile(saver === undefined ? {} : { checkpointer: saver });
}

async function costOf(durability: Durability | 'none', saver: DurableSaver, meter: DatabaseMeter): Promise<Cost> {
  let costlyMs = 0;
  const graph = chain(durability === 'none' ? undefined : saver, () => {
    costlyMs += COSTLY_MS;
  });
  const now = (): number => performance.now() + costlyMs;
  const before = meter.read();
  const beganMs = performance.now();
  for (let run = 0; run < RUNS; run += 1) {
    const thread_id = randomUUID();
    const config = {
      configurable: { thread_id, run_id: randomUUID(), [FENCING_TOKEN_KEY]: TOKEN },
      durability: durability === 'auto' || durability === 'none' ? ('sync' as const) : durability,
      recursionLimit: 50,
    };
    if (durability !== 'none') await saver.fence(thread_id, TOKEN);
    if (durability === 'auto') saver.hold(thread_id, TOKEN, new WorkMeter({ limit: LIMIT, now }));
    await graph.invoke({ n: 0, text: 'x'.repeat(1024) }, config);
    if (durability === 'auto') await saver.flush(thread_id);
    saver.release(thread_id, TOKEN);
  }
  const nodes = RUNS * NODES;
  const after = meter.read();
  return {
    ms: (performance.now() - beganMs) / nodes,
    statements: (after.statements - before.statements) / nodes,
    bytes: (after.bytes - before.bytes) / nodes,
  };
}
