import { fileURLToPath } from 'node:url';
import { createServer } from '@copilotkit/aimock';
import { Client as Postgres } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import { call } from '../sdk/fixtures/call.ts';
import { gate } from '../sdk/fixtures/gates.ts';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';

const file = fileURLToPath(new URL('fixtures/spending-graphs.ts', import.meta.url));
const looping = { file, exportName: 'looping', description: null };

let model: Awaited<ReturnType<typeof createServer>>;
let server: TestServer;

beforeAll(async () => {
  const usage = { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100 };
  const answers = [{ match: { predicate: () => true }, response: { content: 'an answer', usage } }];
  model = await createServer(answers, { host: '127.0.0.1', port: 0 });
  const graphs = { looping, thrifty: { ...looping, budget: { tokens: 1000 } } };
  server = await testServer({ graphs, stateUrl: 'memory:' });
});
afterAll(async () => {
  await server.stop();
  model.server.close();
});

type Log = { log: string[]; __interrupt__?: { id: string; value: Record<string, unknown> }[] };
type Request = { input?: object | null; command?: object };

const configOf = (budget?: object) => ({
  configurable: { model_url: `${model.url}/v1`, ...(budget && { baton_budget: budget }) },
});

async function wait(threadId: string, request: Request, { budget = {}, graph = 'looping' } = {}): Promise<Log> {
  const config = configOf(Object.keys(budget).length > 0 ? budget : undefined);
  const payload = { ...request, config } as { input: Record<string, unknown> };
  return (await server.client.runs.wait(threadId, graph, payload)) as unknown as Log;
}

async function newThread(): Promise<string> {
  return (await server.client.threads.create()).thread_id;
}

async function asked(threadId: string) {
  const { status, interrupts } = await server.client.threads.get(threadId);
  return { status, questions: Object.values(interrupts).flat() };
}

