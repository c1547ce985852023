import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BusyError, FencedError, NotFoundError } from '../../src/core/errors.ts';
import { uuidv7 } from '../../src/core/ids.ts';
import { END_EVENT } from '../../src/core/run-event.ts';
import type { ThreadOutcome } from '../../src/core/thread.ts';
import { Database } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { RunEvents } from '../../src/database/run-events.ts';
import { RunQueue, type ClaimedRun } from '../../src/database/run-queue.ts';
import { Runs } from '../../src/database/runs.ts';
import { Threads } from '../../src/database/threads.ts';
import { enqueueRun, type WantedRun } from '../enqueue-run.ts';
import { testDatabase } from '../postgres.ts';

const log = pino({ level: 'silent' });
const LEASE_MS = 60_000;
const DONE: ThreadOutcome = { status: 'idle', values: { n: 1 }, interrupts: {}, error: null };

let server: Awaited<ReturnType<typeof testDatabase>>;
let database: Database;
let threads: Threads;
let runs: Runs;
let queue: RunQueue;
let events: RunEvents;

beforeAll(async () => {
  server = await testDatabase();
  database = new Database({ url: server.url, log, applicationName: 'test' });
  await migrate(database);
  threads = new Threads(database);
  runs = new Runs(database);
  queue = new RunQueue(database);
  events = new RunEvents(database);
});

afterAll(async () => {
  await database.close();
  await server.drop();
});

const enqueue = (wanted?: WantedRun) => enqueueRun(runs, { ...wanted, kwargs: { input: {} } });

function claim(graphId: string, leaseMs = LEASE_MS): Promise<ClaimedRun[]> {
  return queue.claim({ workerId: 'w', graphIds: [graphId], limit: 10, leaseMs });
}

async function claimOne(graphId: string, leaseMs = LEASE_MS): Promise<ClaimedRun> {
  const [run, ...others] = await claim(graphId, leaseMs);
  if (!run || others.length > 0) throw new Error('expected exactly one run');
  return run;
}

const statusOf = async (threadId: string) => (await threads.get(threadId))?.status;
const finish = (run: ClaimedRun, outcome = DONE) =>
  queue.finish(run, { status: 'success', error: null, pauses: false, endSeq: 0, endAt: 0, outcome });

describe('enqueue', () => {
  it('refuses a missing thread unless it may create it', async () => {
    await expect(enqueue({ ifThreadMissing: 'reject' })).rejects.toThrow(NotFoundError);
    const run = await enqueue();
    expect(await statusOf(run.thread_id)).toBe('busy');
  });

  it('reject: leaves the thread to the run that it has', async () => {
    const first = await enqueue();
    await expect(enqueue({ threadId: first.thread_id, strategy: 'reject' })).rejects.toThrow(BusyError);
    expect(await runs.list(first.thread_id, { limit: 10, offset: 0 })).toHaveLength(1);
  });

  it.each(['new', 'idle'])('reject: of many at the same time one gets a thread that is %s', async (kind) => {
    const threadId = uuidv7();
    if (kind === 'idle') await threads.insert({ thread_id: threadId, metadata: {} });
    const asked = Array.from({ length: 8 }, () => enqueue({ threadId, strategy: 'reject' }));
    const refused = (await Promise.allSettled(asked)).flatMap((result) =>
      result.status === 'rejected' ? [result.reason as unknown] : [],
    );
    expect(refused).toHaveLength(7);
    for (const reason of refused) expect(reason).toBeInstanceOf(BusyError);
    expect(await runs.list(threadId, { limit: 10, offset: 0 })).toHaveLength(1);
  });

  it('an end leaves the thread busy with what is queued at the same time, whichever comes first', async () => {
    for (let round = 0; round < 20; round++) {
      const graphId = uuidv7();
      const { thread_id } = await enqueue({ graphId });
      const [, next] = await Promise.all([finish(await claimOne(graphId)), enqueue({ graphId, threadId: thread_id })]);
      expect(await statusOf(thread_id)).toBe('busy');
      expect((await claimOne(graphId)).run_id).toBe(next.run_id);
    }
  });

  it('enqueue: runs of one thread are claimed one at a time, in their order', async () => {
    const graphId = uuidv7();
    const first = await enqueue({ graphId });
    const second = await enqueue({ graphId, threadId: first.thread_id });
    const claimed = await claimOne(graphId);
    expect(claimed.run_id).toBe(first.run_id);
    expect(await claim(graphId)).toEqual([]);
    await finish(claimed);
    expect(await statusOf(first.thread_id)).toBe('busy');
    const next = await claimOne(graphId);
    expect(next.run_id).toBe(second.run_id);
    await finish(next);
    expect(await statusOf(first.thread_id)).toBe('idle');
  });

  it('a delayed run does not hold up one that may start at once', async () => {
    const graphId = uuidv7();
    const delayed = await enqueue({ graphId, delayMs: 3_600_000 });
    const now = await enqueue({ graphId, threadId: delayed.thread_id });
    expect((await claimOne(graphId)).run_id).toBe(now.run_id);
  });

  it('interrupt: ends a waiting run and signals a running one', async () => {
    const graphId = uuidv7();
    const first = await enqueue({ graphId });
    const running = await claimOne(graphId);
    const waiting = await enqueue({ graphId, threadId: first.thread_id });
    await enqueue({ graphId, threadId: first.thread_id, strategy: 'interrupt' });
    expect((await runs.get(first.thread_id, waiting.run_id))?.status).toBe('interrupted');
    expect(await events.after(waiting.run_id, -1, 10)).toMatchObject([
      { seq: 0, event: END_EVENT, data: '{"status":"interrupted"}' },
    ]);
    expect(await queue.heartbeat([running.fencing_token], LEASE_MS)).toMatchObject([{ cancel_action: 'interrupt' }]);
  });

  it('rollback: a waiting run goes without a trace', async () => {
    const first = await enqueue();
    const second = await enqueue({ threadId: first.thread_id, strategy: 'rollback' });
    expect((await runs.list(first.thread_id, { limit: 10, offset: 0 })).map((run) => run.run_id)).toEqual([
      second.run_id,
    ]);
  });
});

