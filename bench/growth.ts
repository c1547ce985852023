import { randomBytes, randomUUID } from 'node:crypto';
import { AIMessage, HumanMessage } from '@langchain/core/messages';
import { Annotation, END, MessagesAnnotation, START, StateGraph } from '@langchain/langgraph';
import type { BaseCheckpointSaver } from '@langchain/langgraph-checkpoint';
import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';
import { Pool } from 'pg';
import { pino } from 'pino';
import { keptPieces } from '../src/state/values/cut-values.ts';
import { openState } from '../src/state/open-state.ts';
import { benchDatabase } from './bench-database.ts';
import { short } from './figures.ts';

const log = pino({ level: 'error' });

/** What is stored of all threads of a schema, in bytes. */
interface Stored {
  /** As handed over: the sum of the columns' lengths as text or bytes. */
  columns: number;
  /** As they stand in the tables: `pg_column_size` of every column and 28 bytes for each row. */
  rows: number;
  /** `pg_total_relation_size`: with indexes, what TOAST adds, and what is free in the pages. */
  disk: number;
  count: number;
}

interface Growth {
  title: string;
  /** Makes the thread; answers with its state, whose JSON text is what all is measured against, and the steps it took. */
  run: (saver: BaseCheckpointSaver) => Promise<{ state: string; steps: number }>;
}

/** How many bytes a thread becomes, here and with the stock saver, on the same Postgres. */
export async function benchGrowth(): Promise<void> {
  const database = await benchDatabase(log);
  const pool = new Pool({ connectionString: database.url, max: 10 });
  const stock = new PostgresSaver(pool, undefined, { schema: 'stock_saver' });
  const baton = await openState({ url: database.url, log, pool });
  try {
    await stock.setup();
    const { rows } = await pool.query<{ fsync: string; version: string }>(
      `select current_setting('fsync') as fsync, current_setting('server_version') as version`,
    );
    console.log(
      `Postgres ${rows[0]?.version}, fsync ${rows[0]?.fsync}; durability sync; random text, which cannot be compressed\n`,
    );
    for (const growth of CASES) await benchCase(growth, pool, { stock, baton });
    printPieces();
  } finally {
    await pool.end();
    await database.close();
  }
}

async function benchCase(
  { title, run }: Growth,
  pool: Pool,
  savers: { stock: BaseCheckpointSaver; baton: BaseCheckpointSaver },
): Promise<void> {
  const of = async (schema: string, saver: BaseCheckpointSaver) => {
    const before = await storedIn(pool, schema);
    const { state, steps } = await run(saver);
    const after = await storedIn(pool, schema);
    const grown = (key: keyof Stored): number => after[key] - before[key];
    return {
      state: state.length,
      steps,
      columns: grown('columns'),
      rows: grown('rows'),
      disk: grown('disk'),
      count: grown('count'),
    };
  };
  const stock = await of('stock_saver', savers.stock);
  const baton = await of('baton_state', savers.baton);
  console.log(`${title}: state of ${kilobytes(baton.state)} KB after ${baton.steps} steps`);
  const figures: [string, (stored: typeof stock) => number][] = [
    ['handed over, KB', ({ columns }) => kilobytes(columns)],
    ['in the rows, KB', ({ rows }) => kilobytes(rows)],
    ['on disk with indexes, KB', ({ disk }) => kilobytes(disk)],
    ['rows', ({ count }) => count],
    ['KB in the rows per step', ({ rows, steps }) => short(rows / steps / 1000)],
    ['times the state: handed over', ({ columns, state }) => short(columns / state)],
    ['times the state: in the rows', ({ rows, state }) => short(rows / state)],
  ];
  console.table(
    Object.fromEntries(
      figures.map(([name, figure]) => [
        name,
        { stock: figure(stock), Baton: figure(baton), ratio: short(figure(stock) / figure(baton)) },
      ]),
    ),
  );
}

async function storedIn(pool: Pool, schema: string): Promise<Stored> {
  const { rows: columns } = await pool.query<{ table_name: string; column_name: string; data_type: string }>(
    `select table_name, column_name, data_type from information_schema.columns
    where table_schema = $1 and table_name not like '%migrations' order by ordinal_position`,
    [schema],
  );
  const total: Stored = { columns: 0, rows: 0, disk: 0, count: 0 };
  for (const table of new Set(columns.map(({ table_name }) => table_name))) {
    const own = columns.filter(({ table_name }) => table_name === table);
    const lengths = own.map(({ column_name, data_type }) =>
      data_type === 'bytea'
        ? `coalesce(octet_length("${column_name}"), 0)`
        : `coalesce(octet_length("${column_name}"::text), 0)`,
    );
    const sizes = own.map(({ column_name }) => `coalesce(pg_column_size("${column_name}"), 0)`);
    const { rows } = await pool.query<Stored>(
      `select count(*)::float8 as count, coalesce(sum(${lengths.join(' + ')}), 0)::float8 as columns,
        coalesce(sum(28 + ${sizes.join(' + ')}), 0)::float8 as rows,
        pg_total_relation_size('"${schema}"."${table}"')::float8 as disk
      from "${schema}"."${table}"`,
    );
    for (const key of ['columns', 'rows', 'disk', 'count'] as const) total[key] += rows[0]?.[key] ?? 0;
  }
  return total;
}

