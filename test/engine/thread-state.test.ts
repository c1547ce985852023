import { InMemoryStore } from '@langchain/langgraph-checkpoint';
import { Command } from '@langchain/langgraph';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import type { CheckpointRef } from '../../src/core/run.ts';
import type { Thread, ThreadOutcome } from '../../src/core/thread.ts';
import { Database } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { RunQueue, type ClaimedRun } from '../../src/database/run-queue.ts';
import { Runs } from '../../src/database/runs.ts';
import { Threads } from '../../src/database/threads.ts';
import { GraphRegistry } from '../../src/engine/graphs/registry.ts';
import type { ThreadState } from '../../src/engine/threads/snapshot.ts';
import { ThreadStates } from '../../src/engine/threads/thread-state.ts';
import type { DurableSaver } from '../../src/state/durable-saver.ts';
import { openState } from '../../src/state/open-state.ts';
import { testDatabase, type TestDatabase } from '../postgres.ts';

const file = fileURLToPath(new URL('fixtures/state-graphs.ts', import.meta.url));
const names = ['line', 'asking', 'sideBySide', 'nested', 'failing'];
const graphs = new GraphRegistry(
  Object.fromEntries(names.map((exportName) => [exportName, { file, exportName, description: null }])),
);

describe.each(['memory:', 'postgres'])('with the state in %s', (store) => {
  let db: TestDatabase;
  let database: Database;
  let threads: Threads;
  let states: ThreadStates;
  let saver: DurableSaver;

  beforeAll(async () => {
    db = await testDatabase();
    database = new Database({ url: db.url, log: pino({ level: 'silent' }), applicationName: 'test' });
    await migrate(database);
    saver = await openState({ url: store === 'memory:' ? store : db.url, log: pino({ level: 'silent' }) });
    threads = new Threads(database);
    states = new ThreadStates({
      graphs,
      stores: { of: () => saver, namesFor: () => [''] },
      threads,
      store: new InMemoryStore(),
      files: null,
    });
  });
  afterAll(async () => {
    await saver.close();
    await database.close();
    await db.drop();
  });

  async function newThread(graphId: string): Promise<Thread> {
    const thread = await threads.insert({ thread_id: uuidv7(), metadata: { graph_id: graphId } });
    if (!thread) throw new Error('the id is taken');
    return thread;
  }

  /** Executes the thread's graph in this process and says how the thread rests afterwards. */
  async function run(thread: Thread, input: unknown, options: object = {}) {
    const graphId = thread.metadata['graph_id'] as string;
    const graph = await graphs.get(graphId, { checkpointer: saver });
    await graph
      .invoke(input as Record<string, unknown>, { configurable: { thread_id: thread.thread_id }, ...options })
      .catch(() => undefined);
    return states.outcome({ ...thread, graph_id: graphId }, {});
  }

  async function enqueue(thread: Thread): Promise<void> {
    await new Runs(database).enqueue({
      run: {
        run_id: uuidv7(),
        thread_id: thread.thread_id,
        assistant_id: uuidv7(),
        graph_id: 'line',
        metadata: {},
        multitask_strategy: 'enqueue',
        kwargs: {
          config: {},
          context: {},
          stream_mode: ['values'],
          stream_subgraphs: false,
          durability: 'sync',
          temporary_thread: false,
        },
      },
      ifThreadMissing: 'reject',
      delayMs: 0,
      threadMetadata: {},
      threadConfig: {},
      newThreadMetadata: {},
      user: null,
      stateStores: [''],
    });
  }

  async function historyOf(thread: Thread) {
    return states.history(thread, { limit: 100 });
  }

  describe('the outcome of a thread', () => {
    it('is nothing before the first run', async () => {
      const thread = await newThread('line');
      expect(await states.outcome({ ...thread, graph_id: 'line' }, {})).toEqual({
        status: 'idle',
        values: null,
        interrupts: {},
        error: null,
        parkings: [],
      });
    });

    it('is idle at the end and interrupted at a breakpoint', async () => {
      const thread = await newThread('line');
      const stopped = await run(thread, { log: [] }, { interruptBefore: ['c'] });
      expect(stopped).toEqual({
        status: 'interrupted',
        values: { log: ['a', 'b'] },
        interrupts: {},
        error: null,
        parkings: [],
      });
      const ended = await run(thread, null);
      expect(ended).toMatchObject({ status: 'idle', values: { log: ['a', 'b', 'c'] } });
    });

    it('is interrupted at the second question of one node, though `next` is empty there', async () => {
      const thread = await newThread('asking');
      const first = await run(thread, { log: [] });
      const second = await run(thread, new Command({ resume: 'Ann' }));
      expect(Object.values(first.interrupts)).toEqual([[{ id: expect.any(String), value: { question: 'name?' } }]]);
      expect(second.status).toBe('interrupted');
      expect(Object.values(second.interrupts)).toEqual([[{ id: expect.any(String), value: { question: 'age?' } }]]);
      expect(await run(thread, new Command({ resume: 42 }))).toMatchObject({
        status: 'idle',
        values: { log: ['Ann is 42'] },
      });
    });

    it('no longer asks what a task of the same step has been answered', async () => {
      const thread = await newThread('sideBySide');
      const both = await run(thread, { log: [] });
      const questions = Object.values(both.interrupts).flat();
      expect(questions.map((question) => question.value)).toEqual(['quiet?', 'loud?']);
      const one = await run(thread, new Command({ resume: { [String(questions[0]?.id)]: 'yes' } }));
      expect(one.status).toBe('interrupted');
      expect(
        Object.values(one.interrupts)
          .flat()
          .map((question) => question.value),
      ).toEqual(['loud?']);
    });

    it('shows the question of a subgraph', async () => {
      const thread = await newThread('nested');
      const outcome = await run(thread, { log: [] });
      expect(Object.values(outcome.interrupts)).toEqual([[{ id: expect.any(String), value: 'inner?' }]]);
    });
  });

  describe('the state of a thread', () => {
    it('is an empty shell while it belongs to no graph', async () => {
      const thread = (await threads.insert({ thread_id: uuidv7(), metadata: {} })) as Thread;
      expect(await states.get(thread)).toMatchObject({ values: {}, next: [], tasks: [], checkpoint: null });
      expect(await historyOf(thread)).toEqual([]);
      await expect(states.update(thread, { values: {} })).rejects.toThrow(/belongs to no graph/);
    });

    it('can be read at any checkpoint of its history', async () => {
      const thread = await newThread('line');
      await run(thread, { log: [] });
      const history = await historyOf(thread);
      expect(history.map((state) => state.next)).toEqual([[], ['c'], ['b'], ['a'], ['__start__']]);
      for (const state of history) {
        const again = await states.get(thread, { checkpoint: state.checkpoint as object });
        expect(again).toMatchObject({
          values: state.values,
          next: state.next,
          parent_checkpoint: state.parent_checkpoint,
        });
      }
    });

    it('pages its history by limit and before', async () => {
      const thread = await newThread('line');
      await run(thread, { log: [] });
      const [newest, second] = await states.history(thread, { limit: 2 });
      const { checkpoint_id: before } = (second as ThreadState).checkpoint as CheckpointRef;
      const [third] = await states.history(thread, { limit: 1, before });
      expect([newest?.next, second?.next, third?.next]).toEqual([[], ['c'], ['b']]);
    });

    it('refuses a checkpoint that does not exist, and changes nothing', async () => {
      const thread = await newThread('line');
      await run(thread, { log: [] });
      const checkpoint = { checkpoint_id: uuidv7() };
      await expect(states.get(thread, { checkpoint })).rejects.toThrow(/Checkpoint .* not found/);
      await expect(states.update(thread, { values: { log: ['x'] } }, checkpoint)).rejects.toThrow(/not found/);
      expect(await historyOf(thread)).toHaveLength(5);
    });

    it('shows a subgraph by reference, or whole when asked', async () => {
      const thread = await newThread('nested');
      await run(thread, { log: [] });
      const [reference] = (await states.get(thread)).tasks;
      expect(reference?.state).toBeNull();
      expect(reference?.checkpoint).toMatchObject({ checkpoint_ns: `inner:${reference?.id}` });
      const [whole] = (await states.get(thread, { subgraphs: true })).tasks;
      expect(whole?.state).toMatchObject({ values: { log: ['before', 'think'] }, next: ['ask'] });
      const inside = await states.get(thread, { checkpoint: reference?.checkpoint as object });
      expect(inside.next).toEqual(['ask']);
    });

    it('shows why a task failed', async () => {
      const thread = await newThread('failing');
      await run(thread, { log: [] });
      const state = await states.get(thread);
      expect(state.tasks).toMatchObject([{ name: 'fail', error: expect.stringContaining('too far') }]);
    });
  });

  describe('a change by hand', () => {
    it('at the head goes on from there', async () => {
      const thread = await newThread('line');
      await run(thread, { log: [] }, { interruptBefore: ['c'] });
      await states.update(thread, { values: { log: ['edited'] }, as_node: 'b' });
      expect(await threads.get(thread.thread_id)).toMatchObject({
        status: 'interrupted',
        values: { log: ['a', 'b', 'edited'] },
      });
      expect(await run(thread, null)).toMatchObject({ status: 'idle', values: { log: ['a', 'b', 'edited', 'c'] } });
    });

    it('at a checkpoint makes a fork, and leaves the old branch as it was', async () => {
      const thread = await newThread('line');
      await run(thread, { log: [] });
      const history = await historyOf(thread);
      const beforeB = history.find((state) => state.next[0] === 'b');
      await states.update(thread, { values: { log: ['fork'] }, as_node: 'a' }, beforeB?.checkpoint as object);
      expect(await run(thread, null)).toMatchObject({ values: { log: ['a', 'fork', 'b', 'c'] } });
      const old = await states.get(thread, { checkpoint: history[0]?.checkpoint as object });
      expect(old.values).toEqual({ log: ['a', 'b', 'c'] });
    });

    it('as `__copy__` repeats a step', async () => {
      const thread = await newThread('line');
      await run(thread, { log: [] });
      const beforeC = (await historyOf(thread)).find((state) => state.next[0] === 'c');
      await states.update(thread, { values: null, as_node: '__copy__' }, beforeC?.checkpoint as object);
      expect(await threads.get(thread.thread_id)).toMatchObject({ status: 'interrupted', values: { log: ['a', 'b'] } });
      expect(await run(thread, null)).toMatchObject({ values: { log: ['a', 'b', 'c'] } });
    });

    it('in several steps builds a thread without running it', async () => {
      const thread = await newThread('line');
      await states.bulkUpdate(thread, [
        [{ values: { log: ['in'] }, as_node: '__input__' }],
        [{ values: { log: ['in'] }, as_node: '__start__' }],
        [{ values: { log: ['A'] }, as_node: 'a' }],
        [{ command: { update: { log: ['B'] } }, as_node: 'b' }],
      ]);
      expect(await states.get(thread)).toMatchObject({ values: { log: ['in', 'A', 'B'] }, next: ['c'] });
    });

    it('that the graph cannot take is the caller’s to correct', async () => {
      const thread = await newThread('line');
      const attempts = [
        { values: { log: ['x'] }, as_node: 'nowhere' },
        { values: { log: 5 }, as_node: 'a' },
        { values: 'text', as_node: 'a' },
      ];
      for (const attempt of attempts) {
        await expect(states.update(thread, attempt)).rejects.toMatchObject({ code: 'invalid_input' });
      }
    });

    it('is refused while a run is waiting', async () => {
      const thread = await newThread('line');
      await enqueue(thread);
      await expect(states.update(thread, { values: { log: ['x'] }, as_node: 'a' })).rejects.toMatchObject({
        code: 'busy',
      });
    });

    it('that a newer run has overtaken is refused', async () => {
      const thread = await newThread('line');
      await run(thread, { log: [] });
      await saver.fence(thread.thread_id, 1_000_000);
      const late = states.update(thread, { values: { log: ['late'] }, as_node: 'a' });
      await expect(late).rejects.toMatchObject({ code: 'fenced' });
      expect((await states.get(thread)).values).toEqual({ log: ['a', 'b', 'c'] });
    });

    it('is not shown over what a run has come to since', async () => {
      const thread = await newThread('line');
      const { token } = await threads.reserve(thread.thread_id);
      await enqueue(thread);
      const queue = new RunQueue(database);
      const claimed = await queue.claim({ workerId: 'w', graphIds: ['line'], limit: 10, leaseMs: 60_000 });
      const run = claimed.find(({ thread_id }) => thread_id === thread.thread_id);
      const outcome: ThreadOutcome = { status: 'idle', values: { log: ['run'] }, interrupts: {}, error: null };
      await queue.finish(run as ClaimedRun, {
        status: 'success',
        error: null,
        pauses: false,
        endSeq: 0,
        endAt: 0,
        outcome,
      });
      await threads.settle(thread.thread_id, { ...outcome, values: { log: ['late'] } }, token);
      expect(await threads.get(thread.thread_id)).toMatchObject({ status: 'idle', values: { log: ['run'] } });
    });

    it('keeps no token in what is stored', async () => {
      const thread = await newThread('line');
      await states.update(thread, { values: { log: ['x'] }, as_node: 'a' });
      expect(JSON.stringify([await historyOf(thread), await threads.get(thread.thread_id)])).not.toContain('token');
    });
  });

  describe('a copy', () => {
    it('stands where the source stands and goes its own way', async () => {
      const source = await newThread('line');
      await run(source, { log: [] }, { interruptBefore: ['c'] });
      await states.update(source, { values: { log: ['x'] }, as_node: 'b' });
      const current = (await threads.get(source.thread_id)) as Thread;
      const copy = await states.copy(current, uuidv7(), current.metadata);
      expect(copy).toMatchObject({ status: 'interrupted', values: current.values });
      expect(await historyOf(copy)).toHaveLength((await historyOf(source)).length);
      await run(copy, null);
      expect((await states.get(source)).values).toEqual({ log: ['a', 'b', 'x'] });
      expect((await states.get(copy)).values).toEqual({ log: ['a', 'b', 'x', 'c'] });
    });
  });
});