describe('claim', () => {
  it('gives each run to one of many claimers', async () => {
    const graphId = uuidv7();
    const made = await Promise.all(Array.from({ length: 20 }, () => enqueue({ graphId })));
    const claims = await Promise.all(
      Array.from({ length: 8 }, () => queue.claim({ workerId: 'w', graphIds: [graphId], limit: 5, leaseMs: LEASE_MS })),
    );
    const ids = claims.flat().map((run) => run.run_id);
    expect(new Set(ids).size).toBe(ids.length);
    const rest = await queue.claim({ workerId: 'w', graphIds: [graphId], limit: 100, leaseMs: LEASE_MS });
    expect([...ids, ...rest.map((run) => run.run_id)].sort()).toEqual(made.map((run) => run.run_id).sort());
  });

  it('takes no run of a graph that the worker does not have', async () => {
    await enqueue({ graphId: 'of-another-project' });
    expect(await claim(uuidv7())).toEqual([]);
  });

  it('after the lease ran out, a newer attempt has the run and the older one can change nothing', async () => {
    const graphId = uuidv7();
    await enqueue({ graphId });
    const zombie = await claimOne(graphId, 0);
    const heir = await claimOne(graphId);
    expect(heir).toMatchObject({ run_id: zombie.run_id, attempt: 2 });
    expect(heir.fencing_token).toBeGreaterThan(zombie.fencing_token);
    expect(await queue.heartbeat([zombie.fencing_token], LEASE_MS)).toEqual([]);
    await expect(finish(zombie)).rejects.toThrow(FencedError);
    await expect(queue.begin(zombie, 'x')).rejects.toThrow(FencedError);
    await expect(queue.remove(zombie, DONE)).rejects.toThrow(FencedError);
    await queue.release(zombie);
    const line = { run_id: zombie.run_id, thread_id: zombie.thread_id, seq: 0, event: 'values', data: '{}', at: 0 };
    expect(await events.append([{ ...line, fencing_token: zombie.fencing_token }])).toEqual(new Set());
    expect(await events.append([{ ...line, fencing_token: heir.fencing_token }])).toEqual(new Set([heir.run_id]));
    expect((await runs.get(heir.thread_id, heir.run_id))?.status).toBe('running');
  });

  it('counts attempts that begin where the one before began, and none that moved or was handed back', async () => {
    const graphId = uuidv7();
    await enqueue({ graphId });
    const begin = async (progress: string) => (await queue.begin(await claimOne(graphId, 0), progress)).idleAttempts;
    expect(await begin('a')).toBe(0);
    expect(await begin('a')).toBe(1);
    expect(await begin('a')).toBe(2);
    expect(await begin('b')).toBe(0);
    expect(await begin('b')).toBe(1);
    await queue.release(await claimOne(graphId));
    expect(await begin('b')).toBe(0);
  });
});

