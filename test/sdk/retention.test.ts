import { fileURLToPath } from 'node:url';
import { emptyCheckpoint, uuid6 } from '@langchain/langgraph-checkpoint';
import { Pool } from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RetentionKey, retentionSettings } from '../../src/config/retention-settings.ts';
import { uuidv7 } from '../../src/core/ids.ts';
import type { RetentionSettings } from '../../src/core/retention-settings.ts';
import { Bookmarks } from '../../src/database/bookmarks.ts';
import { Database } from '../../src/database/database.ts';
import { Effects } from '../../src/database/effects.ts';
import { type IdleThread, Threads } from '../../src/database/threads.ts';
import { openRetention } from '../../src/engine/retention/open-retention.ts';
import { ThreadPruner } from '../../src/engine/retention/thread-pruner.ts';
import { openState } from '../../src/state/open-state.ts';
import { StateStores } from '../../src/state/state-stores.ts';
import { call } from './fixtures/call.ts';
import { gate } from './fixtures/gates.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

const log = pino({ level: 'silent' });
const input = { log: [] };
const file = fileURLToPath(new URL('fixtures/retention-graphs.ts', import.meta.url));
let server: TestServer;
let pool: Pool;
beforeAll(async () => {
  const graphs = ['rounds', 'noting'].map((exportName) => [exportName, { file, exportName, description: null }]);
  server = await testServer({ graphs: Object.fromEntries(graphs) });
  pool = new Pool({ connectionString: String(server.config.databaseUrl), max: 1 });
});
afterAll(async () => {
  await pool.end();
  await server.stop();
});

const threads = (path: string) => `${server.url}/threads${path}`;
const prune = (body: object) => call(threads('/prune'), 'POST', body);

/** A thread with three runs of `line`: 15 checkpoints. */
async function used(options: object = {}): Promise<string> {
  const { thread_id } = await server.client.threads.create(options);
  for (let run = 0; run < 3; run += 1) await server.client.runs.wait(thread_id, 'line', { input });
  return thread_id;
}

async function historyOf(threadId: string) {
  return server.client.threads.getHistory(threadId, { limit: 100 });
}

/** One round of what every worker does now and then, by as many servers at once. */
async function sweep(settings: Partial<RetentionSettings> = {}, servers = 1): Promise<Record<string, number>[]> {
  const url = String(server.config.databaseUrl);
  const database = new Database({ url, log, applicationName: 'test' });
  const open = () => openState({ url, log, pool: database.pool });
  const stores = await StateStores.open({ url, graphs: {}, open });
  const parts = { database, threads: new Threads(database), effects: new Effects(database), stores, log };
  const all = { ...retentionSettings({}, RetentionKey.parse({})), logsMs: null, ...settings };
  const rounds = Array.from({ length: servers }, () => openRetention({ ...parts, settings: all }).retention.tick());
  const removed = await Promise.all(rounds);
  await stores.close();
  await database.close();
  return removed;
}

async function letDaysPass(threadId: string, days: number): Promise<void> {
  const past = `now() - ${days} * interval '1 day'`;
  await pool.query(
    `update baton.threads set updated_at = ${past}, expires_at = case when expires_at is null then null else now() end where thread_id = $1`,
    [threadId],
  );
  await pool.query(`update baton.runs set ended_at = ${past} where thread_id = $1 and ended_at is not null`, [
    threadId,
  ]);
}

