import { randomUUID } from 'node:crypto';
import { AIMessage, type BaseMessage, HumanMessage } from '@langchain/core/messages';
import { Annotation, END, messagesStateReducer, START, StateGraph } from '@langchain/langgraph';
import { type BaseCheckpointSaver, MemorySaver } from '@langchain/langgraph-checkpoint';
import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';
import { Pool } from 'pg';
import { pino } from 'pino';
import { openState } from '../src/state/open-state.ts';
import { benchDatabase } from './bench-database.ts';
import { DatabaseMeter, type DatabaseUse } from './database-meter.ts';
import { median } from './figures.ts';

const NODES = 20;
const ROUNDS = 9;
/** Runs a round, by how many go at once. */
const RUNS = new Map([
  [1, 10],
  [32, 64],
]);
const READS = 15;
const log = pino({ level: 'error' });

interface Candidate {
  name: string;
  saver: BaseCheckpointSaver | undefined;
  meter?: DatabaseMeter;
}

/** What LangGraph's own savers and ours cost, on the same Postgres, in turn. */
export async function benchSaver(): Promise<void> {
  const database = await benchDatabase(log);
  const { url } = database;
  const stockPool = new Pool({ connectionString: url, max: 10, idleTimeoutMillis: 0 });
  const ownPool = new Pool({ connectionString: url, max: 10, idleTimeoutMillis: 0 });
  const stock = new PostgresSaver(stockPool, undefined, { schema: 'stock_saver' });
  const candidates: Candidate[] = [
    { name: 'no saver', saver: undefined },
    { name: 'MemorySaver', saver: new MemorySaver() },
    { name: 'PostgresSaver (stock)', saver: stock, meter: new DatabaseMeter(stockPool) },
    { name: 'Baton, memory', saver: await openState({ url: 'memory:', log }) },
    {
      name: 'Baton, Postgres',
      meter: new DatabaseMeter(ownPool),
      saver: await openState({ url, log, pool: ownPool }),
    },
  ];
  try {
    const { rows } = await ownPool.query<{ fsync: string; version: string }>(
      `select current_setting('fsync') as fsync, current_setting('server_version') as version`,
    );
    console.log(
      `Postgres ${rows[0]?.version}, fsync ${rows[0]?.fsync}; durability sync; medians of ${ROUNDS} rounds in turn\n`,
    );
    await stock.setup();
    for (const [concurrency, runs] of RUNS) await benchSteps(candidates, concurrency, runs);
    await benchReads(candidates.filter(({ meter }) => meter !== undefined));
  } finally {
    await Promise.all([stockPool.end(), ownPool.end()]);
    await database.close();
  }
}

const Counting = Annotation.Root({ n: Annotation<number>, text: Annotation<string> });

/** A line of nodes that do nothing worth mentioning. */
function chain(saver: BaseCheckpointSaver | undefined) {
  const builder = new StateGraph(Counting);
  const names = Array.from({ length: NODES }, (_, index) => `node_${index}`);
  for (const name of names) builder.addNode(name, ({ n }: typeof Counting.State) => ({ n: n + 1 }));
  const path = [START, ...names, END];
  for (const [index, name] of path.slice(0, -1).entries())
    builder.addEdge(name as typeof START, path[index + 1] as typeof END);
  return builder.compile(saver === undefined ? {} : { checkpointer: saver });
}

interface StepCost extends DatabaseUse {
  ms: number;
}

async function benchSteps(candidates: Candidate[], concurrency: number, runs: number): Promise<void> {
  const costs = new Map<string, StepCost[]>(candidates.map(({ name }) => [name, []]));
  const graphs = new Map(candidates.map(({ name, saver }) => [name, chain(saver)]));
  for (let round = -1; round < ROUNDS; round += 1) {
    for (const { name, meter } of candidates) {
      const graph = graphs.get(name);
      const before = meter?.read();
      const start = performance.now();
      let started = 0;
      const worker = async (): Promise<void> => {
        while (started < runs) {
          started += 1;
          const config = {
            configurable: { thread_id: randomUUID(), run_id: randomUUID() },
            durability: 'sync' as const,
            recursionLimit: 50,
          };
          await graph?.invoke({ n: 0, text: 'x'.repeat(1024) }, config);
        }
      };
      await Promise.all(Array.from({ length: concurrency }, worker));
      const ms = performance.now() - start;
      // The first round warms up.
      if (round >= 0) costs.get(name)?.push(perNode(ms, runs * NODES, before, meter?.read()));
    }
  }
  const medians = new Map([...costs].map(([name, all]) => [name, medianOf(all)]));
  const none = medians.get('no saver')?.ms ?? 0;
  console.log(`${concurrency} run(s) at once, ${NODES} nodes each, 1 KB of state`);
  console.table(
    Object.fromEntries(
      [...medians].map(([name, { ms, statements, bytes, cpuMs }]) => [
        name,
        {
          'nodes/s': Math.round(1000 / ms),
          'ms/node': round2(ms),
          'overhead ms/node': round2(ms - none),
          'statements/node': round2(statements),
          'bytes/node': Math.round(bytes),
          'Postgres CPU ms/node': round2(cpuMs),
        },
      ]),
    ),
  );
  const ratio = (of: (stock: StepCost, baton: StepCost, none: StepCost) => number): number =>
    round2(
      median(roundsOf(costs, 'PostgresSaver (stock)', 'Baton, Postgres', 'no saver').map(([x, y, z]) => of(x, y, z))),
    );
  console.log(
    `Baton against stock, medians of the rounds' ratios: ${ratio((stock, baton) => stock.ms / baton.ms)}x the nodes/s, ` +
      `${ratio((stock, baton, no) => (baton.ms - no.ms) / (stock.ms - no.ms))} of its overhead, ` +
      `${ratio((stock, baton) => stock.statements / baton.statements)}x fewer statements, ` +
      `${ratio((stock, baton) => stock.cpuMs / baton.cpuMs)}x less Postgres CPU\n`,
  );
}

