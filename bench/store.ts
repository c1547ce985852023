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
import { clearMetadata } from '../src/core/clear-metadata.ts';
import { SealingCodec } from '../src/state/codec/sealing-codec.ts';
import { DurableSaver } from '../src/state/durable-saver.ts';
import { openState } from '../src/state/open-state.ts';
import { MemoryKeys } from '../test/memory-keys.ts';
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
  /** How often the store was asked so far; a store inside the process never is. */
  trips(): number | Promise<number>;
  /** Bytes that are stored of a thread. */
  bytes(threadId: string): Promise<number>;
}

/** What a node costs on each store, and what reading costs: in turn, on one machine, beside the stock saver. */
export async function benchStore(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'baton-bench-store-'));
  const database = await benchDatabase(log);
  const openPool = (): Pool => new Pool({ connectionString: database.url, max: 10 });
  const [stockPool, ownPool, sealedPool] = [openPool(), openPool(), openPool()];
  // Before the first connection.
  const [stockTrips, ownTrips, sealedTrips] = [
    statementsOf(stockPool),
    statementsOf(ownPool),
    statementsOf(sealedPool),
  ];
  const stock = new PostgresSaver(stockPool, undefined, { schema: 'stock_saver' });
  const sealing = new SealingCodec({ keys: new MemoryKeys(), readsPlain: false, clearMetadata: clearMetadata([]) });
  const sealed = `encrypted+${database.url}`;
  const candidates: Candidate[] = [
    {
      name: 'PostgresSaver (stock)',
      saver: stock,
      trips: stockTrips,
      bytes: (threadId) => stockBytes(stockPool, threadId),
    },
    own('Baton, postgres', await openState({ url: database.url, log, pool: ownPool }), ownTrips),
    own('Baton, encrypted+postgres', await openState({ url: sealed, log, pool: sealedPool, sealing }), sealedTrips),
    own('Baton, memory', await openState({ url: 'memory:', log }), () => 0),
    own('Baton, sqlite', await openState({ url: `sqlite:${join(folder, 'state.db')}`, log }), () => 0),
  ];
  const redis = await RedisServer.start(['--appendonly', 'yes']);
  if (redis !== null) {
    const saver = await openState({ url: redis.url, log });
    candidates.push(own('Baton, redis (fsync each second)', saver, await readsOf(redis)));
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
    await Promise.all([stockPool, ownPool, sealedPool].map((pool) => pool.end()));
    await redis?.stop();
    await database.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function own(name: string, saver: DurableSaver, trips: Candidate['trips']): Candidate {
  const bytes = async (threadId: string): Promise<number> => {
    const { checkpoints, values, writes } = await saver.storage(threadId);
    return checkpoints.bytes + values.bytes + writes.bytes;
  };
  return { name, saver, trips, bytes };
}

function statementsOf(pool: Pool): () => number {
  const meter = new DatabaseMeter(pool);
  return () => meter.read().statements;
}

/** What the server has read from its sockets, which is once for each trip, less what asking for it takes. */
async function readsOf(redis: RedisServer): Promise<() => Promise<number>> {
  const total = async (): Promise<number> =>
    Number(/total_reads_processed:(\d+)/.exec(await redis.ask('INFO', 'stats'))?.[1]);
  const asking = -(await total()) + (await total());
  let asked = 0;
  return async () => (await total()) - asking * ++asked;
}

async function stockBytes(pool: Pool, threadId: string): Promise<number> {
  const { rows } = await pool.query<{ bytes: number }>(
    `select ((select coalesce(sum(octet_length(checkpoint::text) + octet_length(metadata::text)), 0)
              from stock_saver.checkpoints where thread_id = $1)
           + (select coalesce(sum(octet_length(blob)), 0) from stock_saver.checkpoint_blobs where thread_id = $1)
           + (select coalesce(sum(octet_length(blob)), 0) from stock_saver.checkpoint_writes where thread_id = $1)
           )::float8 as bytes`,
    [threadId],
  );
  return rows[0]?.bytes ?? Number.NaN;
}

/** Prepares a thread, if it needs one; answers with what is measured, which may name a thread whose size counts. */
type Case = (saver: BaseCheckpointSaver) => Promise<() => Promise<string | undefined>>;

async function printTable(title: string, candidates: Candidate[], per: number, prepare: Case): Promise<void> {
  const measured: (Candidate & { act: Awaited<ReturnType<Case>>; ms: number[]; tripsMade: number; stored: number })[] =
    [];
  for (const candidate of candidates) {
    const act = await prepare(candidate.saver);
    measured.push({ ...candidate, act, ms: [], tripsMade: Number.NaN, stored: Number.NaN });
  }
  for (let round = -2; round < ROUNDS; round += 1) {
    for (const one of measured) {
      const before = await one.trips();
      const start = performance.now();
      const thread = await one.act();
      if (round < 0) continue;
      one.ms.push(performance.now() - start);
      one.tripsMade = (await one.trips()) - before;
      if (thread !== undefined) one.stored = await one.bytes(thread);
    }
  }
  const stockMs = median(measured[0]?.ms ?? []);
  console.log(title);
  console.table(
    Object.fromEntries(
      measured.map(({ name, ms, tripsMade, stored }) => [
        name,
        {
          ms: short(median(ms) / per),
          'stock / it': short(stockMs / median(ms)),
          'round trips': short(tripsMade / per),
          ...(Number.isNaN(stored) ? {} : { 'bytes stored': Math.round(stored / per) }),
        },
      ]),
    ),
  );
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