describe('POST /threads/prune', () => {
  it('keeps the latest state, and tells what went', async () => {
    const id = await used();
    const state = await server.client.threads.getState(id);
    const dry = await prune({ thread_ids: [id], strategy: 'keep_latest', dry_run: true });
    expect(dry).toMatchObject({ status: 200, json: { pruned_count: 1, checkpoints: 14, dry_run: true, skipped: [] } });
    expect(await historyOf(id)).toHaveLength(15);
    expect(await server.client.threads.prune([id], { strategy: 'keep_latest' })).toEqual({
      pruned_count: 1,
      checkpoints: 14,
      bytes: dry.json.bytes,
      skipped: [],
    });
    expect(dry.json.bytes).toBeGreaterThan(1000);
    expect(await historyOf(id)).toEqual([{ ...state, parent_checkpoint: null }]);
    expect(await server.client.runs.wait(id, 'line', { input })).toMatchObject({ log: expect.any(Array) });
    expect((await historyOf(id)).length).toBe(6);
  });

  it('keeps the last few, or the young', async () => {
    const [one, two] = [await used(), await used()];
    expect(await prune({ thread_ids: [one, two], keep_last: 4 })).toMatchObject({
      json: { pruned_count: 2, checkpoints: 22 },
    });
    expect(await historyOf(one)).toHaveLength(4);
    expect(await prune({ thread_ids: [one], older_than: '1h' })).toMatchObject({ json: { checkpoints: 0 } });
    expect(await prune({ thread_ids: [one], keep_last: 2, older_than: '0s' })).toMatchObject({
      json: { checkpoints: 2 },
    });
  });

  it('passes over what is busy or missing, and says so', async () => {
    const id = await used();
    const [name, nobody] = [uuidv7(), uuidv7()];
    const run = await server.client.runs.create(id, 'line', { input, config: { configurable: { gate: name } } });
    await gate(name).reached;
    expect(await prune({ thread_ids: [id, nobody], keep_last: 1 })).toMatchObject({
      json: {
        pruned_count: 0,
        checkpoints: 0,
        skipped: [
          { thread_id: id, reason: 'busy' },
          { thread_id: nobody, reason: 'not_found' },
        ],
      },
    });
    gate(name).open();
    await server.client.runs.join(id, run.run_id);
    expect(await prune({ thread_ids: [id], keep_last: 1 })).toMatchObject({ json: { pruned_count: 1 } });
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toMatch(/^baton_prunes_skipped_total [1-9]/m);
    expect(metrics).toMatch(/^baton_checkpoints_pruned_total [1-9]\d/m);
  });

  it('leaves a thread alone of which nothing is to go', async () => {
    const id = await used();
    await prune({ thread_ids: [id], keep_last: 1 });
    const fence = async () =>
      (await pool.query('select token from baton_state.fences where thread_id = $1', [id])).rows;
    const before = await fence();
    expect(before).toHaveLength(1);
    expect(await prune({ thread_ids: [id], keep_last: 1 })).toMatchObject({
      json: { pruned_count: 1, checkpoints: 0, skipped: [] },
    });
    expect(await fence()).toEqual(before);
  });

  it('refuses what contradicts itself', async () => {
    const thread_ids = [uuidv7()];
    for (const body of [
      { strategy: 'delete', keep_last: 1 },
      { strategy: 'delete', dry_run: true },
      { keep_last: 0 },
      { older_than: 'a while' },
      { strategy: 'compress' },
    ]) {
      expect(await prune({ thread_ids, ...body })).toMatchObject({ status: 422 });
    }
  });

  it('is ended by what happens after it was decided what is to go, and between two batches', async () => {
    const database = new Database({ url: String(server.config.databaseUrl), log, applicationName: 'test' });
    const saver = await openState({ url: database.url, log, pool: database.pool });
    const id = await used();
    // More than go at once.
    const ids = Array.from({ length: 600 }, (_, n) => uuid6(n));
    await Promise.all(
      ids.map((checkpoint_id, n) =>
        saver.put(
          { configurable: { thread_id: id, checkpoint_ns: 'old', checkpoint_id: ids[n - 1] } },
          { ...emptyCheckpoint(), id: checkpoint_id },
          { source: 'loop', step: n, parents: {} },
          {},
        ),
      ),
    );
    const left = async () => (await saver.outline(id)).checkpoints.length;
    const all = await left();
    const happens: Record<string, () => Promise<unknown>> = {};
    /** Whatever happens then, nothing of this waits for it with the thread's lock. */
    const after = (what: string) => happens[what]?.().finally(() => delete happens[what]);
    const prunePlan = saver.prunePlan.bind(saver);
    let plans = 0;
    saver.prunePlan = async (...asked) => {
      const plan = await prunePlan(...asked);
      // The first one only tells whether anything is to go.
      if (++plans % 2 === 0) await after('plan');
      return plan;
    };
    class Watched extends Threads {
      override async whileIdle<T>(threadId: string, work: (thread: IdleThread) => Promise<T>) {
        const before = await left();
        const done = await super.whileIdle(threadId, work);
        if ((await left()) < before) await after('batch');
        return done;
      }
    }
    const pruner = new ThreadPruner({
      threads: new Watched(database),
      bookmarks: new Bookmarks(database),
      effects: new Effects(database),
      stores: { of: () => saver },
      log,
    });
    const { checkpoint_id } = (await saver.outline(id)).checkpoints[3] ?? {};
    happens['plan'] = () => call(threads(`/${id}/bookmarks`), 'POST', { checkpoint_id, name: 'this' });
    expect(await pruner.prune(id, { keep_last: 1 })).toBe('busy');
    expect(await left()).toBe(all);
    happens['batch'] = () => server.client.threads.updateState(id, { values: { log: ['by hand'] } });
    expect(await pruner.prune(id, { keep_last: 1 })).toMatchObject({ checkpoints: 500, complete: false });
    expect(await left()).toBe(all - 500 + 1);
    expect(await pruner.prune(id, { keep_last: 1 })).toMatchObject({ checkpoints: all - 500 - 2, complete: true });
    expect((await historyOf(id)).map(({ checkpoint }) => checkpoint.checkpoint_id)).toContain(checkpoint_id);
    expect((await server.client.threads.getState(id)).values).toMatchObject({
      log: expect.arrayContaining(['by hand']),
    });
    await database.close();
  });

  it('while runs begin and end, no state is lost', async () => {
    const { thread_id } = await server.client.threads.create();
    const pruning = { over: false };
    const pruned = (async () => {
      while (!pruning.over) await prune({ thread_ids: [thread_id], keep_last: 1 });
    })();
    for (let run = 1; run <= 8; run += 1) {
      const { log: steps } = (await server.client.runs.wait(thread_id, 'line', { input })) as { log: string[] };
      expect(steps).toHaveLength(3 * run);
    }
    pruning.over = true;
    await pruned;
  });
});

