import { Client } from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import type { Run } from '../../src/core/run.ts';
import type { ThreadOutcome } from '../../src/core/thread.ts';
import { Database } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { RunQueue, type ClaimedRun } from '../../src/database/run-queue.ts';
import { Runs } from '../../src/database/runs.ts';
import { ThreadTurns } from '../../src/database/thread-turns.ts';
import { Threads } from '../../src/database/threads.ts';
import { enqueueRun } from '../enqueue-run.ts';
import { testDatabase } from '../postgres.ts';

const DONE: ThreadOutcome = { status: 'idle', values: {}, interrupts: {}, error: null };

let server: Awaited<ReturnType<typeof testDatabase>>;
let database: Database;
let threads: Threads;
let runs: Runs;
let queue: RunQueue;
let turns: ThreadTurns;

beforeAll(async () => {
  server = await testDatabase();
  database = new Database({ url: server.url, log: pino({ level: 'silent' }), applicationName: 'test' });
  await migrate(database);
  threads = new Threads(database);
  runs = new Runs(database);
  queue = new RunQueue(database);
  turns = new ThreadTurns(database);
});
afterAll(async () => {
  await database.close();
  await server.drop();
});

function enqueue(threadId: string, graphId: string, delayMs = 0): Promise<Run> {
  const kwargs = { protocol: 'v2' as const, command: { resume: { answer: 1 } } };
  return enqueueRun(runs, { threadId, graphId, delayMs, kwargs });
}

const claim = (graphId: string) =>
  queue.claim({ workerId: 'w', graphIds: [graphId], limit: 10, leaseMs: 60_000 }) as Promise<[ClaimedRun]>;
const finish = (run: ClaimedRun) =>
  queue.finish(run, { status: 'success', error: null, endSeq: 0, endAt: Date.now(), pauses: false, outcome: DONE });
const isDue = ({ run_id }: Run) =>
  database.query('update baton.runs set available_at = now() where run_id = $1', [run_id]);

it('has the runs of a thread as they began, those that never did, and changes by hand', async () => {
  const [threadId, graphId] = [uuidv7(), uuidv7()];
  const delayed = await enqueue(threadId, graphId, 3_600_000);
  const first = await enqueue(threadId, graphId);
  const dropped = await enqueue(threadId, graphId);
  const [running] = await claim(graphId);
  await runs.cancel(threadId, dropped.run_id, 'interrupt');
  await finish(running);
  await isDue(delayed);
  const [last] = await claim(graphId);
  await finish(last);
  const { token } = await threads.reserve(threadId);
  await threads.settle(threadId, DONE, token, { checkpoint_id: 'c' });

  const all = (await turns.from(threadId, 0, 10)) ?? [];
  expect(all.map(({ run_id }) => run_id)).toEqual([first.run_id, dropped.run_id, delayed.run_id, null]);
  expect(all[0]).toMatchObject({ graph_id: graphId, protocol: 'v2', resume: { answer: 1 } });
  expect(all[3]).toMatchObject({ checkpoint: { checkpoint_id: 'c' }, at: expect.any(Number) });
  expect(await turns.from(threadId, all[2]?.turn ?? 0, 1)).toEqual([all[2]]);
  expect(await turns.latest(threadId)).toEqual({ turn: all[3]?.turn, run_id: null, seq: -1, ended: true });
  expect(await turns.ofRun(threadId, undefined)).toMatchObject({ run_id: delayed.run_id });
  expect(await turns.from(uuidv7(), 0, 10)).toBeNull();
});

it('keeps the thread for a run that has begun, also while it rests', async () => {
  const [threadId, graphId] = [uuidv7(), uuidv7()];
  const first = await enqueue(threadId, graphId);
  const second = await enqueue(threadId, graphId);
  const [attempt] = await claim(graphId);
  await queue.release(attempt, { afterMs: 3_600_000 });
  expect(await claim(graphId)).toEqual([]);
  await isDue(first);
  const [again] = await claim(graphId);
  expect(again.run_id).toBe(first.run_id);
  await finish(again);
  const [next] = await claim(graphId);
  expect(next.run_id).toBe(second.run_id);
  const all = (await turns.from(threadId, 0, 10)) ?? [];
  expect(all.map(({ run_id }) => run_id)).toEqual([first.run_id, second.run_id]);
});

it('shows no turn before an earlier one is there', async () => {
  const [threadId, graphId] = [uuidv7(), uuidv7()];
  const run = await enqueue(threadId, graphId);
  const dropped = await enqueue(threadId, graphId);
  const other = new Client({ connectionString: server.url });
  await other.connect();
  // Somebody drops a run and is not done yet; meanwhile the other one begins.
  await other.query('begin');
  await other.query('select 1 from baton.threads where thread_id = $1 for update', [threadId]);
  await other.query("update baton.runs set turn = nextval('baton.turn'), status = 'interrupted' where run_id = $1", [
    dropped.run_id,
  ]);
  await claim(graphId);
  const seen: string[] = [];
  const reading = turns
    .from(threadId, 0, 10)
    .then((all) => seen.push(...(all ?? []).map(({ run_id }) => run_id ?? '')));
  await isWaited();
  seen.push('done');
  await other.query('commit');
  await reading;
  await other.end();
  expect(seen).toEqual(['done', dropped.run_id, run.run_id]);
});

async function isWaited(): Promise<void> {
  for (;;) {
    const waiting = await database.query('select 1 from pg_locks where not granted');
    if (waiting.length > 0) return;
  }
}
