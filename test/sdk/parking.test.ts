import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { world } from './fixtures/effect-graphs.ts';
import { call } from './fixtures/call.ts';
import { command, isEnd, readEvents } from './fixtures/protocol.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

const file = fileURLToPath(new URL('fixtures/parking-graphs.ts', import.meta.url));
const GRAPHS = [
  'sharing',
  'fanning',
  'functional',
  'taskFails',
  'taskSleeps',
  'silent',
  'unstorable',
  'asksBeside',
  'twoSleeps',
  'sleepsBelow',
  'sleepsInCall',
  'catches',
  'stepThenSleep',
  'asksThenSleeps',
  'waits',
  'tools',
  'timing',
  'retriedBelow',
  'retriedTask',
  'breakable',
  'dated',
  'agent',
];

let server: TestServer;
beforeAll(async () => {
  const graphs = Object.fromEntries(GRAPHS.map((exportName) => [exportName, { file, exportName, description: null }]));
  server = await testServer({ graphs });
});
afterAll(() => server.stop());
beforeEach(() => {
  world.calls.length = 0;
});

const callsOf = (name: string) => world.calls.filter((made) => made.name === name).length;
const newThread = async () => (await server.client.threads.create()).thread_id;
const wait = (id: string, graph: string, payload: object = { input: {} }) =>
  server.client.runs.wait(id, graph, { raiseError: false, ...payload }) as Promise<Record<string, unknown>>;
const logOf = async (id: string) => (await server.client.threads.getState<{ log: unknown[] }>(id)).values.log;
const wake = async (id: string, name?: string) =>
  (await call(`${server.url}/threads/${id}/wake`, 'POST', { name })).json;
const tell = async (id: string, event: object) =>
  (await call(`${server.url}/threads/${id}/events`, 'POST', event)).json;

interface Shown {
  run_id: string;
  status: string;
  waits_for?: { until: string | null; tasks: { name: string; reason: string }[] };
}

/** Until the thread's newest run waits for these. */
async function parked(id: string, ...names: string[]): Promise<Shown> {
  let shown: Shown | undefined;
  await expect
    .poll(
      async () => {
        [shown] = (await server.client.runs.list(id)) as unknown as Shown[];
        if (shown && !['pending', 'running'].includes(shown.status)) return shown.status;
        return shown?.waits_for?.tasks.map(({ name }) => name).sort();
      },
      { timeout: 8000 },
    )
    .toEqual(names);
  return shown as Shown;
}

async function sleeping(
  graph: string,
  names: string[],
  payload: object = { input: {} },
): Promise<{ id: string; run: Shown }> {
  const id = await newThread();
  await server.client.runs.create(id, graph, payload);
  return { id, run: await parked(id, ...names) };
}
const join = async (id: string, runId: string) => {
  await server.client.runs.join(id, runId);
  return (await server.client.runs.get(id, runId)).status;
};