describe('cancel', () => {
  it('a waiting run ends at once and the thread shows what it rested at', async () => {
    const graphId = uuidv7();
    const first = await enqueue({ graphId });
    await finish(await claimOne(graphId), { ...DONE, status: 'interrupted' });
    const second = await enqueue({ graphId, threadId: first.thread_id });
    expect(await runs.cancel(second.thread_id, second.run_id, 'interrupt')).toBe('ended');
    expect(await statusOf(first.thread_id)).toBe('interrupted');
  });

  it('reaches a running run and says so of an ended one', async () => {
    const graphId = uuidv7();
    const run = await enqueue({ graphId });
    const claimed = await claimOne(graphId);
    expect(await runs.cancel(run.thread_id, run.run_id, 'rollback')).toBe('signalled');
    await queue.remove(claimed, DONE);
    expect(await statusOf(run.thread_id)).toBe('idle');
    await expect(runs.cancel(run.thread_id, run.run_id, 'interrupt')).rejects.toThrow(NotFoundError);
    const other = await enqueue({ graphId });
    await finish(await claimOne(graphId));
    expect(await runs.cancel(other.thread_id, other.run_id, 'interrupt')).toBe('already_ended');
  });
});

describe('a paused thread', () => {
  it('keeps what is queued on it waiting until somebody goes on with it, and that goes first', async () => {
    const graphId = uuidv7();
    const { thread_id: threadId } = await enqueue({ graphId });
    const paused = await claimOne(graphId);
    const queued = await enqueue({ graphId, threadId });
    const outcome = { ...DONE, status: 'interrupted' } as const;
    await queue.finish(paused, {
      status: 'interrupted',
      error: null,
      pauses: true,
      endSeq: 0,
      endAt: Date.now(),
      outcome,
    });
    expect(await statusOf(threadId)).toBe('interrupted');
    expect(await claim(graphId)).toEqual([]);
    await threads.reserve(threadId);
    const goesOn = await enqueue({ graphId, threadId });
    const first = await claimOne(graphId);
    expect(first.run_id).toBe(goesOn.run_id);
    await finish(first);
    expect((await claimOne(graphId)).run_id).toBe(queued.run_id);
  });
});

describe('reserve', () => {
  it('gives an idle thread a token older than any later run has, and refuses a busy one', async () => {
    const graphId = uuidv7();
    const thread = await threads.insert({ thread_id: uuidv7(), metadata: {} });
    const threadId = thread?.thread_id ?? '';
    const { token } = await threads.reserve(threadId);
    await enqueue({ graphId, threadId });
    await expect(threads.reserve(threadId)).rejects.toThrow(BusyError);
    expect((await claimOne(graphId)).fencing_token).toBeGreaterThan(token);
    await expect(threads.reserve(uuidv7())).rejects.toThrow(NotFoundError);
  });

  it('and a claim each take the thread from whoever had it', async () => {
    const graphId = uuidv7();
    const thread = await threads.insert({ thread_id: uuidv7(), metadata: {} });
    const threadId = thread?.thread_id ?? '';
    const isHeldBy = (...tokens: number[]) => Promise.all(tokens.map((token) => threads.isHeldBy(threadId, token)));
    const first = (await threads.reserve(threadId)).token;
    const second = (await threads.reserve(threadId)).token;
    expect(await isHeldBy(first, second)).toEqual([false, true]);
    await enqueue({ graphId, threadId });
    const { fencing_token } = await claimOne(graphId);
    expect(await isHeldBy(first, second, fencing_token)).toEqual([false, false, true]);
    await threads.delete(threadId);
    expect(await isHeldBy(fencing_token)).toEqual([false]);
  });

  it('settle does not hide a run that was enqueued meanwhile', async () => {
    const run = await enqueue();
    expect((await threads.settle(run.thread_id, DONE, 0))?.status).toBe('busy');
  });
});

describe('values that a database might not take', () => {
  it('keeps NUL characters and lone surrogates in values and events as they came', async () => {
    const graphId = uuidv7();
    const run = await enqueue({ graphId });
    const claimed = await claimOne(graphId);
    const values = { text: 'a\0b\ud800' };
    await events.append([
      {
        run_id: run.run_id,
        thread_id: run.thread_id,
        fencing_token: claimed.fencing_token,
        seq: 0,
        at: 0,
        event: 'values',
        data: JSON.stringify(values),
      },
    ]);
    await queue.finish(claimed, {
      status: 'success',
      error: null,
      pauses: false,
      endSeq: 1,
      endAt: 0,
      outcome: { ...DONE, values },
    });
    expect((await threads.get(run.thread_id))?.values).toEqual(values);
    expect(JSON.parse((await events.last(run.run_id, 'values'))?.data ?? '')).toEqual(values);
    const page = { limit: 10, offset: 0, sort_by: 'created_at', sort_order: 'desc' } as const;
    expect(await threads.search({ ids: [run.thread_id], values: { text: 'x' } }, page)).toEqual([]);
  });
});
