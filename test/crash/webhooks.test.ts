import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { Receiver } from '../engine/webhooks/receiver.ts';
import { call } from '../sdk/fixtures/call.ts';
import { crashDatabase, type CrashDatabase } from './crash-database.ts';
import { killed, type Processes } from './processes.ts';

let crash: CrashDatabase;
let database: Database;
let processes: Processes;
let receiver: Receiver;
let url: string;

beforeAll(async () => {
  process.env['BATON_WEBHOOK_ALLOWED_NETWORKS'] = '127.0.0.0/8';
  receiver = await Receiver.start();
  crash = await crashDatabase();
  ({ database, processes } = crash);
  ({ url } = await processes.start('api'));
});
afterAll(async () => {
  await crash.drop();
  await receiver.stop();
});
beforeEach(() => {
  receiver.received.length = 0;
  receiver.answer = (response) => response.end();
});

async function startRun(path: string): Promise<string> {
  const body = { assistant_id: 'relay', input: { passed: [] }, webhook: receiver.url + path };
  return (await call(`${url}/runs`, 'POST', body)).json.run_id;
}

async function deliveriesOf(runId: string) {
  return (await call(`${url}/webhooks/deliveries?run_id=${runId}`, 'GET')).json;
}

/** As if the time that an attempt may take were over. */
async function leaseRunsOut(): Promise<void> {
  await database.query(`update baton.webhook_deliveries set next_attempt_at = now() where status = 'pending'`);
}

it('a worker that is killed after the end of a run, before it has told it: another one tells it', async () => {
  await database.query(`insert into armed (point) values ('after webhook claim')`);
  const worker = await processes.start('worker');
  const exited = once(worker.process, 'exit');
  const runId = await startRun('/one');
  expect(await exited).toEqual([null, 'SIGKILL']);
  const [before, ...others] = await deliveriesOf(runId);
  expect(before).toMatchObject({ status: 'pending', attempts: 1, last_status: null });
  expect(others).toEqual([]);
  expect(receiver.received).toEqual([]);
  await leaseRunsOut();
  const heir = await processes.start('worker');
  const [told] = await receiver.until(1, '/one');
  expect(told?.headers['x-baton-delivery']).toBe(before.delivery_id);
  expect(told?.json).toMatchObject({ run_id: runId, status: 'success' });
  await killed(heir.process);
}, 60_000);

it('a worker that is killed while a receiver has it: another one tells it again, under the same id', async () => {
  const worker = await processes.start('worker');
  receiver.answer = () => worker.process.kill('SIGKILL');
  const exited = once(worker.process, 'exit');
  const runId = await startRun('/two');
  await exited;
  receiver.answer = (response) => response.end();
  await leaseRunsOut();
  const heir = await processes.start('worker');
  const [first, second] = await receiver.until(2, '/two');
  expect([first, second].map((one) => one?.headers['x-baton-attempt'])).toEqual(['1', '2']);
  expect(first?.headers['x-baton-delivery']).toBe(second?.headers['x-baton-delivery']);
  expect(second?.json).toMatchObject({ run_id: runId, status: 'success' });
  await killed(heir.process);
}, 60_000);
