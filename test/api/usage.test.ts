import { createServer } from '@copilotkit/aimock';
import { Client as Postgres } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fileURLToPath } from 'node:url';
import { uuidv7 } from '../../src/core/ids.ts';
import type { Durability } from '../../src/core/run.ts';
import type { UsageReport } from '../../src/core/usage.ts';
import { call } from '../sdk/fixtures/call.ts';
import { gate } from '../sdk/fixtures/gates.ts';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';

const file = fileURLToPath(new URL('fixtures/spending-graphs.ts', import.meta.url));
const graphs = { spending: { file, exportName: 'spending', description: null } };
const MINI = 0.000_21;
const BIG = 0.0035;

let model: Awaited<ReturnType<typeof createServer>>;
let server: TestServer;
let database: Postgres;

beforeAll(async () => {
  const usage = { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100 };
  model = await createServer([{ match: { predicate: () => true }, response: { content: 'an answer', usage } }], {
    host: '127.0.0.1',
    port: 0,
  });
  // Of the nodes only `team` is worth a save by itself, with durability `auto`.
  const settings = { autoDurability: { ms: 600_000, cost: 0.003 } };
  server = await testServer({ settings, graphs });
  database = new Postgres(server.baton.databaseUrl);
  await database.connect();
});
afterAll(async () => {
  await database.end();
  await server.stop();
  model.server.close();
});

const config = (more: object = {}) => ({ configurable: { model_url: `${model.url}/v1`, ...more } });

async function usageOf(path: string): Promise<UsageReport> {
  const { status, json } = await call(`${server.url}${path}`, 'GET');
  expect(status).toBe(200);
  return json as UsageReport;
}

async function metric(line: string): Promise<number> {
  const { text } = await call(`${server.url}/metrics`, 'GET');
  const found = text.split('\n').find((candidate) => candidate.startsWith(`${line} `));
  return Number(found?.slice(line.length + 1) ?? 0);
}

describe('usage', () => {
  it('is counted and priced by call, for the run, its nodes and its models', async () => {
    const { thread_id } = await server.client.threads.create();
    const { run_id } = await server.client.runs.create(thread_id, 'spending', { input: {}, config: config() });
    await server.client.runs.join(thread_id, run_id);
    const { totals, by_node, by_model, saved } = await usageOf(`/runs/${run_id}/usage`);
    expect(totals).toMatchObject({
      calls: 4,
      unpriced_calls: 1,
      input_tokens: 4000,
      output_tokens: 400,
      total_tokens: 4400,
      cost: 2 * MINI + BIG,
    });
    expect(totals.seconds).toBeGreaterThan(0);
    // On a busy machine a node without calls may take long enough to be there, too.
    const calling = by_node.filter(({ calls }) => calls > 0);
    expect(calling.map(({ node, calls, cost, executions }) => [node, calls, cost, executions])).toEqual([
      ['think', 2, 2 * MINI, 1],
      ['team', 1, BIG, 1],
      ['last', 1, null, 1],
    ]);
    expect(by_model.map(({ model, calls, cost }) => [model, calls, cost])).toEqual([
      ['gpt-4o-mini', 2, 2 * MINI],
      ['gpt-4o', 1, BIG],
      ['house-model', 1, null],
    ]);
    expect(saved).toMatchObject({ calls: 0, cost: 0, executions: 0, seconds: 0 });
  });

  it('is the same however the run is streamed, and adds up for its thread and its graph', async () => {
    const { client, url } = server;
    const before = (await usageOf('/usage?graph_id=spending')).totals;
    const { thread_id } = await client.threads.create();
    for (const streamMode of ['messages', 'events', 'messages-tuple'] as const) {
      const options = { input: {}, config: config(), streamMode, streamSubgraphs: true };
      for await (const _ of client.runs.stream(thread_id, 'spending', options));
    }
    const { totals } = await usageOf(`/threads/${thread_id}/usage`);
    expect(totals).toMatchObject({ calls: 12, input_tokens: 12_000, cost: 3 * (2 * MINI + BIG) });
    const after = (await usageOf('/usage?graph_id=spending')).totals;
    expect(after.calls - before.calls).toBe(12);
    expect((await call(`${url}/usage?graph_id=nothing`, 'GET')).status).toBe(404);
    expect((await call(`${url}/threads/${uuidv7()}/usage`, 'GET')).status).toBe(404);
    expect((await call(`${url}/runs/${uuidv7()}/usage`, 'GET')).status).toBe(404);
  });

  it('is there for Prometheus', async () => {
    const labels = 'graph="spending",model="gpt-4o"';
    const before = await metric(`baton_model_tokens_total{${labels},kind="input"}`);
    const cost = await metric(`baton_model_cost_usd_total{${labels}}`);
    await server.client.runs.wait(null, 'spending', { input: {}, config: config() });
    expect(await metric(`baton_model_tokens_total{${labels},kind="input"}`)).toBe(before + 1000);
    expect(await metric(`baton_model_cost_usd_total{${labels}}`)).toBeCloseTo(cost + BIG, 9);
  });

  it('is priced as the project says', async () => {
    const prices = { 'house-model': { input: 1, output: 20 }, 'gpt-4o': { input: 0, output: 0 } };
    const other = await testServer({ settings: { prices }, graphs, stateUrl: 'memory:' });
    const { thread_id } = await other.client.threads.create();
    await other.client.runs.wait(thread_id, 'spending', { input: {}, config: config() });
    const { json } = await call(`${other.url}/threads/${thread_id}/usage`, 'GET');
    await other.stop();
    expect(json.totals).toMatchObject({ unpriced_calls: 0, cost: 0.003_42 });
  });
});

describe('of a run whose worker was lost', () => {
  /** Loses the lease while the node `idle` waits; the other attempt goes through. Returns the run. */
  async function lost(durability: Durability) {
    const name = uuidv7();
    const { thread_id } = await server.client.threads.create();
    const { run_id } = await server.client.runs.create(thread_id, 'spending', {
      input: {},
      config: config({ gate: name }),
      // The client's types do not know `auto`.
      durability: durability as 'sync',
    });
    await gate(name).reached;
    await database.query(`update baton.runs set lease_until = now() - interval '1 second' where run_id = $1`, [run_id]);
    server.baton.worker.wake();
    await server.client.runs.join(thread_id, run_id);
    const report = await usageOf(`/runs/${run_id}/usage`);
    // Not earlier: a lost attempt that has not heard of it goes on, and what it spends is spent.
    gate(name).open();
    return report;
  }

  it.each(['sync', 'auto'] as const)('what it had finished was saved (%s)', async (durability) => {
    const { totals, saved } = await lost(durability);
    expect(totals).toMatchObject({ calls: 4 });
    expect(saved).toMatchObject({ calls: 3, total_tokens: 3300, cost: 2 * MINI + BIG, executions: 2 });
    expect(saved.seconds).toBeGreaterThan(0);
  });

  it('nothing was saved that was saved nowhere', async () => {
    const { totals, saved } = await lost('exit');
    expect(totals).toMatchObject({ calls: 7 });
    expect(saved).toMatchObject({ calls: 0, executions: 0 });
  });
});
