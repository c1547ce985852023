import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from 'pg';
import { pino } from 'pino';
import { startBaton, startDevServer, type ApiServer } from './api-servers.ts';
import { benchDatabase } from './bench-database.ts';
import { median, short } from './figures.ts';
import { HttpLoad } from './http-load.ts';

const ROUNDS = 3;
const WAITS_MS = 2000;
const STREAMS = 8;
/** Tokens of a run, by how many read it. */
const TOKENS = new Map([
  [1, 1000],
  [100, 200],
]);
/** What the slower server needs until all readers are there. */
const READERS_COME_MS = 2500;
const IDLE = 1000;
const THREADS = 100_000;
/** How long the development server may take to make its threads, one request each. */
const FILL_MS = 10_000;
const SEARCHES = 10;

interface Contestant extends ApiServer {
  load: HttpLoad;
}
/** Measures one server once; adds its figures to `found`, by their names. */
type Measure = (contestant: Contestant, found: Map<string, number[]>) => Promise<void>;

/** What clients see of Baton and of the official development server, in turn, over HTTP, each in a process of its own. */
export async function benchApi(): Promise<void> {
  const database = await benchDatabase(pino({ level: 'error' }));
  const servers = [await startDevServer(), await startBaton(database.url)];
  const contestants = servers.map((server) => Object.assign(server, { load: new HttpLoad(server.url) }));
  try {
    const table: Record<string, Record<string, number>> = {};
    for (const [measure, rounds] of MEASURES) Object.assign(table, await compare(contestants, measure, rounds));
    const made = new Map<string, number>();
    for (const contestant of contestants) made.set(contestant.name, await fill(contestant, database.url));
    Object.assign(table, await compare(contestants, searches, SEARCHES));
    console.log(
      `\nBaton (Postgres, fsync on, saved after every node) and the official development server (in memory), in turn, medians.` +
        `\nthreads/search: over ${THREADS} threads of Baton's and ${made.get('dev server')} of the development server's.\n`,
    );
    console.table(table);
  } finally {
    for (const contestant of contestants) {
      contestant.load.close();
      await contestant.stop();
    }
    await database.close();
  }
}

const MEASURES: [Measure, rounds: number][] = [
  // First: what other measures leave in memory would hide it.
  [idle, 1],
  [waits(1), ROUNDS],
  [waits(16), ROUNDS],
  [waits(64), ROUNDS],
  [firstToken, STREAMS],
  ...[...TOKENS].map(([readers, tokens]): [Measure, number] => [stream(readers, tokens), ROUNDS]),
];

/** Rows of the table: each figure's medians, and Baton's as a multiple of the other's. */
async function compare(contestants: Contestant[], measure: Measure, rounds: number) {
  const found = contestants.map((contestant) => ({ contestant, figures: new Map<string, number[]>() }));
  // The first round warms up.
  for (let round = rounds > 1 ? -1 : 0; round < rounds; round++) {
    for (const { contestant, figures } of found) {
      // A server closes connections that nobody used during the other one's turn, perhaps just as they are used again.
      contestant.load.close();
      await measure(contestant, round < 0 ? new Map() : figures);
    }
  }
  const [other, baton] = found.map(({ figures }) => figures);
  return Object.fromEntries(
    [...(baton ?? [])].map(([name, values]) => {
      const medians = [median(other?.get(name) ?? []), median(values)] as const;
      const row = { 'dev server': short(medians[0]), Baton: short(medians[1]), ratio: short(medians[1] / medians[0]) };
      return [name, row];
    }),
  );
}

function note(found: Map<string, number[]>, name: string, value: number): void {
  found.set(name, [...(found.get(name) ?? []), value]);
}

/** So many clients at once, each on a new thread for each of its runs. */
function waits(clients: number): Measure {
  return async ({ load }, found) => {
    const tookMs: number[] = [];
    const begin = performance.now();
    const client = async (): Promise<void> => {
      while (performance.now() - begin < WAITS_MS) {
        const sent = performance.now();
        const body = { assistant_id: 'three', input: { n: 0 }, if_not_exists: 'create' };
        const { n } = await load.post<{ n: number }>(`/threads/${randomUUID()}/runs/wait`, body);
        if (n !== 3) throw new Error('the graph did not count to three');
        tookMs.push(performance.now() - sent);
      }
    };
    await Promise.all(Array.from({ length: clients }, client));
    const seconds = (performance.now() - begin) / 1000;
    note(found, `runs/wait, ${clients} at once: ms`, median(tookMs));
    note(found, `runs/wait, ${clients} at once: runs/s`, tookMs.length / seconds);
  };
}

async function firstToken({ load }: Contestant, found: Map<string, number[]>): Promise<void> {
  const sent = performance.now();
  const answer = await load.open(`/threads/${randomUUID()}/runs/stream`, {
    ...talk({ tokens: 3, delayMs: 0 }),
    if_not_exists: 'create',
  });
  const { firstByteMs, firstTokenAt, saidAt } = await readTokens(answer);
  note(found, 'stream: request to first byte, ms', firstByteMs - sent);
  note(found, 'stream: said to received, first token, ms', firstTokenAt - saidAt);
}