describe('bookmarks', () => {
  it('are kept by pruning, and go with the thread', async () => {
    const id = await used();
    const history = await historyOf(id);
    const kept = history[7];
    const made = await call(threads(`/${id}/bookmarks`), 'POST', {
      ...kept?.checkpoint,
      thread_id: undefined,
      name: 'before the second',
    });
    expect(made).toMatchObject({ status: 200, json: { thread_id: id, checkpoint_ns: '', name: 'before the second' } });
    expect(await call(threads(`/${id}/bookmarks`), 'GET')).toMatchObject({ json: [made.json] });
    await prune({ thread_ids: [id], strategy: 'keep_latest' });
    const left = await historyOf(id);
    expect(left.map(({ checkpoint }) => checkpoint)).toEqual([history[0]?.checkpoint, kept?.checkpoint]);
    expect(left[0]?.parent_checkpoint).toEqual(kept?.checkpoint);
    const one = threads(`/${id}/bookmarks/${made.json.bookmark_id}`);
    expect(await call(one, 'DELETE')).toMatchObject({ status: 204 });
    expect(await call(one, 'DELETE')).toMatchObject({ status: 404 });
    await prune({ thread_ids: [id], strategy: 'keep_latest' });
    expect(await historyOf(id)).toHaveLength(1);
    await server.client.threads.delete(id);
    expect(await call(threads(`/${id}/bookmarks`), 'GET')).toMatchObject({ status: 404 });
  });

  it('of what is not there are refused', async () => {
    const id = await used();
    const bookmark = { checkpoint_id: uuidv7(), name: 'nothing' };
    expect(await call(threads(`/${id}/bookmarks`), 'POST', bookmark)).toMatchObject({ status: 404 });
    expect(await call(threads(`/${id}/bookmarks`), 'GET')).toMatchObject({ json: [] });
    expect(await call(threads(`/${uuidv7()}/bookmarks`), 'POST', bookmark)).toMatchObject({ status: 404 });
  });
});

