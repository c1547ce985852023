import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemAssistantId, uuidv7 } from '../../src/core/ids.ts';
import { call, collect } from './fixtures/call.ts';
import { gate } from './fixtures/gates.ts';
import { GRAPHS_FILE, testServer, type TestServer } from './fixtures/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await testServer({
    graphs: { brief: { file: GRAPHS_FILE, exportName: 'line', description: null, durability: 'exit' } },
  });
});
afterAll(() => server.stop());

const input = { log: [] };
const ALL = ['a', 'b', 'c'];

async function newThread(): Promise<string> {
  return (await server.client.threads.create()).thread_id;
}

/** A run that waits at a gate of its own in node `b`. */
async function runAtGate(threadId: string, options: object = {}) {
  const name = uuidv7();
  const run = await server.client.runs.create(threadId, 'line', {
    input,
    config: { configurable: { gate: name } },
    ...options,
  });
  await gate(name).reached;
  return { run, open: () => gate(name).open() };
}

describe('a run', () => {
  it('is queued, done, and can be asked for', async () => {
    const { client } = server;
    const threadId = await newThread();
    let created: unknown;
    const run = await client.runs.create(threadId, 'line', {
      input,
      metadata: { who: 'me' },
      onRunCreated: (ids) => {
        created = ids;
      },
    });
    expect(created).toEqual({ run_id: run.run_id, thread_id: threadId });
    expect(run).toMatchObject({
      thread_id: threadId,
      assistant_id: systemAssistantId('line'),
      status: 'pending',
      metadata: { who: 'me', graph_id: 'line' },
      multitask_strategy: 'enqueue',
    });
    expect(await client.runs.join(threadId, run.run_id)).toEqual({ log: ALL });
    expect(await client.runs.get(threadId, run.run_id)).toMatchObject({ status: 'success' });
    expect(await client.threads.get(threadId)).toMatchObject({
      status: 'idle',
      values: { log: ALL },
      metadata: { graph_id: 'line', assistant_id: systemAssistantId('line') },
    });
  });

  it('answers with its values, and the thread is at rest by then', async () => {
    const { client } = server;
    const threadId = await newThread();
    expect(await client.runs.wait(threadId, 'line', { input })).toEqual({ log: ALL });
    expect(await client.threads.get(threadId)).toMatchObject({ status: 'idle', values: { log: ALL } });
  });

  it('that fails says why', async () => {
    const { client } = server;
    const threadId = await newThread();
    await expect(client.runs.wait(threadId, 'failing', { input })).rejects.toThrow('RangeError: too far');
    const answer = await client.runs.wait(threadId, 'failing', { input, raiseError: false });
    expect(answer).toEqual({ __error__: { error: 'RangeError', message: 'too far' } });
    expect(await client.threads.get(threadId)).toMatchObject({
      status: 'error',
      error: { error: 'RangeError', message: 'too far' },
    });
    const endless = client.runs.wait(threadId, 'line', { input, config: { recursion_limit: 2 } });
    await expect(endless).rejects.toThrow(/GraphRecursionError/);
  });

  it('joins the list of its thread, newest first', async () => {
    const { client } = server;
    const threadId = await newThread();
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) ids.unshift((await client.runs.create(threadId, 'line', { input })).run_id);
    await client.runs.join(threadId, String(ids[0]));
    expect((await client.runs.list(threadId)).map((run) => run.run_id)).toEqual(ids);
    expect(await client.runs.list(threadId, { limit: 1, offset: 1, select: ['run_id'] })).toEqual([{ run_id: ids[1] }]);
    expect(await client.runs.list(threadId, { status: 'error' })).toEqual([]);
    await client.runs.delete(threadId, String(ids[1]));
    await expect(client.runs.get(threadId, String(ids[1]))).rejects.toThrow(/404/);
    expect(await client.runs.list(threadId)).toHaveLength(2);
    await expect(client.runs.list(uuidv7())).rejects.toThrow(/404/);
    const select = ['run_id', 'stauts'] as unknown as ['run_id'];
    await expect(client.runs.list(threadId, { select })).rejects.toThrow(/422.*query\.select\.1/);
    // The platform's, which the official client's type names.
    expect(await client.runs.list(threadId, { limit: 1, select: ['run_id', 'cancel_reason'] })).toEqual([
      { run_id: ids[0] },
    ]);
  });

  it('needs a thread and an assistant, or leave to make the thread', async () => {
    const { client } = server;
    const missing = uuidv7();
    await expect(client.runs.create(missing, 'line', { input })).rejects.toThrow(/404.*Thread/);
    await expect(client.runs.create(await newThread(), 'nowhere', { input })).rejects.toThrow(/404.*Assistant nowhere/);
    await expect(client.runs.create(await newThread(), uuidv7(), { input })).rejects.toThrow(/404.*Assistant/);
    expect(await client.runs.wait(missing, 'line', { input, ifNotExists: 'create' })).toEqual({ log: ALL });
  });

  it('does not begin before its time', async () => {
    const { client } = server;
    const threadId = await newThread();
    const later = await client.runs.create(threadId, 'line', { input, afterSeconds: 3600 });
    expect(await client.runs.wait(threadId, 'line', { input })).toEqual({ log: ALL });
    expect(await client.runs.get(threadId, later.run_id)).toMatchObject({ status: 'pending' });
    expect(await client.threads.get(threadId)).toMatchObject({ status: 'busy' });
    await client.runs.cancel(threadId, later.run_id, true);
    expect(await client.runs.get(threadId, later.run_id)).toMatchObject({ status: 'interrupted' });
    expect(await client.threads.get(threadId)).toMatchObject({ status: 'idle' });
    const soon = client.runs.wait(threadId, 'line', { input, afterSeconds: 0.01 });
    expect(await soon).toEqual({ log: [...ALL, ...ALL] });
  });

  it.each(['sync', 'async', 'auto', 'exit'])('keeps its state with durability %s', async (durability) => {
    const { client } = server;
    const threadId = await newThread();
    // The client's types do not know `auto`.
    await client.runs.wait(threadId, 'line', { input, durability: durability as 'sync' });
    const history = await client.threads.getHistory(threadId);
    expect(history).toHaveLength(['auto', 'exit'].includes(durability) ? 1 : 5);
    expect((await client.threads.getState(threadId)).values).toEqual({ log: ALL });
  });

  it('keeps it as its graph does when the run does not say', async () => {
    const { client } = server;
    for (const [options, checkpoints] of [
      [{}, 1],
      [{ durability: 'sync' }, 5],
      [{ checkpointDuring: true }, 5],
    ] as const) {
      const threadId = await newThread();
      await client.runs.wait(threadId, 'brief', { input, ...options });
      expect(await client.threads.getHistory(threadId)).toHaveLength(checkpoints);
    }
  });

  it('understands the older name of durability', async () => {
    const { client } = server;
    const threadId = await newThread();
    await client.runs.wait(threadId, 'line', { input, checkpointDuring: false });
    expect(await client.threads.getHistory(threadId)).toHaveLength(1);
  });
});

