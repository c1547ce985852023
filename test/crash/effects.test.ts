import { once } from 'node:events';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemAssistantId } from '../../src/core/ids.ts';
import type { Durability, Run, RunKwargs } from '../../src/core/run.ts';
import type { Database } from '../../src/database/database.ts';
import { Effects } from '../../src/database/effects.ts';
import { Runs } from '../../src/database/runs.ts';
import { enqueueRun } from '../enqueue-run.ts';
import { crashDatabase, type CrashDatabase } from './crash-database.ts';
import { killed, type Processes } from './processes.ts';

let crash: CrashDatabase;
let database: Database;
let workers: Processes;
let replacement: Promise<unknown>;

beforeAll(async () => {
  crash = await crashDatabase();
  ({ database, processes: workers } = crash);
  replacement = workers.start('worker');
});
afterAll(async () => {
  await replacement;
  await crash.drop();
});

async function oneIsKilled(): Promise<void> {
  await Promise.race([...workers.running].map((worker) => once(worker, 'exit')));
  replacement = workers.start('worker');
}

function enqueue(durability: Durability): Promise<Run> {
  const kwargs: Partial<RunKwargs> = { input: { passed: [] }, durability };
  return enqueueRun(new Runs(database), { graphId: 'paying', assistantId: systemAssistantId('paying'), kwargs });
}

async function parked({ thread_id, run_id }: Run): Promise<void> {
  const reasons = async () => {
    const run = await new Runs(database).get(thread_id, run_id);
    return run?.waits_for?.tasks.map(({ name }) => name) ?? run?.status;
  };
  await expect.poll(reasons, { timeout: 30_000, interval: 100 }).toEqual(['rest']);
}

async function ended({ thread_id, run_id }: Run): Promise<void> {
  const status = async () => (await new Runs(database).get(thread_id, run_id))?.status;
  await expect.poll(status, { timeout: 30_000, interval: 100 }).toBe('success');
}

/** What the world outside has seen of a run: name, idempotency key and attempt of each call. */
async function calls({ run_id }: Run): Promise<string[][]> {
  const rows = await database.query<{ node: string }>('select node from ledger where run_id = $1', [run_id]);
  return rows.map(({ node }) => node.split(' '));
}

const DURABILITIES: Durability[] = ['sync', 'async', 'auto'];

it.each(DURABILITIES)('killed right after its effects, a node does none of them again (%s)', async (durability) => {
  await replacement;
  await database.query(`insert into armed (point) values ('after paying')`);
  const death = oneIsKilled();
  const run = await enqueue(durability);
  await death;
  await parked(run);
  expect((await calls(run)).map(([name, , attempt]) => [name, attempt])).toEqual([
    ['one', '1'],
    ['two', '1'],
    ['three', '1'],
  ]);
});

it.each(DURABILITIES)(
  'killed in the middle of one, it does that again, under the same key (%s)',
  async (durability) => {
    await replacement;
    await database.query(`insert into armed (point) values ('inside two')`);
    const death = oneIsKilled();
    const run = await enqueue(durability);
    await death;
    await parked(run);
    const seen = await calls(run);
    expect(seen.map(([name, , attempt]) => [name, attempt])).toEqual([
      ['one', '1'],
      ['two', '1'],
      ['two', '2'],
      ['three', '1'],
    ]);
    expect(seen[1]?.[1]).toBe(seen[2]?.[1]);
  },
);

it('a run that sleeps outlives every process, and wakes when its time has come, also when that one is killed', async () => {
  await replacement;
  const run = await enqueue('sync');
  await parked(run);
  for (const worker of workers.running) await killed(worker);
  const asleep = await new Runs(database).get(run.thread_id, run.run_id);
  expect(asleep?.status).toBe('pending');
  await workers.start('worker');
  expect(await new Effects(database).wake(run.thread_id, 'rest')).toBe(1);
  await database.query(`insert into armed (point) values ('after sleeping')`);
  await oneIsKilled();
  await ended(run);
  expect((await calls(run)).map(([name]) => name)).toEqual(['one', 'two', 'three']);
}, 60_000);