it('GET /threads/:id/size tells what a thread keeps, and what pruning would free', async () => {
  const id = await used();
  const { json: size } = await call(threads(`/${id}/size`), 'GET');
  const { json: stored } = await call(threads(`/${id}/storage`), 'GET');
  expect(size).toMatchObject({
    thread_id: id,
    channels: { log: { bytes: expect.any(Number), stored: 'inline' } },
    history: { checkpoints: stored.checkpoints, writes: stored.pending_writes },
    events: { count: expect.any(Number), bytes: expect.any(Number) },
    effects: { count: 0, bytes: 0 },
    prunable: { keep_last: 1, checkpoints: 14 },
  });
  expect(size.total_bytes).toBe(stored.total_bytes + size.events.bytes);
  expect((await call(threads(`/${id}/size?keep_last=10`), 'GET')).json.prunable).toMatchObject({ checkpoints: 5 });
  await prune({ thread_ids: [id], keep_last: 1 });
  const { json: after } = await call(threads(`/${id}/size`), 'GET');
  // A row that holds writes of several tasks lists them, too.
  const freed = size.total_bytes - after.total_bytes;
  expect(freed).toBeGreaterThanOrEqual(size.prunable.bytes);
  expect(freed).toBeLessThan(size.prunable.bytes * 1.2);
  expect(await call(threads(`/${id}/size?keep_last=none`), 'GET')).toMatchObject({ status: 422 });
});

it('GET /threads/:id/size measures a value that is made of writes as it is read', async () => {
  const { thread_id } = await server.client.threads.create();
  await server.client.runs.wait(thread_id, 'noting', { input: { notes: ['zero'] } });
  const { values } = await server.client.threads.getState(thread_id);
  expect(values).toEqual({ notes: ['zero', 'one', 'two'] });
  const { json: size } = await call(threads(`/${thread_id}/size`), 'GET');
  expect(size.channels.notes).toEqual({ bytes: JSON.stringify(['zero', 'one', 'two']).length, stored: 'as_writes' });
  await server.client.threads.update(thread_id, { metadata: { graph_id: 'gone' } });
  const { json: without } = await call(threads(`/${thread_id}/size`), 'GET');
  expect(without.channels.notes).toEqual({ bytes: null, stored: 'as_writes' });
});

describe('effects of pruned checkpoints', () => {
  it('still belong to their branch: it goes on', async () => {
    const { thread_id } = await server.client.threads.create();
    await server.client.runs.wait(thread_id, 'rounds', { input });
    await prune({ thread_ids: [thread_id], keep_last: 1 });
    await server.client.runs.wait(thread_id, 'rounds', { command: { resume: 'yes' } });
    expect(await server.client.threads.get(thread_id)).toMatchObject({ status: 'idle', values: { round: 6 } });
  });

  it('still belong to another branch than that of a fork before them', async () => {
    const { thread_id } = await server.client.threads.create();
    await server.client.runs.wait(thread_id, 'rounds', { input });
    const first = (await historyOf(thread_id)).findLast(({ next }) => next.includes('lap'));
    await call(threads(`/${thread_id}/bookmarks`), 'POST', {
      checkpoint_id: first?.checkpoint.checkpoint_id,
      name: 'first',
    });
    await prune({ thread_ids: [thread_id], keep_last: 1 });
    expect(await historyOf(thread_id)).toHaveLength(2);
    await server.client.runs.wait(thread_id, 'rounds', { command: { resume: 'yes' } });
    await prune({ thread_ids: [thread_id], keep_last: 1 });
    const again = { input: null, checkpointId: String(first?.checkpoint.checkpoint_id) };
    await server.client.runs.wait(thread_id, 'rounds', again).catch(() => undefined);
    expect(await server.client.threads.get(thread_id)).toMatchObject({ status: 'error' });
  });
});