describe('what a run is configured with', () => {
  it('comes from assistant, thread and run, the nearest first', async () => {
    const { client } = server;
    const { assistant_id } = await client.assistants.create({
      graphId: 'mirror',
      config: { tags: ['from-assistant'], configurable: { a: 'assistant', b: 'assistant', c: 'assistant' } },
      context: { x: 'assistant', y: 'assistant' },
      metadata: { m: 'assistant', n: 'assistant', o: 'assistant' },
    });
    const { thread_id } = await client.threads.create({ metadata: { n: 'thread', o: 'thread' } });
    await client.runs.wait(thread_id, assistant_id, {
      input: {},
      config: { configurable: { b: 'first', c: 'first' } },
    });
    const result = (await client.runs.wait(thread_id, assistant_id, {
      input: {},
      config: { configurable: { c: 'second' } },
      context: { y: 'run' },
      metadata: { o: 'run' },
    })) as { seen: Record<string, unknown> };
    expect(result.seen).toMatchObject({
      configurable: { a: 'assistant', b: 'first', c: 'second', graph_id: 'mirror', assistant_id, thread_id },
      context: { x: 'assistant', y: 'run' },
      metadata: { m: 'assistant', n: 'thread', o: 'run', graph_id: 'mirror', assistant_id, run_attempt: 1 },
      tags: ['from-assistant'],
    });
    const [newest] = await client.threads.getHistory(thread_id, { limit: 1 });
    expect(newest?.metadata).toMatchObject({ m: 'assistant', n: 'thread', o: 'run' });
  });

  it('stays on the thread without secrets, places and private keys', async () => {
    const { client } = server;
    const threadId = await newThread();
    await client.runs.wait(threadId, 'line', { input });
    const [head] = await client.threads.getHistory(threadId, { limit: 1 });
    const configurable = {
      model: 'small',
      openai_api_key: 'sk-1',
      checkpoint_id: head?.checkpoint.checkpoint_id,
      checkpoint_ns: '',
      __pregel_task_id: 'x',
      __baton_fencing_token: 1e9,
    };
    const run = await client.runs.create(threadId, 'line', {
      input,
      config: { configurable },
      checkpoint: head?.checkpoint as never,
    });
    await client.runs.join(threadId, run.run_id);
    const thread = (await client.threads.get(threadId)) as unknown as { config: { configurable: object } };
    expect(thread.config.configurable).toEqual({ model: 'small' });
    expect(JSON.stringify(await client.threads.getHistory(threadId))).not.toContain('sk-1');
  });
});