describe('an effect', () => {
  it('is done once for two branches that want it at once', async () => {
    for (let round = 0; round < 5; round += 1) {
      world.calls.length = 0;
      const id = await newThread();
      expect(await wait(id, 'sharing')).toEqual({ log: [1, 1] });
      expect(callsOf('shared')).toBe(1);
    }
  });

  it('is another one in each send and each round of a loop', async () => {
    const id = await newThread();
    expect(((await wait(id, 'fanning')) as { log: unknown[] }).log.slice(3)).toEqual([1, 2]);
    expect(callsOf('each')).toBe(3);
  });

  it('is done once in functional graphs and their tasks', async () => {
    const id = await newThread();
    await wait(id, 'functional', { input: 1 });
    expect(await wait(id, 'functional', { command: { resume: 'good' } })).toEqual({
      before: 1,
      paid: [1, 2],
      answer: 'good',
    });
    expect([callsOf('before-tasks'), callsOf('task-pay')]).toEqual([1, 2]);
    const effects = (await call(`${server.url}/threads/${id}/effects`, 'GET')).json as { name: string; node: string }[];
    expect(effects.map(({ name, node }) => [name, node])).toEqual([
      ['before-tasks', 'functional'],
      ['task-pay', 'pay'],
      ['task-pay', 'pay'],
    ]);
  });

  it('of a task that failed has its result when the task is executed again', async () => {
    const id = await newThread();
    await wait(id, 'taskFails', { input: 1 });
    expect((await server.client.threads.get(id)).status).toBe('error');
    expect(await wait(id, 'taskFails', { input: null })).toEqual({ paid: 1 });
    expect(callsOf('task-pay')).toBe(1);
  });

  it('of which nothing comes is recorded, too', async () => {
    const id = await newThread();
    await wait(id, 'silent');
    expect(await wait(id, 'silent', { command: { resume: 'fine' } })).toEqual({ log: ['nothing', 'fine'] });
    expect(callsOf('silent')).toBe(1);
  });

  it('whose result cannot be kept was done nevertheless, and is not done again', async () => {
    const id = await newThread();
    await wait(id, 'unstorable');
    await wait(id, 'unstorable', { input: null });
    expect((await server.client.threads.get(id)).status).toBe('error');
    expect(callsOf('unstorable')).toBe(1);
  });

  it('is done once by tools that a model calls', async () => {
    const id = await newThread();
    const { messages } = (await wait(id, 'tools', { input: { messages: [] } })) as { messages: { content: string }[] };
    expect(messages.map(({ content }) => content)).toEqual(['', '1', '2', 'thanks']);
    expect(callsOf('wire')).toBe(2);
  });

  it('that failed is tried again with the node of a subgraph, or the task, that it made fail', async () => {
    expect(await wait(await newThread(), 'retriedBelow')).toMatchObject({ log: [3] });
    expect(callsOf('flaky')).toBe(3);
    expect(await wait(await newThread(), 'retriedTask', { input: 1 })).toEqual({ paid: 6 });
  });

  it('that was broken off is not taken for one that did not happen', async () => {
    const id = await newThread();
    const run = await server.client.runs.create(id, 'breakable', { input: {} });
    await expect.poll(() => callsOf('breakable')).toBe(1);
    await server.client.runs.cancel(id, run.run_id, true);
    await wait(id, 'breakable', { input: null });
    const { interrupts } = await server.client.threads.get(id);
    expect(
      Object.values(interrupts)
        .flat()
        .map(({ value }) => value),
    ).toMatchObject([{ type: 'effect_unknown' }]);
    expect(await wait(id, 'breakable', { command: { resume: { done: true, result: 7 } } })).toEqual({ log: [7] });
    expect(callsOf('breakable')).toBe(1);
  });

  it('is executed again when its node had no more time', async () => {
    const id = await newThread();
    expect(await wait(id, 'timing')).toEqual({ log: ['in time'] });
    expect(callsOf('slow')).toBe(2);
  });
});