describe('a run that has spent its budget', () => {
  it('stops at the step boundary with a question, and goes on from there when a person lifts it', async () => {
    const id = await newThread();
    const stopped = await wait(id, { input: {} }, { budget: { tokens: 2000 } });
    expect(stopped.log).toHaveLength(2);
    const value = { type: 'budget', spent: { tokens: 2200, cost: 0.00042 }, budget: { tokens: 2000 } };
    expect(stopped.__interrupt__).toMatchObject([{ value }]);
    const { status, questions } = await asked(id);
    expect([status, questions]).toEqual(['interrupted', stopped.__interrupt__]);
    const state = await server.client.threads.getState(id);
    expect(state.tasks.at(-1)?.interrupts).toEqual(questions);
    const [newest, ...older] = await server.client.threads.getHistory(id);
    expect(newest?.tasks.at(-1)?.interrupts).toEqual(questions);
    expect(older.flatMap(({ tasks }) => tasks.flatMap(({ interrupts }) => interrupts))).toEqual([]);
    const [run] = await server.client.runs.list(id);
    expect(run?.status).toBe('interrupted');

    // As much once more: it is spent again after two turns.
    const again = await wait(id, { command: { resume: true } });
    expect(again.log).toHaveLength(4);
    expect(again.__interrupt__).toMatchObject([{ value }]);
    const on = await wait(id, { command: { resume: { budget: { tokens: 100_000 } } } });
    expect(on.log).toHaveLength(6);
    expect(on.__interrupt__).toMatchObject([{ value: 'enough?' }]);
    // The answer is the graph's again.
    expect(await wait(id, { command: { resume: 'yes' } })).toMatchObject({ log: { 6: 'yes' } });
    const { json } = await call(`${server.url}/threads/${id}/usage`, 'GET');
    expect(json.totals.calls).toBe(6);
  });

  it.each([
    ['money', { cost: 0.0003 }, 2],
    ['time', { seconds: 0.000_001 }, 1],
  ])('may be limited by %s', async (_what, budget, turns) => {
    const id = await newThread();
    expect((await wait(id, { input: {} }, { budget })).log).toHaveLength(turns);
    expect((await asked(id)).questions).toMatchObject([{ value: { type: 'budget', budget } }]);
  });

  it('has that of its graph when it names none, limit by limit', async () => {
    const id = await newThread();
    expect((await wait(id, { input: {} }, { graph: 'thrifty' })).log).toHaveLength(1);
    const other = await newThread();
    const budget = { tokens: 3000, cost: 1 };
    expect((await wait(other, { input: {} }, { graph: 'thrifty', budget })).log).toHaveLength(3);
  });

  it('says what it asks in every stream, and takes an answer by name', async () => {
    const id = await newThread();
    const events: [string, unknown][] = [];
    const streamMode = ['updates', 'values'] as ['updates', 'values'];
    const options = { input: {}, config: configOf({ tokens: 1 }), streamMode };
    for await (const { event, data } of server.client.runs.stream(id, 'looping', options)) events.push([event, data]);
    const { questions } = await asked(id);
    expect(events.slice(-2)).toEqual([
      ['updates', { __interrupt__: questions }],
      ['values', { __interrupt__: questions }],
    ]);
    const params = { interrupt_id: questions[0]?.id, response: { budget: { tokens: 2000 } } };
    const command = { id: 1, method: 'input.respond', params };
    const { json } = await call(`${server.url}/threads/${id}/commands`, 'POST', command);
    expect(json).toMatchObject({ type: 'success' });
    await server.client.runs.join(id, json.result.run_id);
    expect(await server.client.threads.getState(id)).toMatchObject({ values: { log: { length: 3 } } });
    const told = await threadEvents(id);
    expect(told.filter((event) => event.method.startsWith('input.')).map(({ method }) => method)).toEqual([
      'input.requested',
      'input.answered',
      'input.requested',
    ]);
  });

  it('comes after a question of the graph', async () => {
    const id = await newThread();
    const log = ['1', '2', '3', '4', '5'];
    expect((await wait(id, { input: { log } }, { budget: { tokens: 1 } })).log).toHaveLength(6);
    expect((await asked(id)).questions).toMatchObject([{ value: { type: 'budget' } }]);
    const on = await wait(id, { command: { resume: true } });
    expect(on.__interrupt__).toMatchObject([{ value: 'enough?' }]);
    expect((await asked(id)).questions).toMatchObject([{ value: 'enough?' }]);
  });

  it('counts what was spent before its worker was lost', async () => {
    const id = await newThread();
    const name = uuidv7();
    const { configurable } = configOf({ tokens: 3000 });
    const config = { configurable: { ...configurable, gate: name } };
    const { run_id } = await server.client.runs.create(id, 'looping', { input: {}, config });
    await gate(name).reached;
    const database = new Postgres(server.baton.databaseUrl);
    await database.connect();
    await database.query(`update baton.runs set lease_until = now() - interval '1 second' where run_id = $1`, [run_id]);
    await database.end();
    server.baton.worker.wake();
    await server.client.runs.join(id, run_id);
    gate(name).open();
    expect((await asked(id)).questions).toMatchObject([{ value: { type: 'budget', spent: { tokens: 3300 } } }]);
    expect(await server.client.threads.getState(id)).toMatchObject({ values: { log: { length: 3 } } });
  });

  it('takes no other answer, and no budget that is none', async () => {
    const id = await newThread();
    await wait(id, { input: {} }, { budget: { tokens: 1 } });
    const run = (body: object) =>
      call(`${server.url}/threads/${id}/runs`, 'POST', { assistant_id: 'looping', ...body });
    for (const resume of [false, null, 'yes', {}, { budget: { tokens: 0 } }, { budget: { euros: 1 } }]) {
      const { status, text } = await run({ command: { resume } });
      expect([status, text]).toEqual([422, expect.stringContaining('Answer true')]);
    }
    const { status, text } = await run({ input: {}, config: { configurable: { baton_budget: { tokens: -1 } } } });
    expect([status, text]).toEqual([422, expect.stringContaining('baton_budget')]);
    // Whoever begins anew needs not lift it.
    expect((await wait(id, { input: {} }, { budget: { tokens: 100_000 } })).log).toHaveLength(6);
  });
});

interface ThreadEvent {
  method: string;
}

/** What the thread's protocol has told so far. */
async function threadEvents(threadId: string): Promise<ThreadEvent[]> {
  const left = new AbortController();
  const answer = await fetch(`${server.url}/threads/${threadId}/stream/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ channels: ['input', 'lifecycle'] }),
    signal: left.signal,
  });
  const events: ThreadEvent[] = [];
  let text = '';
  for await (const piece of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += piece;
    const ended = [...text.matchAll(/"event":"interrupted"/g)].length;
    if (ended >= 2) break;
  }
  left.abort();
  for (const [, data] of text.matchAll(/^data: (.*)$/gm)) events.push(JSON.parse(data ?? '') as ThreadEvent);
  return events;
}