/** What three candidates cost in the same round: the load of the machine changes from one round to the next. */
function roundsOf(
  costs: ReadonlyMap<string, StepCost[]>,
  ...names: [string, string, string]
): [StepCost, StepCost, StepCost][] {
  const [first = [], second = [], third = []] = names.map((name) => costs.get(name));
  return first.flatMap((cost, round) => {
    const [b, c] = [second[round], third[round]];
    return b && c ? [[cost, b, c] satisfies [StepCost, StepCost, StepCost]] : [];
  });
}

function perNode(ms: number, nodes: number, before: DatabaseUse | undefined, after: DatabaseUse | undefined): StepCost {
  const of = (key: keyof DatabaseUse): number => ((after?.[key] ?? Number.NaN) - (before?.[key] ?? 0)) / nodes;
  return { ms: ms / nodes, statements: of('statements'), bytes: of('bytes'), cpuMs: of('cpuMs') };
}

async function benchReads(candidates: Candidate[]): Promise<void> {
  const record = (index: number) => ({
    id: index,
    name: `item ${index}`,
    text: 'lorem ipsum dolor sit amet '.repeat(8),
    price: index / 7,
  });
  const rows: Record<string, Record<string, number>> = {};
  const cases: [title: string, prepare: (saver: BaseCheckpointSaver) => Promise<() => Promise<unknown>>][] = [
    ['state of 1 MB, one text', (saver) => bigState(saver, 'lorem ipsum '.repeat(87_382))],
    [
      'state of 1 MB, 4,000 records',
      (saver) =>
        bigState(
          saver,
          Array.from({ length: 4000 }, (_, index) => record(index)),
        ),
    ],
    ['history of 20 checkpoints, 300 messages', longHistory],
  ];
  for (const [title, prepare] of cases) {
    const reads = await Promise.all(
      candidates.map(async ({ name, saver }) => ({ name, read: saver && (await prepare(saver)), ms: [] as number[] })),
    );
    for (let round = -2; round < READS; round += 1) {
      for (const { read, ms } of reads) {
        const start = performance.now();
        await read?.();
        if (round >= 0) ms.push(performance.now() - start);
      }
    }
    const [stock = Number.NaN, baton = Number.NaN] = reads.map(({ ms }) => median(ms));
    rows[title] = { 'stock ms': round2(stock), 'Baton ms': round2(baton), ratio: round2(stock / baton) };
  }
  console.log(`reads, medians of ${READS} in turn`);
  console.table(rows);
}

async function bigState(saver: BaseCheckpointSaver, value: unknown): Promise<() => Promise<unknown>> {
  const State = Annotation.Root({ n: Annotation<number>, big: Annotation<unknown> });
  const graph = new StateGraph(State)
    .addNode('count', ({ n }) => ({ n: n + 1 }))
    .addEdge(START, 'count')
    .addEdge('count', END)
    .compile({ checkpointer: saver });
  const config = { configurable: { thread_id: randomUUID() } };
  await graph.invoke({ n: 0, big: value }, config);
  return () => graph.getState(config);
}

async function longHistory(saver: BaseCheckpointSaver): Promise<() => Promise<unknown>> {
  const State = Annotation.Root({
    messages: Annotation<BaseMessage[]>({ reducer: messagesStateReducer, default: () => [] }),
  });
  const say = ({ messages }: typeof State.State) => ({ messages: [messageOf(messages.length)] });
  const builder = new StateGraph(State).addNode('say', say).addEdge(START, 'say');
  const graph = builder
    .addConditionalEdges('say', ({ messages }) => (messages.length < 300 ? 'say' : END))
    .compile({ checkpointer: saver });
  const config = { configurable: { thread_id: randomUUID() }, recursionLimit: 50 };
  await graph.invoke({ messages: Array.from({ length: 280 }, (_, index) => messageOf(index)) }, config);
  return async () => {
    const states: unknown[] = [];
    for await (const state of graph.getStateHistory(config, { limit: 20 })) states.push(state);
    return states;
  };
}

function messageOf(index: number): BaseMessage {
  const content = `message ${index}: ${'lorem ipsum dolor sit amet '.repeat(12)}`;
  const id = randomUUID();
  return index % 2 === 0
    ? new HumanMessage({ id, content })
    : new AIMessage({ id, content, response_metadata: { model: 'none' } });
}

function medianOf(costs: StepCost[]): StepCost {
  const of = (key: keyof StepCost): number => median(costs.map((cost) => cost[key]));
  return { ms: of('ms'), statements: of('statements'), bytes: of('bytes'), cpuMs: of('cpuMs') };
}

function round2(value: number): number {
  return Math.round(value * 100) / 100;
}