describe('a run that sleeps', () => {
  it('sleeps in a subgraph, with a state of its own or without', async () => {
    for (const graph of ['sleepsBelow', 'sleepsInCall']) {
      world.calls.length = 0;
      const { id, run } = await sleeping(graph, ['deep']);
      expect(await wake(id)).toEqual({ woken: 1 });
      expect(await join(id, run.run_id)).toBe('success');
      expect([await logOf(id), callsOf('deep')]).toEqual([[1, 'woke'], 1]);
    }
  });

  it('sleeps in a task of a functional graph', async () => {
    const { id, run } = await sleeping('taskSleeps', ['task-nap'], { input: 1 });
    await wake(id);
    expect(await join(id, run.run_id)).toBe('success');
    expect(callsOf('napped')).toBe(1);
  });

  it('wakes for the first of its sleeps, and sleeps on for the next', async () => {
    const { id, run } = await sleeping('twoSleeps', ['one', 'two']);
    expect(Date.parse(run.waits_for?.until ?? '') - Date.now()).toBeLessThan(3_600_000);
    await wake(id, 'one');
    const again = await parked(id, 'two');
    expect(Date.parse(again.waits_for?.until ?? '') - Date.now()).toBeGreaterThan(3_600_000);
    await wake(id, 'two');
    expect(await join(id, run.run_id)).toBe('success');
    expect(new Set(await logOf(id))).toEqual(new Set(['one', 'two']));
  });

  it.each(['async', 'auto'])('wakes with durability %s, too', async (durability) => {
    const { id, run } = await sleeping('stepThenSleep', ['rest'], { input: {}, durability });
    await wake(id);
    expect(await join(id, run.run_id)).toBe('success');
    expect([await logOf(id), callsOf('step')]).toEqual([[1, 'rested'], 1]);
  });

  it('beside a question asks first; the answer needs no name, and the sleep goes on', async () => {
    const id = await newThread();
    await wait(id, 'asksBeside');
    const { status, interrupts } = await server.client.threads.get(id);
    expect([
      status,
      Object.values(interrupts)
        .flat()
        .map(({ value }) => value),
    ]).toEqual(['interrupted', ['which?']]);
    await server.client.runs.create(id, 'asksBeside', { command: { resume: 'this' } });
    const run = await parked(id, 'beside');
    await wake(id);
    expect(await join(id, run.run_id)).toBe('success');
    expect(new Set(await logOf(id))).toEqual(new Set(['slept', 'this']));
  });

  it('after an answer keeps the answer', async () => {
    const id = await newThread();
    await wait(id, 'asksThenSleeps');
    await server.client.runs.create(id, 'asksThenSleeps', { command: { resume: 'me' } });
    const run = await parked(id, 'after-answer');
    await wake(id);
    expect(await join(id, run.run_id)).toBe('success');
    expect(await logOf(id)).toEqual(['me']);
  });

  it('after an answer sleeps also with breakpoints', async () => {
    const id = await newThread();
    await wait(id, 'asksThenSleeps');
    await server.client.runs.create(id, 'asksThenSleeps', { command: { resume: 'me' }, interruptBefore: ['both'] });
    const run = await parked(id, 'after-answer');
    await wake(id);
    expect(await join(id, run.run_id)).toBe('success');
    expect(await logOf(id)).toEqual(['me']);
  });

  it('must not be caught: a node that goes on all the same fails', async () => {
    const id = await newThread();
    await wait(id, 'catches');
    const { status, error } = (await server.client.threads.get(id)) as unknown as {
      status: string;
      error: { message: string };
    };
    expect(status).toBe('error');
    expect(error.message).toContain('caught');
  });

  it('on a replay of history sleeps again', async () => {
    const { id, run } = await sleeping('stepThenSleep', ['rest']);
    await wake(id);
    await join(id, run.run_id);
    const history = await server.client.threads.getHistory(id);
    const before = history.find(({ next }) => next.includes('rest'));
    await server.client.runs.create(id, 'stepThenSleep', {
      input: null,
      ...(before && { checkpoint: before.checkpoint }),
    });
    const again = await parked(id, 'rest');
    await wake(id);
    expect(await join(id, again.run_id)).toBe('success');
    expect([await logOf(id), callsOf('step')]).toEqual([[1, 'rested'], 1]);
  });

  it('is stopped, and sleeps on when it is resumed', async () => {
    const { id, run } = await sleeping('stepThenSleep', ['rest']);
    await server.client.runs.cancel(id, run.run_id, true);
    const thread = await server.client.threads.get(id);
    expect([thread.status, thread.interrupts, (await server.client.runs.get(id, run.run_id)).status]).toEqual([
      'idle',
      {},
      'interrupted',
    ]);
    await server.client.runs.create(id, 'stepThenSleep', { input: null });
    const again = await parked(id, 'rest');
    expect(again.waits_for?.until).toBe(run.waits_for?.until);
  });

  it('is paused where it sleeps', async () => {
    const { id, run } = await sleeping('stepThenSleep', ['rest']);
    const entries = callsOf('node rest');
    const { status } = await call(`${server.url}/threads/${id}/pause`, 'POST', { wait: true });
    expect(status).toBe(200);
    expect((await server.client.runs.get(id, run.run_id)).status).toBe('interrupted');
    expect((await server.client.threads.get(id)).status).toBe('interrupted');
    expect(callsOf('node rest') - entries).toBeLessThanOrEqual(1);
    await call(`${server.url}/threads/${id}/resume`, 'POST', {});
    const again = await parked(id, 'rest');
    await wake(id);
    expect(await join(id, again.run_id)).toBe('success');
  });

  it('is undone', async () => {
    const { id, run } = await sleeping('stepThenSleep', ['rest']);
    await server.client.runs.cancel(id, run.run_id, true, 'rollback');
    await expect(server.client.runs.get(id, run.run_id)).rejects.toThrow('404');
    expect((await server.client.threads.getState(id)).next).toEqual([]);
  });

  it('goes with its thread', async () => {
    const { id } = await sleeping('stepThenSleep', ['rest']);
    await server.client.threads.delete(id);
    await expect(server.client.threads.get(id)).rejects.toThrow('404');
  });

  it('keeps its thread busy, for each of the multitask strategies', async () => {
    const { id, run } = await sleeping('waits', ['word']);
    const start = (multitaskStrategy: 'reject' | 'enqueue' | 'interrupt') =>
      server.client.runs.create(id, 'waits', { input: {}, multitaskStrategy });
    await expect(start('reject')).rejects.toThrow('409');
    const behind = await start('enqueue');
    expect((await server.client.runs.get(id, behind.run_id)).status).toBe('pending');
    await tell(id, { name: 'word', payload: 1 });
    expect(await join(id, run.run_id)).toBe('success');
    await parked(id, 'word');
    const last = await start('interrupt');
    expect((await parked(id, 'word')).run_id).toBe(last.run_id);
    expect((await server.client.runs.get(id, behind.run_id)).status).toBe('interrupted');
  });

  it('is waited for by those who wait for its end', async () => {
    const id = await newThread();
    const waiting = wait(id, 'stepThenSleep');
    await parked(id, 'rest');
    await wake(id);
    expect(await waiting).toEqual({ log: [1, 'rested'] });
  });

  it('without a thread of its own lives as long as it needs, and is counted while it waits', async () => {
    const run = (await server.client.runs.create(null, 'waits', { input: {} })) as unknown as Shown & {
      thread_id: string;
    };
    await parked(run.thread_id, 'word');
    const { event } = (await call(`${server.url}/metrics?format=json`, 'GET')).json.queue.n_parked as { event: number };
    expect(event).toBeGreaterThan(0);
    expect((await call(`${server.url}/info`, 'GET')).json.baton.runs_parked.event).toBe(event);
    expect((await call(`${server.url}/metrics`, 'GET')).text).toContain(`baton_runs_parked{reason="event"} ${event}`);
    const waiting = server.client.runs.join(run.thread_id, run.run_id);
    await tell(run.thread_id, { name: 'word', payload: 'go' });
    expect(await waiting).toMatchObject({ log: [{ payload: 'go' }] });
  });

  it('asks nobody in the protocol of threads, and its stream stays open', async () => {
    const id = await newThread();
    const { assistant_id } = (await server.client.assistants.search({ graphId: 'stepThenSleep' }))[0] ?? {};
    await command(server.url, id, 'run.start', { assistant_id, input: {} });
    const events = readEvents(server.url, id, {}, isEnd);
    await parked(id, 'rest');
    await wake(id);
    const seen = await events;
    expect(seen.at(-1)?.params.data).toMatchObject({ event: 'completed' });
    expect(seen.map(({ method }) => method)).not.toContain('input.requested');
    expect(JSON.stringify(seen)).not.toContain('parked');
  });

  it('of a copied thread sleeps anew there', async () => {
    const { id } = await sleeping('stepThenSleep', ['rest']);
    const copied = (await server.client.threads.copy(id)) as unknown as { thread_id: string; status: string };
    expect(copied.status).toBe('idle');
    await server.client.runs.create(copied.thread_id, 'stepThenSleep', { input: null });
    const run = await parked(copied.thread_id, 'rest');
    await wake(copied.thread_id);
    expect(await join(copied.thread_id, run.run_id)).toBe('success');
    expect(callsOf('step')).toBe(1);
  });
});