function textOf(chars: number): string {
  return randomBytes(chars).toString('base64').slice(0, chars);
}

const CASES: Growth[] = [
  {
    title: 'a conversation of 40 turns, 5 nodes each, messages of 1 KB',
    run: async (saver) => {
      const builder = new StateGraph(MessagesAnnotation);
      const names = Array.from({ length: 5 }, (_, index) => `node_${index}`);
      // A model gives its answers ids, a chat's page its questions.
      for (const name of names) {
        builder.addNode(name, () => ({
          messages: [new AIMessage({ id: `run-${randomUUID()}`, content: textOf(1000) })],
        }));
      }
      const path = [START, ...names, END];
      for (const [index, name] of path.slice(0, -1).entries())
        builder.addEdge(name as typeof START, path[index + 1] as typeof END);
      const graph = builder.compile({ checkpointer: saver });
      const thread_id = randomUUID();
      for (let turn = 0; turn < 40; turn += 1) {
        const config = { configurable: { thread_id, run_id: randomUUID() }, durability: 'sync' as const };
        await graph.invoke({ messages: [new HumanMessage({ id: randomUUID(), content: textOf(1000) })] }, config);
      }
      return { state: await messagesOf(saver, thread_id), steps: 40 * 5 };
    },
  },
  {
    title: 'a list of messages of 700 B that grows for 500 steps',
    run: async (saver) => {
      const graph = new StateGraph(MessagesAnnotation)
        .addNode('say', () => ({ messages: [new AIMessage({ id: `run-${randomUUID()}`, content: textOf(700) })] }))
        .addEdge(START, 'say')
        .addConditionalEdges('say', ({ messages }) => (messages.length < 500 ? 'say' : END), ['say', END])
        .compile({ checkpointer: saver });
      const configurable = { thread_id: randomUUID(), run_id: randomUUID() };
      await graph.invoke({ messages: [] }, { configurable, durability: 'sync', recursionLimit: 1000 });
      return { state: await messagesOf(saver, configurable.thread_id), steps: 500 };
    },
  },
  {
    title: 'an input of 1 MB, 20 nodes that leave it alone',
    run: async (saver) => {
      const State = Annotation.Root({ text: Annotation<string>, n: Annotation<number> });
      const graph = new StateGraph(State)
        .addNode('count', ({ n }) => ({ n: n + 1 }))
        .addEdge(START, 'count')
        .addConditionalEdges('count', ({ n }) => (n < 20 ? 'count' : END), ['count', END])
        .compile({ checkpointer: saver });
      const configurable = { thread_id: randomUUID(), run_id: randomUUID() };
      const state = await graph.invoke(
        { n: 0, text: textOf(1_000_000) },
        { configurable, durability: 'sync', recursionLimit: 50 },
      );
      return { state: JSON.stringify(state), steps: 20 };
    },
  },
];

/** The text that the stock saver makes of the messages. */
async function messagesOf(saver: BaseCheckpointSaver, thread_id: string): Promise<string> {
  const tuple = await saver.getTuple({ configurable: { thread_id } });
  return JSON.stringify(tuple?.checkpoint.channel_values['messages']);
}

/** What the rule for joining pieces makes of a list to which each step adds one item. */
function printPieces(): void {
  console.log('lists in pieces, by simulation: an item added a step');
  const rows = [20, 100, 500, 2000].map((steps) => {
    const pieces: number[] = [];
    let written = 0;
    let most = 0;
    for (let step = 0; step < steps; step += 1) {
      const joined = pieces.splice(keptPieces(pieces, 1)).reduce((sum, length) => sum + length, 1);
      written += joined;
      most = Math.max(most, pieces.push(joined));
    }
    return [
      `${steps} steps`,
      { 'times each item is written': short(written / steps), 'pieces at most': most, 'whole lists': (steps + 1) / 2 },
    ];
  });
  console.table(Object.fromEntries(rows));
}

function kilobytes(bytes: number): number {
  return Math.round(bytes / 1000);
}
