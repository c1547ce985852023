import type { Checkpoint, Interrupt, ThreadState } from '@langchain/langgraph-sdk';
import { RemoteGraph } from '@langchain/langgraph/remote';
import { Command } from '@langchain/langgraph';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { pino } from 'pino';
import { uuidv7 } from '../../src/core/ids.ts';
import { Database } from '../../src/database/database.ts';
import { call, collect } from './fixtures/call.ts';
import { gate } from './fixtures/gates.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

const input = { log: [] };

describe.each(['memory:', 'the control plane’s Postgres'])('with the state in %s', (store) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ stateUrl: store === 'memory:' ? store : null });
  });
  afterAll(() => server.stop());

  async function newThread(): Promise<string> {
    return (await server.client.threads.create()).thread_id;
  }

  /** The state before the node of that name ran. */
  async function before(threadId: string, node: string): Promise<ThreadState> {
    const history = await server.client.threads.getHistory(threadId, { limit: 100 });
    const found = history.find((state) => state.next[0] === node);
    if (!found) throw new Error(`no state before ${node}`);
    return found;
  }

  async function post(threadId: string, verb: string, body?: unknown) {
    return call(`${server.url}/threads/${threadId}/${verb}`, 'POST', body);
  }

  /** Resolves when the run has been asked to pause and its worker has heard of it. */
  async function workerKnows(runId: string): Promise<void> {
    const database = new Database({
      url: String(server.config.databaseUrl),
      log: pino({ level: 'silent' }),
      applicationName: 'test',
    });
    await vi.waitFor(async () => {
      const [row] = await database.query('select cancel_action from baton.runs where run_id = $1', [runId]);
      expect(row).toEqual({ cancel_action: 'pause' });
    });
    await database.close();
    await server.baton.worker.heartbeat();
  }

  describe('a question', () => {
    it('is shown, and answered by resume', async () => {
      const { client } = server;
      const threadId = await newThread();
      const asked = (await client.runs.wait(threadId, 'asking', { input })) as { __interrupt__: Interrupt[] };
      expect(asked.__interrupt__).toEqual([{ id: expect.any(String), value: { question: 'go on?' } }]);
      const thread = await client.threads.get(threadId);
      expect(thread.status).toBe('interrupted');
      expect(Object.values(thread.interrupts)).toEqual([asked.__interrupt__]);
      const answered = await client.runs.wait(threadId, 'asking', { command: { resume: { yes: true } } });
      expect(answered).toEqual({ log: ['answer: {"yes":true}'] });
      expect(await client.threads.get(threadId)).toMatchObject({ status: 'idle', interrupts: {} });
    });

    it('takes null, false and text for an answer', async () => {
      const { client } = server;
      for (const resume of [null, false, 'text', [1]]) {
        const threadId = await newThread();
        await client.runs.wait(threadId, 'asking', { input });
        const answered = await client.runs.wait(threadId, 'asking', { command: { resume } });
        expect(answered).toEqual({ log: [`answer: ${JSON.stringify(resume)}`] });
      }
    });

    it('that is not the only one is not answered by a bare null', async () => {
      const { client } = server;
      const threadId = await newThread();
      const command = { resume: null };
      await expect(client.runs.wait(threadId, 'asking', { command })).rejects.toThrow(/422.*which question/);
    });

    it('can be answered by its id, with an update beside', async () => {
      const { client } = server;
      const threadId = await newThread();
      const asked = (await client.runs.wait(threadId, 'asking', { input })) as { __interrupt__: Interrupt[] };
      const id = String(asked.__interrupt__[0]?.id);
      const command = { resume: { [id]: 'ok' }, update: { log: ['beside'] } };
      expect(await client.runs.wait(threadId, 'asking', { command })).toEqual({ log: ['beside', 'answer: "ok"'] });
    });

    it('can be left for another place, with an input of its own', async () => {
      const { client } = server;
      for (const goto of ['elsewhere', { node: 'elsewhere', input: { note: 'sent' } }] as const) {
        const threadId = await newThread();
        await client.runs.wait(threadId, 'asking', { input });
        const result = (await client.runs.wait(threadId, 'asking', { command: { goto } })) as { log?: string[] };
        expect(result.log).toEqual([typeof goto === 'string' ? 'elsewhere' : 'elsewhere sent']);
      }
    });
  });

  describe('a breakpoint', () => {
    it('stops before or after a node, and resume goes on', async () => {
      const { client } = server;
      const threadId = await newThread();
      const stopped = await client.runs.wait(threadId, 'line', {
        input,
        interruptBefore: ['b'],
        interruptAfter: ['b'],
      });
      expect(stopped).toEqual({ log: ['a'], __interrupt__: [] });
      expect(await client.threads.get(threadId)).toMatchObject({ status: 'interrupted' });
      await client.runs.wait(threadId, 'line', { input: null, interruptAfter: ['b'] });
      expect((await client.threads.getState(threadId)).next).toEqual(['c']);
      expect(await client.runs.wait(threadId, 'line', { input: null })).toEqual({ log: ['a', 'b', 'c'] });
    });

    it('stops before every node', async () => {
      const { client } = server;
      const threadId = await newThread();
      const steps = [];
      for (const first of [true, false, false, false]) {
        await client.runs.wait(threadId, 'line', { input: first ? input : null, interruptBefore: '*' });
        steps.push((await client.threads.getState(threadId)).next);
      }
      expect(steps).toEqual([['a'], ['b'], ['c'], []]);
    });
  });

  describe('an older checkpoint', () => {
    it('can be run again, and the old branch stays as it was', async () => {
      const { client } = server;
      const threadId = await newThread();
      await client.runs.wait(threadId, 'line', { input });
      const old = await client.threads.getState(threadId);
      const { checkpoint } = await before(threadId, 'b');
      for (const place of [{ checkpoint: checkpoint }, { checkpointId: String(checkpoint.checkpoint_id) }]) {
        expect(await client.runs.wait(threadId, 'line', { input: null, ...place })).toEqual({ log: ['a', 'b', 'c'] });
      }
      const configurable = { checkpoint_id: checkpoint.checkpoint_id };
      await client.runs.wait(threadId, 'line', { input: null, config: { configurable } });
      const history = await client.threads.getHistory(threadId, { limit: 100 });
      expect(history.filter((state) => state.next[0] === 'c')).toHaveLength(4);
      expect(await client.threads.getState(threadId, old.checkpoint)).toEqual(old);
    });

    it('takes a new input, read back as it was given', async () => {
      const { client } = server;
      const threadId = await newThread();
      await client.runs.wait(threadId, 'line', { input: { log: ['first'] } });
      const { checkpoint } = await before(threadId, 'a');
      await client.runs.wait(threadId, 'line', { input: { log: ['second'] }, checkpoint: checkpoint });
      expect((await client.threads.getState(threadId)).values).toEqual({ log: ['first', 'second', 'a', 'b', 'c'] });
    });

    it('can be edited: a fork that goes on from there', async () => {
      const { client } = server;
      const threadId = await newThread();
      await client.runs.wait(threadId, 'line', { input });
      const { checkpoint } = await before(threadId, 'b');
      const { configurable } = await client.threads.updateState(threadId, {
        values: { log: ['edited'] },
        asNode: 'a',
        checkpoint: checkpoint,
      });
      expect(configurable).toMatchObject({ thread_id: threadId, checkpoint_id: expect.any(String) });
      expect(await client.threads.get(threadId)).toMatchObject({
        status: 'interrupted',
        values: { log: ['a', 'edited'] },
      });
      expect(await client.runs.wait(threadId, 'line', { input: null })).toEqual({ log: ['a', 'edited', 'b', 'c'] });
    });

    it('can be repeated as Studio does it', async () => {
      const { client } = server;
      const threadId = await newThread();
      await client.runs.wait(threadId, 'line', { input });
      const { checkpoint } = await before(threadId, 'c');
      const body = { values: null, as_node: '__copy__', checkpoint_id: checkpoint.checkpoint_id };
      const copied = await call(`${server.url}/threads/${threadId}/state`, 'POST', body);
      expect(copied).toMatchObject({ status: 200 });
      const again = await client.runs.wait(threadId, 'line', { input: null, checkpoint: copied.json.checkpoint });
      expect(again).toEqual({ log: ['a', 'b', 'c'] });
    });

    it('that does not exist is refused, and so is another thread’s', async () => {
      const { client } = server;
      const threadId = await newThread();
      await client.runs.wait(threadId, 'line', { input });
      const gone = { input: null, checkpointId: uuidv7() };
      await expect(client.runs.create(threadId, 'line', gone)).rejects.toThrow(/404.*Checkpoint/);
      const other = { thread_id: uuidv7(), checkpoint_id: uuidv7() };
      await expect(client.threads.getState(threadId, other as Checkpoint)).rejects.toThrow(/422.*thread/);
    });
  });

  describe('an edit at the head', () => {
    it('of a waiting thread leaves it waiting', async () => {
      const { client } = server;
      const threadId = await newThread();
      await client.runs.wait(threadId, 'line', { input, interruptBefore: ['c'] });
      await client.threads.updateState(threadId, { values: { log: ['edited'] } });
      expect(await client.threads.get(threadId)).toMatchObject({
        status: 'interrupted',
        values: { log: ['a', 'b', 'edited'] },
      });
      expect(await client.runs.wait(threadId, 'line', { input: null })).toEqual({ log: ['a', 'b', 'edited', 'c'] });
    });

    it('that the graph cannot take is the caller’s to correct', async () => {
      const { client } = server;
      const threadId = await newThread();
      await client.runs.wait(threadId, 'line', { input });
      const edit = client.threads.updateState(threadId, { values: { log: 5 }, asNode: 'a' });
      await expect(edit).rejects.toThrow(/422.*did not take/);
      const nowhere = client.threads.updateState(threadId, { values: {}, asNode: 'nowhere' });
      await expect(nowhere).rejects.toThrow(/422.*nowhere/);
    });
  });

  describe('pause and resume', () => {
    it('stop a run at its next step boundary, and let it go on', async () => {
      const { client } = server;
      const threadId = await newThread();
      const name = uuidv7();
      const run = await client.runs.create(threadId, 'line', { input, config: { configurable: { gate: name } } });
      await gate(name).reached;
      const paused = post(threadId, 'pause', { wait: true });
      await workerKnows(run.run_id);
      gate(name).open();
      expect(await paused).toMatchObject({ status: 200, json: { status: 'interrupted', values: { log: ['a', 'b'] } } });
      expect(await client.runs.get(threadId, run.run_id)).toMatchObject({ status: 'interrupted' });
      await client.threads.updateState(threadId, { values: { log: ['by hand'] } });
      const resumed = await post(threadId, 'resume', { wait: true });
      expect(resumed.json).toEqual({ log: ['a', 'b', 'by hand', 'c'] });
    });

    it('answer at once unless they are to wait', async () => {
      const { client } = server;
      const threadId = await newThread();
      const name = uuidv7();
      const run = await client.runs.create(threadId, 'line', { input, config: { configurable: { gate: name } } });
      await gate(name).reached;
      expect(await post(threadId, 'pause')).toMatchObject({ status: 202, json: { status: 'busy' } });
      await workerKnows(run.run_id);
      gate(name).open();
      await client.runs.join(threadId, run.run_id);
      expect(await client.threads.get(threadId)).toMatchObject({ status: 'interrupted' });
    });

    it('answer a question, as a run, a result or a stream', async () => {
      const { client } = server;
      const answers = [];
      for (const how of [{}, { wait: true }, { stream: true, stream_mode: 'updates' }]) {
        const threadId = await newThread();
        await client.runs.wait(threadId, 'asking', { input });
        const answer = await post(threadId, 'resume', { resume: 'yes', ...how });
        if (answer.json?.run_id) await client.runs.join(threadId, answer.json.run_id);
        expect((await client.threads.getState(threadId)).values).toEqual({ log: ['answer: "yes"'] });
        answers.push(answer);
      }
      const [run, result, stream] = answers;
      expect(run?.json).toMatchObject({ run_id: expect.any(String), status: 'pending' });
      expect(result?.json).toEqual({ log: ['answer: "yes"'] });
      expect(stream?.text).toContain('event: updates\ndata: {"ask":{"log":["answer: \\"yes\\""]}}\nid: 1\n');
    });

    it('refuse what cannot be done', async () => {
      const { client } = server;
      const threadId = await newThread();
      expect(await post(threadId, 'pause')).toMatchObject({ status: 409 });
      expect(await post(threadId, 'resume')).toMatchObject({
        status: 422,
        text: expect.stringContaining('assistant_id'),
      });
      expect(await post(uuidv7(), 'pause')).toMatchObject({ status: 404 });
      expect(await post(uuidv7(), 'resume')).toMatchObject({ status: 404 });
      await client.runs.create(threadId, 'line', { input, afterSeconds: 3600 });
      expect(await post(threadId, 'resume')).toMatchObject({ status: 409 });
    });
  });

  describe('a graph elsewhere that uses this one', () => {
    it('runs, asks, is answered, and reads and edits the state', async () => {
      const remote = new RemoteGraph({ graphId: 'asking', url: server.url });
      const config = { configurable: { thread_id: uuidv7() } };
      const asked = collect(await remote.stream(input, { ...config, streamMode: 'values' }));
      await expect(asked).rejects.toMatchObject({
        name: 'GraphInterrupt',
        interrupts: [{ value: { question: 'go on?' } }],
      });
      const waiting = await remote.getState(config);
      expect(waiting.next).toEqual(['ask']);
      await remote.invoke(new Command({ resume: 'remote' }), config);
      expect((await remote.getState(config)).values).toEqual({ log: ['answer: "remote"'] });
      const history = await collect(
        remote.getStateHistory(config, { limit: 1, before: (await remote.getState(config)).config as never }),
      );
      expect(history[0]?.next).toEqual(['ask']);
      await remote.updateState(config, { log: ['edited'] }, 'elsewhere');
      expect((await remote.getState(config)).values).toEqual({ log: ['answer: "remote"', 'edited'] });
      expect(Object.keys((await remote.getGraphAsync()).nodes)).toContain('ask');
    });
  });
});