describe('a second run while one runs', () => {
  it('waits its turn by default', async () => {
    const { client } = server;
    const threadId = await newThread();
    const first = await runAtGate(threadId);
    const second = await client.runs.create(threadId, 'line', { input, config: { configurable: { gate: '' } } });
    expect(await client.runs.get(threadId, second.run_id)).toMatchObject({ status: 'pending' });
    first.open();
    expect(await client.runs.join(threadId, second.run_id)).toEqual({ log: [...ALL, ...ALL] });
  });

  it('is refused with reject', async () => {
    const { client } = server;
    const threadId = await newThread();
    const first = await runAtGate(threadId);
    const second = client.runs.create(threadId, 'line', { input, multitaskStrategy: 'reject' });
    await expect(second).rejects.toThrow(/409.*busy/);
    await expect(client.threads.updateState(threadId, { values: { log: ['x'] }, asNode: 'a' })).rejects.toThrow(/409/);
    await expect(client.runs.delete(threadId, first.run.run_id)).rejects.toThrow(/409/);
    first.open();
    expect(await client.runs.join(threadId, first.run.run_id)).toEqual({ log: ALL });
  });

  it('stops the first and keeps what it did with interrupt', async () => {
    const { client } = server;
    const threadId = await newThread();
    const first = await runAtGate(threadId);
    const second = client.runs.wait(threadId, 'line', {
      input,
      multitaskStrategy: 'interrupt',
      config: { configurable: { gate: '' } },
    });
    expect(await second).toEqual({ log: ['a', ...ALL] });
    expect(await client.runs.get(threadId, first.run.run_id)).toMatchObject({ status: 'interrupted' });
  });

  it('undoes the first with rollback', async () => {
    const { client } = server;
    const threadId = await newThread();
    const first = await runAtGate(threadId);
    const second = client.runs.wait(threadId, 'line', {
      input,
      multitaskStrategy: 'rollback',
      config: { configurable: { gate: '' } },
    });
    expect(await second).toEqual({ log: ALL });
    await expect(client.runs.get(threadId, first.run.run_id)).rejects.toThrow(/404/);
  });
});

describe('cancelling a run', () => {
  it('keeps what it did', async () => {
    const { client } = server;
    const threadId = await newThread();
    const { run } = await runAtGate(threadId);
    await client.runs.cancel(threadId, run.run_id, true);
    expect(await client.runs.get(threadId, run.run_id)).toMatchObject({ status: 'interrupted' });
    expect(await client.threads.get(threadId)).toMatchObject({ status: 'idle', values: { log: ['a'] } });
    await client.runs.cancel(threadId, run.run_id, true);
    const rollback = client.runs.cancel(threadId, run.run_id, true, 'rollback');
    await expect(rollback).rejects.toThrow(/409.*fork/);
  });

  it('undoes it with rollback, and whoever waits is told', async () => {
    const { client } = server;
    const threadId = await newThread();
    await client.runs.wait(threadId, 'line', { input });
    const name = uuidv7();
    const waiting = client.runs.wait(threadId, 'line', {
      input,
      config: { configurable: { gate: name } },
      raiseError: false,
    });
    await gate(name).reached;
    const [run] = await client.runs.list(threadId);
    await client.runs.cancel(threadId, String(run?.run_id), true, 'rollback');
    expect(await waiting).toMatchObject({ __error__: { error: 'RunRemoved' } });
    await expect(client.runs.get(threadId, String(run?.run_id))).rejects.toThrow(/404/);
    expect(await client.threads.get(threadId)).toMatchObject({ status: 'idle', values: { log: ALL } });
    expect(await client.threads.getHistory(threadId)).toHaveLength(5);
  });

  it('answers at once unless it is to wait', async () => {
    const threadId = await newThread();
    const { run } = await runAtGate(threadId);
    const url = `${server.url}/threads/${threadId}/runs/${run.run_id}/cancel`;
    expect(await call(`${url}?wait=0`, 'POST')).toMatchObject({ status: 202 });
    expect(await call(`${url}?wait=true`, 'POST')).toMatchObject({ status: 204 });
    expect(await call(`${server.url}/threads/${threadId}/runs/${uuidv7()}/cancel`, 'POST')).toMatchObject({
      status: 404,
    });
  });

  it('can be done for several', async () => {
    const { client } = server;
    const threadId = await newThread();
    const { run } = await runAtGate(threadId);
    const waiting = await client.runs.create(threadId, 'line', { input });
    await client.runs.cancelMany({ threadId, runIds: [run.run_id, waiting.run_id] });
    await client.runs.join(threadId, run.run_id);
    expect(await client.runs.list(threadId, { status: 'interrupted' })).toHaveLength(2);
  });

  it('can be done for all that wait, that run, or both', async () => {
    const { client } = server;
    const threads = [await newThread(), await newThread()];
    const gated = await Promise.all(threads.map((threadId) => runAtGate(threadId)));
    const waiting = await Promise.all(threads.map((threadId) => client.runs.create(threadId, 'line', { input })));
    const statuses = () =>
      Promise.all(
        [...gated.map(({ run }) => run), ...waiting].map(
          async (run) => (await client.runs.get(run.thread_id, run.run_id)).status,
        ),
      );
    await client.runs.cancelMany({ status: 'pending' });
    expect(await statuses()).toEqual(['running', 'running', 'interrupted', 'interrupted']);
    const [one] = threads;
    expect(await call(`${server.url}/runs/cancel`, 'POST', { thread_id: one, status: 'running' })).toMatchObject({
      status: 204,
    });
    await client.runs.join(threads[0] ?? '', gated[0]?.run.run_id ?? '');
    expect(await statuses()).toEqual(['interrupted', 'running', 'interrupted', 'interrupted']);
    await client.runs.cancelMany({ status: 'all', action: 'rollback' });
    await client.runs.join(threads[1] ?? '', gated[1]?.run.run_id ?? '').catch(() => undefined);
    await expect(client.runs.get(threads[1] ?? '', gated[1]?.run.run_id ?? '')).rejects.toThrow(/404/);
  });

  it('is tried for each before one that is missing is told', async () => {
    const { client } = server;
    const threadId = await newThread();
    const { run } = await runAtGate(threadId);
    const gone = uuidv7();
    await expect(client.runs.cancelMany({ threadId, runIds: [gone, run.run_id] })).rejects.toThrow(`Run ${gone}`);
    await client.runs.join(threadId, run.run_id);
    expect(await client.runs.get(threadId, run.run_id)).toMatchObject({ status: 'interrupted' });
    for (const body of [{}, { thread_id: threadId }, { status: 'all', run_ids: [] }, { status: 'success' }]) {
      expect(await call(`${server.url}/runs/cancel`, 'POST', body)).toMatchObject({ status: 422 });
    }
  });
});