describe('a time to live', () => {
  it('with keep_latest ends the history, again and again', async () => {
    const id = await used({ ttl: { ttl: 60, strategy: 'keep_latest' } });
    const { ttl } = (await server.client.threads.get(id, { include: ['ttl'] })) as unknown as { ttl: object };
    expect(ttl).toMatchObject({ strategy: 'keep_latest', ttl_minutes: 60 });
    expect(await sweep()).toMatchObject([{ threads: 0, histories: 0 }]);
    for (let round = 0; round < 2; round += 1) {
      await letDaysPass(id, 1);
      expect(await sweep()).toMatchObject([{ histories: 1 }]);
      expect(await historyOf(id)).toHaveLength(1);
      expect(await sweep()).toMatchObject([{ histories: 0 }]);
      await server.client.runs.wait(id, 'line', { input });
    }
  });

  it('of all threads counts from when something last happened on them', async () => {
    const [old, young, own] = [await used(), await used(), await used({ ttl: 100_000 })];
    for (const id of [old, own]) await letDaysPass(id, 40);
    await pool.query(`update baton.threads set expires_at = now() + interval '1 day' where thread_id = $1`, [own]);
    const settings = { threads: { strategy: 'keep_latest', minutes: 30 * 1440 } as const };
    expect(await sweep(settings)).toMatchObject([{ threads: 0, histories: 1 }]);
    expect(await sweep(settings)).toMatchObject([{ histories: 0 }]);
    expect(await sweep({ threads: { ...settings.threads, strategy: 'delete' } })).toMatchObject([{ threads: 0 }]);
    await pool.query('update baton.threads set pruned_at = null where thread_id = $1', [old]);
    expect(await sweep({ threads: { ...settings.threads, strategy: 'delete' } })).toMatchObject([{ threads: 1 }]);
    await expect(server.client.threads.get(old)).rejects.toThrow(/404/);
    for (const id of [young, own]) expect(await historyOf(id)).toHaveLength(15);
  });
});

describe('logs of runs', () => {
  it('are cut down to what the run came to, which a late reader gets at once', async () => {
    const id = await used();
    const [run] = await server.client.runs.list(id);
    const before = await call(threads(`/${id}/size`), 'GET');
    await letDaysPass(id, 8);
    const [removed] = await sweep({ logsMs: 7 * 86_400_000 }, 1);
    expect(removed?.['logs']).toBeGreaterThanOrEqual(3);
    const after = await call(threads(`/${id}/size`), 'GET');
    expect(after.json.events.bytes).toBeLessThan(before.json.events.bytes);
    const events = [];
    for await (const { event } of server.client.runs.joinStream(id, String(run?.run_id))) events.push(event);
    expect(events).toEqual(['metadata', 'values']);
    const { values } = await server.client.threads.getState(id);
    expect(await server.client.runs.join(id, String(run?.run_id))).toEqual(values);
  });

  it('and what else is old goes when it is told, by many servers at once', async () => {
    const ids = [await used(), await used(), await used()];
    for (const id of ids) await letDaysPass(id, 20);
    const removed = await sweep({ logsMs: 86_400_000, runsMs: 10 * 86_400_000, usageMs: 0, changesMs: 0 }, 3);
    expect(removed.reduce((sum, { runs = 0 }) => sum + runs, 0)).toBeGreaterThanOrEqual(6);
    for (const id of ids) expect(await server.client.runs.list(id)).toHaveLength(1);
    expect(await sweep({ logsMs: 86_400_000, runsMs: 10 * 86_400_000 })).toMatchObject([{ logs: 0, runs: 0 }]);
  });
});