/** Readers join a run before it says its first token. */
function stream(readers: number, tokens: number): Measure {
  return async ({ load }, found) => {
    const { thread_id } = await load.post<{ thread_id: string }>('/threads', {});
    const { run_id } = await load.post<{ run_id: string }>(`/threads/${thread_id}/runs`, {
      ...talk({ tokens, delayMs: READERS_COME_MS }),
      stream_resumable: true,
    });
    const all = await Promise.all(
      Array.from({ length: readers }, async () =>
        readTokens(await load.open(`/threads/${thread_id}/runs/${run_id}/stream`)),
      ),
    );
    const whole = all.filter((read) => read.tokens === tokens);
    const said = Math.min(...whole.map(({ saidAt }) => saidAt));
    const last = Math.max(...whole.map(({ lastTokenAt }) => lastTokenAt));
    note(found, `stream to ${readers}: readers that got every token`, whole.length);
    note(found, `stream to ${readers}: tokens/s to each of them`, (tokens / (last - said)) * 1000);
  };
}

function talk(input: { tokens: number; delayMs: number }) {
  return { assistant_id: 'talk', input: { messages: [], ...input }, stream_mode: ['messages-tuple'] };
}

const TOKEN = 'event: messages';

/** Reads a stream to its end. Instants `…At` are milliseconds since the epoch, as the tokens say them. */
async function readTokens(answer: IncomingMessage) {
  const epoch = performance.timeOrigin;
  let [tokens, firstByteMs, firstTokenAt, lastTokenAt, saidAt] = [0, 0, 0, 0, 0];
  let rest = '';
  for await (const piece of answer.setEncoding('latin1')) {
    const nowMs = performance.now();
    firstByteMs ||= nowMs;
    const text = rest + (piece as string);
    const seen = text.split(TOKEN).length - 1;
    if (seen > 0) lastTokenAt = epoch + nowMs;
    if (saidAt === 0) {
      saidAt = Number(/"content":"([\d.]+) "/.exec(text)?.[1] ?? 0);
      if (saidAt > 0) firstTokenAt = epoch + nowMs;
      rest = text;
      tokens = seen;
    } else {
      tokens += seen - (rest.split(TOKEN).length - 1);
      rest = text.slice(1 - TOKEN.length);
    }
  }
  return { tokens, firstByteMs, firstTokenAt, lastTokenAt, saidAt };
}

/** Connections that wait for a run which says nothing. */
async function idle(contestant: Contestant, found: Map<string, number[]>): Promise<void> {
  const { load } = contestant;
  const { thread_id } = await load.post<{ thread_id: string }>('/threads', {});
  const { run_id } = await load.post<{ run_id: string }>(`/threads/${thread_id}/runs`, {
    ...talk({ tokens: 1, delayMs: 600_000 }),
    stream_resumable: true,
  });
  const open: IncomingMessage[] = [];
  const openSome = async (): Promise<void> => {
    const some = Array.from({ length: 50 }, () => load.open(`/threads/${thread_id}/runs/${run_id}/stream`));
    for (const answer of await Promise.all(some)) open.push(answer.on('error', () => undefined).resume());
  };
  // The code that the first ones bring into memory is not theirs.
  await openSome();
  await pause(2000);
  const before = contestant.residentBytes();
  while (open.length < 50 + IDLE) await openSome();
  await pause(2000);
  note(found, `${IDLE} idle streams: MB`, (contestant.residentBytes() - before) / 1e6);
  for (const answer of open) answer.destroy();
  await load.post(`/threads/${thread_id}/runs/${run_id}/cancel`, {});
}

/** Makes threads to be searched; returns how many. */
async function fill({ name, load }: Contestant, databaseUrl: string): Promise<number> {
  if (name === 'Baton') return fillDatabase(databaseUrl);
  let made = 0;
  const begin = performance.now();
  const client = async (): Promise<void> => {
    while (made < THREADS && performance.now() - begin < FILL_MS) {
      made += 1;
      await load.post('/threads', { metadata: { tenant: `t${made % 100}` } });
    }
  };
  await Promise.all(Array.from({ length: 16 }, client));
  return made;
}

async function fillDatabase(url: string): Promise<number> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(
    `insert into baton.threads (thread_id, metadata, created_at, updated_at)
     select gen_random_uuid(), jsonb_build_object('tenant', 't' || n % 100), now() - n * interval '1 second', now() - n * interval '1 second'
     from generate_series(1, $1::int) n`,
    [THREADS],
  );
  await client.query('analyze baton.threads');
  await client.end();
  return THREADS;
}

async function searches({ load }: Contestant, found: Map<string, number[]>): Promise<void> {
  const queries = {
    'newest 10': { limit: 10 },
    '10 by metadata': { limit: 10, metadata: { tenant: 't7' } },
    '10 after 1,000 others': { limit: 10, offset: 1000, sort_by: 'updated_at', sort_order: 'asc' },
  };
  for (const [name, query] of Object.entries(queries)) {
    const sent = performance.now();
    const { length } = await load.post<unknown[]>('/threads/search', query);
    if (length !== 10) throw new Error(`a search found ${length} threads`);
    note(found, `threads/search, ${name}: ms`, performance.now() - sent);
  }
}