describe('a worker whose clock is wrong by hours', () => {
  beforeAll(() => {
    vi.useFakeTimers({ toFake: ['Date'] });
  });
  afterAll(() => {
    vi.useRealTimers();
  });

  it.each([10, -10])('(%i) keeps its runs, and wakes them by the database’s clock', async (hours) => {
    const now = performance.timeOrigin + performance.now();
    vi.setSystemTime(now + hours * 3_600_000);
    const until = new Date(now + 3_600_000).toISOString();
    const { id, run } = await sleeping('dated', ['doze', 'tries'], { input: { until } });
    const wakesIn = Date.parse(run.waits_for?.until ?? '') - now;
    expect(wakesIn).toBeGreaterThan(1_700_000);
    expect(wakesIn).toBeLessThan(1_900_000);
    await server.baton.worker.heartbeat();
    await wake(id);
    expect(await join(id, run.run_id)).toBe('success');
    expect(new Set(await logOf(id))).toEqual(new Set(['dozed', 'tried']));
    expect(callsOf('tried')).toBe(2);
  });

  it('ends a sleep until an instant that is over for the database', async () => {
    const now = performance.timeOrigin + performance.now();
    vi.setSystemTime(now - 36_000_000);
    const input = { until: new Date(now - 1000).toISOString() };
    // What is not to be tried after that instant fails; from the second call on it succeeds.
    expect(await wait(await newThread(), 'dated', { input })).toMatchObject({ __error__: {} });
    const id = await newThread();
    expect(await wait(id, 'dated', { input })).toMatchObject({ log: expect.arrayContaining(['dozed', 'tried']) });
    expect((await call(`${server.url}/threads/${id}/effects`, 'GET')).json).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: 'doze', status: 'done' })]),
    );
  });
});
