import { once } from 'node:events';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemAssistantId } from '../../src/core/ids.ts';
import type { Durability, Run, RunKwargs } from '../../src/core/run.ts';
import { END_EVENT, type RunEvent } from '../../src/core/run-event.ts';
import type { Database } from '../../src/database/database.ts';
import { RunEvents } from '../../src/database/run-events.ts';
import { Runs } from '../../src/database/runs.ts';
import { Threads } from '../../src/database/threads.ts';
import { RunStreams } from '../../src/engine/streams/run-streams.ts';
import { enqueueRun } from '../enqueue-run.ts';
import { crashDatabase, type CrashDatabase } from './crash-database.ts';
import type { Processes } from './processes.ts';

const NODES = ['a', 'b1', 'b2', 'c', 'd'];
/** Of the graph `long`, in which the tenth is costly. */
const LINE = Array.from({ length: 20 }, (_, index) => `n${index + 1}`);
const log = pino({ level: 'silent' });

let crash: CrashDatabase;
let database: Database;
let streams: RunStreams;
let workers: Processes;
let replacement: Promise<unknown> = Promise.resolve();

/** Resolves when one of the workers is killed. Another starts in its place while the rest goes on. */
async function oneIsKilled(): Promise<void> {
  const [, signal] = await Promise.race([...workers.running].map((worker) => once(worker, 'exit')));
  expect(signal).toBe('SIGKILL');
  replacement = workers.start('worker');
}

/** Tells the worker that has the run to stop, as a deploy does. */
async function terminateHolder(): Promise<void> {
  const [holder] = await database.query<{ worker_id: string }>(
    `select worker_id from baton.runs where status = 'running'`,
  );
  process.kill(Number(holder?.worker_id.split(':')[1]), 'SIGTERM');
}

async function arm(point: string): Promise<void> {
  await database.query('insert into armed (point) values ($1)', [point]);
}

function enqueue(graphId = 'relay', durability: Durability = 'sync'): Promise<Run> {
  const kwargs: Partial<RunKwargs> = { input: { passed: ['input'] }, stream_mode: ['updates'], durability };
  return enqueueRun(new Runs(database), { graphId, assistantId: systemAssistantId(graphId), kwargs });
}

async function followToEnd(runId: string): Promise<RunEvent[]> {
  const seen: RunEvent[] = [];
  for await (const event of streams.follow(runId, { afterSeq: -1, signal: new AbortController().signal }))
    seen.push(event);
  return seen;
}

/** What must hold however and wherever a worker died. Returns how often each node was begun. */
async function expectWhole(
  { thread_id, run_id }: { thread_id: string; run_id: string },
  nodes = NODES,
): Promise<Map<string, number>> {
  expect((await new Runs(database).get(thread_id, run_id))?.status).toBe('success');
  const thread = await new Threads(database).get(thread_id);
  expect(thread?.status).toBe('idle');
  const { passed } = (thread?.values ?? { passed: [] }) as { passed: string[] };
  // The input was applied once, and each node's work was kept once.
  expect([...passed].sort()).toEqual([...nodes, 'input'].sort());
  const begun = await database.query<{ node: string; n: number }>(
    'select node, count(*) n from ledger where run_id = $1 group by node',
    [run_id],
  );
  return new Map(begun.map(({ node, n }) => [node, n]));
}

beforeAll(async () => {
  crash = await crashDatabase();
  ({ database, processes: workers } = crash);
  streams = new RunStreams({ events: new RunEvents(database), log });
  await streams.start(database.listener);
  await Promise.all([workers.start('worker'), workers.start('worker')]);
});

afterAll(async () => {
  await replacement;
  await crash.drop();
});

// Two workers stand by at the beginning of each.
beforeEach(() => replacement);

describe('kill -9 of a worker', () => {
  // Where it falls, and what may have to be begun a second time: only what had not been kept.
  it.each<[point: string, again: string[]]>([
    ['before claim', []],
    ['after claim', []],
    ['after fence', []],
    ['before append', NODES],
    ['after append', NODES],
    ['inside a', ['a']],
    ['inside b2', ['b1', 'b2']],
    ['before writes', ['a']],
    ['between writes and checkpoint', []],
    ['after checkpoint', ['a']],
    ['before finish', []],
    ['after finish', []],
  ])('%s: the other one ends the run, and no finished node is repeated', async (point, again) => {
    await arm(point);
    const killed = oneIsKilled();
    const run = await enqueue();
    await killed;
    const events = await followToEnd(run.run_id);
    expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index));
    expect(events.at(-1)?.event).toBe(END_EVENT);
    const begun = await expectWhole(run);
    for (const [node, times] of begun) expect([node, times]).toEqual([node, again.includes(node) && times > 1 ? 2 : 1]);
  });

  it.each(['before release', 'after release'])('%s while it hands a run back: the run goes on', async (point) => {
    await arm(point);
    const unlisten = await database.listener.listen('node_done', () => {
      unlisten();
      void terminateHolder();
    });
    const killed = oneIsKilled();
    const run = await enqueue();
    await killed;
    await followToEnd(run.run_id);
    const begun = await expectWhole(run);
    expect([...begun.values()]).toEqual(NODES.map(() => 1));
  });
});

describe('kill -9 with durability auto', () => {
  it.each<[point: string, again: string[]]>([
    ['inside n9', LINE.slice(0, 9)],
    ['inside n16', LINE.slice(10, 16)],
    ['before finish', []],
  ])('%s: what was cheap is done again, what was costly is not', async (point, again) => {
    await replacement;
    await arm(point);
    const killed = oneIsKilled();
    const run = await enqueue('long', 'auto');
    await killed;
    await followToEnd(run.run_id);
    const begun = await expectWhole(run, LINE);
    expect([...begun].filter(([, times]) => times > 1).map(([node]) => node)).toEqual(expect.arrayContaining(again));
    expect([...begun.values()].reduce((sum, times) => sum + times)).toBe(LINE.length + again.length);
  });

  it('while it hands a run back: what it did is saved first', async () => {
    await replacement;
    await arm('before release');
    const unlisten = await database.listener.listen('node_done', () => {
      unlisten();
      void terminateHolder();
    });
    const killed = oneIsKilled();
    const run = await enqueue('long', 'auto');
    await killed;
    await followToEnd(run.run_id);
    const begun = await expectWhole(run, LINE);
    expect([...begun.values()]).toEqual(LINE.map(() => 1));
  });
});

describe('a node that blocks the event loop for longer than the lease', () => {
  it('keeps its run: it is at work, not dead', async () => {
    await replacement;
    const { thread_id, run_id } = await enqueue('busy');
    await followToEnd(run_id);
    expect((await new Runs(database).get(thread_id, run_id))?.status).toBe('success');
    const begun = await database.query<{ n: number }>('select count(*) n from ledger where run_id = $1', [run_id]);
    expect(begun).toEqual([{ n: 1 }]);
  });
});
