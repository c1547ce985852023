import { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import { call } from '../sdk/fixtures/call.ts';
import { gate } from '../sdk/fixtures/gates.ts';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

const input = { log: [] };

/** The value of one line of the text format, whose labels stand in the order in which they were declared. */
async function metric(line: string, of = server): Promise<number | undefined> {
  const { text } = await call(`${of.url}/metrics`, 'GET');
  const found = text.split('\n').find((candidate) => candidate.startsWith(`${line} `));
  return found === undefined ? undefined : Number(found.slice(line.length + 1));
}

/** A run in its second node, and how to let it end. */
async function runAtGate() {
  const { client } = server;
  const name = uuidv7();
  const { thread_id } = await client.threads.create();
  const run = await client.runs.create(thread_id, 'line', { input, config: { configurable: { gate: name } } });
  await gate(name).reached;
  return {
    ...run,
    end: async () => {
      gate(name).open();
      await client.runs.join(thread_id, run.run_id);
    },
  };
}

describe('the metrics', () => {
  it('come in the text format of Prometheus, or as JSON', async () => {
    const text = await call(`${server.url}/metrics`, 'GET');
    expect(text.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(text.text).toContain('# TYPE lg_api_http_requests_total counter');
    const { json } = await call(`${server.url}/metrics?format=json`, 'GET');
    expect(json).toMatchObject({
      queue: { n_pending: 0, n_running: 0 },
      workers: { max: 10, active: 0, available: 10 },
    });
    expect(json.metrics).toContainEqual(expect.objectContaining({ name: 'baton_node_duration_seconds' }));
    expect(await call(`${server.url}/metrics?format=xml`, 'GET')).toMatchObject({ status: 422 });
  });

  it('count requests by the pattern of their route', async () => {
    const labels = 'method="GET",path="/threads/:thread_id",status="404"';
    for (let i = 0; i < 3; i++) await call(`${server.url}/threads/${uuidv7()}`, 'GET');
    expect(await metric(`lg_api_http_requests_total{${labels}}`)).toBe(3);
    expect(await metric(`lg_api_http_requests_latency_seconds_count{${labels}}`)).toBe(3);
  });

  it('count what became of runs and of their nodes', async () => {
    const { client } = server;
    const before = (await metric('lg_api_run_queue_wait_time_1st_attempt_seconds_count')) ?? 0;
    const checkpoints = (await metric('baton_checkpoints_written_total')) ?? 0;
    for (const graph of ['line', 'failing', 'asking']) {
      const { thread_id } = await client.threads.create();
      await client.runs.wait(thread_id, graph, { input, raiseError: false });
    }
    expect(await metric('lg_api_run_queue_wait_time_1st_attempt_seconds_count')).toBe(before + 3);
    expect(await metric('baton_checkpoints_written_total')).toBeGreaterThan(checkpoints + 3);
    expect(await metric('baton_runs_ended_total{graph="failing",status="error"}')).toBe(1);
    expect(await metric('baton_runs_ended_total{graph="asking",status="success"}')).toBe(1);
    for (const [graph, node, status] of [
      ['line', 'a', 'success'],
      ['line', 'c', 'success'],
      ['failing', 'fail', 'error'],
      ['asking', 'ask', 'interrupted'],
    ]) {
      const labels = `graph="${graph}",node="${node}",status="${status}"`;
      expect(await metric(`baton_node_duration_seconds_count{${labels}}`)).toBe(1);
    }
    expect((await call(`${server.url}/metrics`, 'GET')).text).not.toContain('__start__');
  });

  it('tell what runs and what waits', async () => {
    const run = await runAtGate();
    await server.client.runs.create(run.thread_id, 'line', { input });
    expect(await metric('lg_api_num_running_runs')).toBe(1);
    expect(await metric('lg_api_num_pending_runs')).toBe(1);
    expect(await metric('lg_api_workers_active')).toBe(1);
    expect(await metric('lg_api_workers_available')).toBe(9);
    expect(await metric('lg_api_pg_pool_size')).toBeGreaterThan(0);
    await run.end();
  });

  it('count the time that a node blocks the process', async () => {
    const run = await runAtGate();
    const labels = 'graph="line",node="b",status="success"';
    const before = (await metric(`baton_node_duration_seconds_sum{${labels}}`)) ?? 0;
    const until = performance.now() + 50;
    while (performance.now() < until);
    await run.end();
    expect(await metric(`baton_node_duration_seconds_sum{${labels}}`)).toBeGreaterThanOrEqual(before + 0.05);
  });

  it('count the runs that were lost to another worker', async () => {
    const run = await runAtGate();
    const pool = new Pool({ connectionString: String(server.config.databaseUrl), max: 1 });
    await pool.query(
      `update baton.runs set fencing_token = nextval('baton.fencing_token'), lease_until = now() where run_id = $1`,
      [run.run_id],
    );
    await pool.end();
    await server.baton.worker.heartbeat();
    expect(await metric('baton_leases_lost_total')).toBe(1);
    await run.end();
    expect(await metric('baton_leases_lost_total')).toBe(1);
  });

  it('are each server’s own', async () => {
    const other = await testServer({ stateUrl: 'memory:', worker: false });
    expect(await metric('baton_runs_ended_total{graph="line",status="success"}', other)).toBeUndefined();
    expect(await metric('lg_api_workers_max', other)).toBe(0);
    await other.stop();
  });
});
