import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Annotation, DeltaValue, END, START, StateGraph, StateSchema } from '@langchain/langgraph';
import type { BaseCheckpointSaver } from '@langchain/langgraph-checkpoint';
import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';
import { Pool } from 'pg';
import { pino } from 'pino';
import { z } from 'zod';
import { DurableSaver } from '../src/state/durable-saver.ts';
import { openState } from '../src/state/open-state.ts';
import { RedisServer } from '../test/redis-server.ts';
import { benchDatabase } from './bench-database.ts';
import { DatabaseMeter } from './database-meter.ts';
import { median, short } from './figures.ts';

const NODES = 20;
const ROUNDS = 15;
const HISTORY = 300;
const log = pino({ level: 'error' });

interface Candidate {
  name: string;
  saver: BaseCheckpointSaver;
  meter?: DatabaseMeter;
}

/** What a node costs on each store, and what reading costs: in turn, on one machine, beside the stock saver. */
export async function benchStore(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'baton-bench-store-'));
  const database = await benchDatabase(log);
  const stockPool = new Pool({ connectionString: database.url, max: 10 });
  const ownPool = new Pool({ connectionString: database.url, max: 10 });
  const meters = { stock: new DatabaseMeter(stockPool), own: new DatabaseMeter(ownPool) };
  const stock = new PostgresSaver(stockPool, undefined, { schema: 'stock_saver' });
  const candidates: Candidate[] = [
    { name: 'PostgresSaver (stock)', saver: stock, meter: meters.stock },
    { name: 'Baton, postgres', saver: await openState({ url: database.url, log, pool: ownPool }), meter: meters.own },
    { name: 'Baton, memory', saver: await openState({ url: 'memory:', log }) },
    { name: 'Baton, sqlite', saver: await openState({ url: `sqlite:${join(folder, 'state.db')}`, log }) },
  ];
  const redis = await RedisServer.start(['--appendonly', 'yes']);
  if (redis !== null) {
    candidates.push({ name: 'Baton, redis (fsync each second)', saver: await openState({ url: redis.url, log }) });
  }
  try {
    await stock.setup();
    console.log(`durability sync, fsync on; medians of ${ROUNDS} in turn\n`);
    await printTable(`a run of ${NODES} nodes, 1 KB of state`, candidates, NODES, steps);
    await printTable('getState of 1 MB', candidates, 1, bigState);
    await printTable(
      `getStateHistory(20) of a DeltaChannel that grew for ${HISTORY} steps`,
      candidates,
      1,
      deltaHistory,
    );
  } finally {
    for (const { saver } of candidates) if (saver instanceof DurableSaver) await saver.close();
    await Promise.all([stockPool.end(), ownPool.end()]);
    await redis?.stop();
    await database.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Prepares a thread, if it needs one; answers with what is measured, which may name a thread whose size counts. */
type Case = (saver: BaseCheckpointSaver) => Promise<() => Promise<string | undefined>>;

async function printTable(title: string, candidates: Candidate[], per: number, prepare: Case): Promise<void> {
  const measured = [];
  for (const { name, saver, meter } of candidates)
    measured.push({
      name,
      saver,
      meter,
      act: await prepare(saver),
      ms: [] as number[],
      trips: Number.NaN,
      bytes: Number.NaN,
    });
  for (let round = -2; round < ROUNDS; round += 1) {
    for (const one of measured) {
      const before = one.meter?.read().statements ?? Number.NaN;
      const start = performance.now();
      const thread = await one.act();
      if (round < 0) continue;
      one.ms.push(performance.now() - start);
      one.trips = (one.meter?.read().statements ?? Number.NaN) - before;
      if (thread !== undefined && one.saver instanceof DurableSaver)
        one.bytes = bytesOf(await one.saver.storage(thread));
    }
  }
  const stockMs = median(measured[0]?.ms ?? []);
  console.log(title);
  console.table(
    Object.fromEntries(
      measured.map(({ name, ms, trips, bytes }) => [
        name,
        {
          ms: short(median(ms) / per),
          'stock / it': short(stockMs / median(ms)),
          'statements of Postgres': short(trips / per),
          'bytes stored': Math.round(bytes / per),
        },
      ]),
    ),
  );
}

function bytesOf(sizes: Awaited<ReturnType<DurableSaver['storage']>>): number {
  return sizes.checkpoints.bytes + sizes.values.bytes + sizes.writes.bytes;
}

const steps: Case = async (saver) => {
  const State = Annotation.Root({ n: Annotation<number>, text: Annotation<string> });
  const graph = new StateGraph(State)
    .addNode('count', ({ n }) => ({ n: n + 1 }))
    .addEdge(START, 'count')
    .addConditionalEdges('count', ({ n }) => (n < NODES ? 'count' : END), ['count', END])
    .compile({ checkpointer: saver });
  return async () => {
    const thread_id = randomUUID();
    const config = {
      configurable: { thread_id, run_id: randomUUID() },
      durability: 'sync' as const,
      recursionLimit: 50,
    };
    await graph.invoke({ n: 0, text: randomBytes(512).toString('hex') }, config);
    return thread_id;
  };
};

const bigState: Case = async (saver) => {
  const State = Annotation.Root({ big: Annotation<string> });
  const graph = new StateGraph(State)
    .addNode('nothing', () => ({}))
    .addEdge(START, 'nothing')
    .addEdge('nothing', END)
    .compile({ checkpointer: saver });
  const config = { configurable: { thread_id: randomUUID() } };
  await graph.invoke({ big: randomBytes(500_000).toString('hex') }, config);
  return async () => {
    await graph.getState(config);
    return undefined;
  };
};

const Growing = new StateSchema({
  items: new DeltaValue(z.array(z.string()).default([]), { reducer: (state, writes) => state.concat(...writes) }),
  n: z.number().default(0),
});

const deltaHistory: Case = async (saver) => {
  const graph = new StateGraph(Growing)
    .addNode('add', ({ n }) => ({ n: n + 1, items: [`item ${n}`] }))
    .addEdge(START, 'add')
    .addConditionalEdges('add', ({ n }) => (n < HISTORY ? 'add' : END), ['add', END])
    .compile({ checkpointer: saver });
  const config = { configurable: { thread_id: randomUUID() }, recursionLimit: 1000, durability: 'async' as const };
  await graph.invoke({}, config);
  return async () => {
    for await (const { values } of graph.getStateHistory(config, { limit: 20 })) void values;
    return undefined;
  };
};