describe('a run without a thread', () => {
  it('answers with its values and leaves no thread to be seen', async () => {
    const { client } = server;
    const before = await client.threads.count({});
    let created: { run_id: string; thread_id?: string } | undefined;
    const result = client.runs.wait(null, 'line', { input, onRunCreated: (ids) => (created = ids) });
    expect(await result).toEqual({ log: ALL });
    expect(created).toEqual({ run_id: expect.any(String), thread_id: undefined });
    expect(await client.threads.count({})).toBe(before);
  });

  it('streams, and can be joined by its id alone', async () => {
    const { client } = server;
    const events = await collect(client.runs.stream(null, 'line', { input, streamMode: 'updates' }));
    expect(events.map((event) => event.event)).toEqual(['metadata', 'updates', 'updates', 'updates']);
    const run = await client.runs.create(null, 'line', { input });
    const joined = await collect(client.runs.joinStream(null, run.run_id));
    expect(joined.at(-1)).toMatchObject({ event: 'values', data: { log: ALL } });
  });

  it('keeps its thread when asked', async () => {
    const { client } = server;
    const run = await client.runs.create(null, 'line', { input, onCompletion: 'continue' });
    await client.runs.join(run.thread_id, run.run_id);
    expect((await client.threads.getState(run.thread_id)).values).toEqual({ log: ALL });
    expect(await client.threads.search({ ids: [run.thread_id] })).toHaveLength(1);
  });

  it('comes in batches, all or none', async () => {
    const { client } = server;
    const runs = await client.runs.createBatch([
      { assistantId: 'line', input },
      { assistantId: 'line', input, streamMode: 'updates', afterSeconds: 0.001 },
    ]);
    expect(runs).toHaveLength(2);
    for (const run of runs) expect(await client.runs.join(run.thread_id, run.run_id)).toEqual({ log: ALL });
    expect((runs[1] as unknown as { kwargs: object }).kwargs).toMatchObject({ stream_mode: ['updates'] });
    const bad = client.runs.createBatch([
      { assistantId: 'line', input },
      { assistantId: 'nowhere', input },
    ]);
    await expect(bad).rejects.toThrow(/404/);
  });

  it('comes in batches with what only the client knows', async () => {
    const only = { _langsmithTracer: { projectName: 'traces' } as never, feedbackKeys: [] };
    const [run] = await server.client.runs.createBatch([{ assistantId: 'line', input, ...only }]);
    expect(await server.client.runs.join(String(run?.thread_id), String(run?.run_id))).toEqual({ log: ALL });
    const body = [{ assistantId: 'line', input, laterField: 1 }];
    const { headers } = await call(`${server.url}/runs/batch`, 'POST', body);
    expect(headers.get('warning')).toContain('0.later_field');
  });
});
