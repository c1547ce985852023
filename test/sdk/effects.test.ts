import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client as Postgres } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { world } from './fixtures/effect-graphs.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

const file = fileURLToPath(new URL('fixtures/effect-graphs.ts', import.meta.url));
const GRAPHS = ['paying', 'nested', 'scoped', 'catching', 'sleeping'];

let server: TestServer;
let database: Postgres;
beforeAll(async () => {
  const graphs = Object.fromEntries(GRAPHS.map((exportName) => [exportName, { file, exportName, description: null }]));
  server = await testServer({ graphs });
  database = new Postgres(server.baton.databaseUrl);
  await database.connect();
});
afterAll(async () => {
  await database.end();
  await server.stop();
});
beforeEach(() => {
  world.calls.length = 0;
  world.faults.clear();
});

type Effect = {
  name: string;
  status: string;
  attempts: number;
  key: string | null;
  kind: string;
  wake_at: string | null;
};

async function thread(): Promise<string> {
  return (await server.client.threads.create()).thread_id;
}

async function effectsOf(threadId: string): Promise<Effect[]> {
  const response = await fetch(`${server.url}/threads/${threadId}/effects?limit=100`);
  expect(response.status).toBe(200);
  return (await response.json()) as Effect[];
}

async function post(path: string, body: unknown): Promise<unknown> {
  const response = await fetch(server.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(200);
  return response.json();
}

const wait = (threadId: string, graph: string, payload: object) =>
  server.client.runs.wait(threadId, graph, { raiseError: false, ...payload }) as Promise<{ log: unknown[] }>;
const callsOf = (name: string) => world.calls.filter((call) => call.name === name);

describe('an effect', () => {
  it('is done once though its node is tried again, and has its result with its types', async () => {
    const id = await thread();
    world.faults.set('pay', 2);
    await wait(id, 'paying', { input: { thread: id } });
    expect(world.calls.map(({ name }) => name)).toEqual(['one', 'one', 'two', 'before']);
    expect(new Set(callsOf('one').map(({ key }) => key)).size).toBe(2);
    const { values } = await server.client.threads.getState<{ log: { call: number }[] }>(id);
    expect(values.log.map(({ call }) => call)).toEqual([1, 2, 3]);
    expect(values.log[0]).toMatchObject({ at: '1970-01-01T00:00:00.000Z' });
  });

  it('is not done again by a node that goes on after an answer', async () => {
    const id = await thread();
    await wait(id, 'paying', { input: { thread: id } });
    await wait(id, 'paying', { command: { resume: 'yes' } });
    expect(callsOf('before')).toHaveLength(1);
    expect(callsOf('after')).toHaveLength(1);
    expect((await effectsOf(id)).map(({ name, status, attempts }) => [name, status, attempts])).toEqual([
      ['one', 'done', 1],
      ['one', 'done', 1],
      ['two', 'done', 1],
      ['before', 'done', 1],
      ['after', 'done', 1],
    ]);
  });

  it('has a place of its own in every branch and subgraph, also in those that keep no state', async () => {
    const id = await thread();
    world.faults.set('between', 1);
    world.faults.set('calls', 1);
    await wait(id, 'nested', { input: { thread: id } });
    expect(callsOf('side')).toHaveLength(2);
    // Three calls of a subgraph of two nodes, of which nothing is done again.
    expect(callsOf('inner')).toHaveLength(6);
    expect(new Set(callsOf('inner').map(({ key }) => key)).size).toBe(6);
  });

  it('is one in a thread, or one everywhere, by its scope', async () => {
    const [a, b] = [await thread(), await thread()];
    const invoice = randomUUID();
    for (const id of [a, a, b]) {
      await wait(id, 'scoped', { input: { thread: id, options: { name: 'welcome', scope: 'thread' } } });
      await wait(id, 'scoped', { input: { thread: id, options: { name: 'book', scope: 'global', key: invoice } } });
    }
    expect(callsOf('welcome').map((call) => call.thread)).toEqual([a, b]);
    expect(callsOf('book').map((call) => call.thread)).toEqual([a]);
  });

  it('with other arguments is refused', async () => {
    const id = await thread();
    const options = { name: 'transfer', scope: 'thread', args: { cents: 1, to: 'x' } };
    await wait(id, 'scoped', { input: { thread: id, options: options } });
    // The order of keys says nothing.
    await wait(id, 'scoped', { input: { thread: id, options: { ...options, args: { to: 'x', cents: 1 } } } });
    expect((await server.client.threads.get(id)).status).toBe('idle');
    await wait(id, 'scoped', { input: { thread: id, options: { ...options, args: { cents: 2, to: 'x' } } } });
    const { status, error } = (await server.client.threads.get(id)) as unknown as {
      status: string;
      error: { message: string };
    };
    expect([status, callsOf('transfer').length]).toEqual(['error', 1]);
    expect(error.message).toContain('recorded with other arguments');
  });

  it('is refused in a run that is saved at its end only', async () => {
    const id = await thread();
    await wait(id, 'scoped', { input: { thread: id, options: { name: 'unsaved' } }, durability: 'exit' });
    const { error } = (await server.client.threads.get(id)) as unknown as { error: { message: string } };
    expect([callsOf('unsaved').length, error.message]).toEqual([0, expect.stringContaining('durability')]);
  });

  it('that fails is tried again, and its failure comes again where it was caught', async () => {
    const id = await thread();
    world.faults.set('risky!', 2);
    await wait(id, 'catching', { input: { thread: id } });
    expect(callsOf('risky').map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(new Set(callsOf('risky').map(({ key }) => key)).size).toBe(1);
    await wait(id, 'catching', { command: { resume: 'b' } });
    expect(callsOf('risky')).toHaveLength(2);
    expect(callsOf('plan-b')).toHaveLength(1);
  });

  it('that made its node fail is tried again with it', async () => {
    const id = await thread();
    world.faults.set('lonely!', 1);
    const input = { thread: id, options: { name: 'lonely' } };
    await wait(id, 'scoped', { input });
    expect((await server.client.threads.get(id)).status).toBe('error');
    await wait(id, 'scoped', { input: null });
    expect(callsOf('lonely').map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect((await server.client.threads.get(id)).status).toBe('idle');
  });
});

describe('an effect whose worker was lost in the middle', () => {
  /** The run's lease is over while its effect is executed, and another attempt has it. Ends when that one rests. */
  async function lost(onUnknown: string, durability = 'sync'): Promise<{ id: string; letGo: () => void }> {
    const id = await thread();
    let letGo: () => void = () => undefined;
    const begun = new Promise<void>((reached) => {
      world.hanging = () => {
        reached();
        return new Promise((resolve) => {
          letGo = resolve;
        });
      };
    });
    const input = { thread: id, options: { name: 'hang', onUnknown } };
    const run = await server.client.runs.create(id, 'scoped', { input, durability: durability as 'sync' });
    await begun;
    await database.query(`update baton.runs set lease_until = now() - interval '1 second' where run_id = $1`, [
      run.run_id,
    ]);
    server.baton.worker.wake();
    await server.client.runs.join(id, run.run_id);
    return { id, letGo };
  }

  it.each(['sync', 'async', 'auto'])(
    'is executed again under the same key, and the lost one can record nothing more (%s)',
    async (durability) => {
      const { id, letGo } = await lost('retry', durability);
      letGo();
      expect(callsOf('hang').map(({ attempt }) => attempt)).toEqual([1, 2]);
      expect(new Set(callsOf('hang').map(({ key }) => key)).size).toBe(1);
      await wait(id, 'scoped', { command: { resume: 'that' } });
      expect(await effectsOf(id)).toMatchObject([{ name: 'hang', status: 'done', attempts: 2 }]);
      const { values } = await server.client.threads.getState<{ log: unknown[] }>(id);
      expect(values.log).toMatchObject([{ call: 2 }, 'that']);
    },
  );

  it('fails when it must not be tried again', async () => {
    const { id, letGo } = await lost('fail');
    letGo();
    const { error } = (await server.client.threads.get(id)) as unknown as { error: { message: string } };
    expect([callsOf('hang').length, error.message]).toEqual([
      1,
      expect.stringContaining('nobody knows whether it happened'),
    ]);
  });

  it('is asked about, and what a person says of it holds', async () => {
    const { id, letGo } = await lost('ask');
    const [question] = Object.values((await server.client.threads.get(id)).interrupts).flat();
    expect(question?.value).toMatchObject({ type: 'effect_unknown', effect: { name: 'hang', attempts: 1 } });
    await wait(id, 'scoped', { command: { resume: { done: true, result: 'receipt 7' } } });
    // The node's own question comes after it, and gets its own answer.
    expect(Object.values((await server.client.threads.get(id)).interrupts).flat()).toMatchObject([
      { value: 'and then?' },
    ]);
    expect(await wait(id, 'scoped', { command: { resume: 'that' } })).toMatchObject({ log: ['receipt 7', 'that'] });
    letGo();
    expect(callsOf('hang')).toHaveLength(1);
  });

  it('is executed again when a person says that it did not happen', async () => {
    const { id, letGo } = await lost('ask');
    await wait(id, 'scoped', { command: { resume: { done: false } } });
    expect(await wait(id, 'scoped', { command: { resume: 'that' } })).toMatchObject({ log: [{ call: 2 }, 'that'] });
    letGo();
    expect(callsOf('hang').map(({ attempt }) => attempt)).toEqual([1, 2]);
  });

  it('has the result that the lost one brings after all, whatever the person says', async () => {
    const { id, letGo } = await lost('ask');
    letGo();
    await expect.poll(async () => (await effectsOf(id))[0]?.status).toBe('done');
    await wait(id, 'scoped', { command: { resume: { done: false } } });
    expect(await wait(id, 'scoped', { command: { resume: 'that' } })).toMatchObject({ log: [{ call: 1 }, 'that'] });
    expect(callsOf('hang')).toHaveLength(1);
  });
});

describe('an effect on a fork', () => {
  async function forked(onFork: string): Promise<{ id: string; again: () => Promise<unknown> }> {
    const id = await thread();
    await wait(id, 'scoped', { input: { thread: id, options: { name: 'pick', onFork, args: 1 } } });
    const history = await server.client.threads.getHistory(id);
    const before = history.find(({ next }) => next.includes('act'));
    return { id, again: () => wait(id, 'scoped', { input: null, checkpoint: before?.checkpoint }) };
  }

  it('is done again, under a key of its own', async () => {
    const { again } = await forked('rerun');
    await again();
    expect(callsOf('pick')).toHaveLength(2);
    expect(new Set(callsOf('pick').map(({ key }) => key)).size).toBe(2);
  });

  it('is taken over from the origin', async () => {
    const { id, again } = await forked('reuse');
    expect(await again()).toMatchObject({ log: [{ call: 1 }, null] });
    expect(callsOf('pick')).toHaveLength(1);
    const effects = (await effectsOf(id)) as unknown as { effect_id: string; reused_from: string | null }[];
    expect(effects.map(({ reused_from }) => reused_from)).toEqual([null, effects[0]?.effect_id]);
  });

  it('is refused', async () => {
    const { id, again } = await forked('forbid');
    await again();
    expect([callsOf('pick').length, (await server.client.threads.get(id)).status]).toEqual([1, 'error']);
  });
});

describe('a sleep', () => {
  it('that is long costs a row and no worker, and can be ended early', async () => {
    const id = await thread();
    const run = await server.client.runs.create(id, 'sleeping', { input: { thread: id } });
    const events: string[] = [];
    const following = (async () => {
      for await (const { event, data } of server.client.runs.joinStream(id, run.run_id))
        events.push(event + JSON.stringify(data));
    })();
    const parked = await untilParked(id, run.run_id);
    expect(parked).toMatchObject({
      status: 'pending',
      waits_for: { tasks: [{ kind: 'sleep', name: 'cooldown', reason: 'sleep' }] },
    });
    expect(Date.parse(parked.waits_for.until) - Date.now()).toBeGreaterThan(7_000_000);
    expect(server.baton.worker.busy).toBe(0);
    const state = await server.client.threads.getState(id);
    expect([state.next, state.tasks.flatMap(({ interrupts }) => interrupts)]).toEqual([['long'], []]);

    expect(await post(`/threads/${id}/wake`, { name: 'another' })).toEqual({ woken: 0 });
    expect(await post(`/threads/${id}/wake`, {})).toEqual({ woken: 1 });
    const waiting = await untilParked(id, run.run_id, 'event');
    expect(waiting.waits_for.tasks).toMatchObject([{ name: 'credit-report' }]);
    expect(
      await post(`/threads/${id}/events`, { name: 'credit-report', payload: { score: 7 }, event_id: 'e1' }),
    ).toEqual({ told: true });
    await following;
    expect((await server.client.runs.get(id, run.run_id)).status).toBe('success');
    expect(world.calls.map(({ name }) => name).sort()).toEqual(['before', 'beside']);
    const { values } = await server.client.threads.getState<{ log: unknown[] }>(id);
    expect(values.log.at(-1)).toEqual({ score: 7 });
    expect(events.filter((event) => event.includes('__interrupt__') || event.includes('parked'))).toEqual([]);
    expect(await post(`/threads/${id}/events`, { name: 'credit-report', event_id: 'e1' })).toEqual({ told: false });
  });

  it('can be stopped', async () => {
    const id = await thread();
    const run = await server.client.runs.create(id, 'sleeping', { input: { thread: id } });
    await untilParked(id, run.run_id);
    await server.client.runs.cancel(id, run.run_id, true);
    expect((await server.client.runs.get(id, run.run_id)).status).toBe('interrupted');
  });

  interface ParkedRun {
    status: string;
    waits_for: { until: string; tasks: { kind: string; name: string }[] };
  }

  async function untilParked(threadId: string, runId: string, kind = 'sleep'): Promise<ParkedRun> {
    return expect
      .poll(
        async () => {
          const run = (await server.client.runs.get(threadId, runId)) as unknown as ParkedRun;
          return run.waits_for?.tasks[0]?.kind === kind && run.status === 'pending' ? run : null;
        },
        { timeout: 10_000 },
      )
      .not.toBeNull()
      .then(async () => (await server.client.runs.get(threadId, runId)) as unknown as ParkedRun);
  }
});

describe('the ledger', () => {
  it('goes with its thread, but for what is global', async () => {
    const id = await thread();
    const invoice = randomUUID();
    await wait(id, 'scoped', { input: { thread: id, options: { name: 'at-step' } } });
    await wait(id, 'scoped', { input: { thread: id, options: { name: 'in-thread', scope: 'thread' } } });
    await wait(id, 'scoped', { input: { thread: id, options: { name: 'global', scope: 'global', key: invoice } } });
    await post(`/threads/${id}/events`, { name: 'nobody-waits' });
    await server.client.threads.delete(id);
    const { rows } = await database.query('select name from baton.effects where by_thread_id = $1', [id]);
    expect(rows).toEqual([{ name: 'global' }]);
    expect((await database.query('select 1 from baton.thread_events where thread_id = $1', [id])).rows).toEqual([]);
    const another = await thread();
    const input = { thread: another, options: { name: 'global', scope: 'global', key: invoice } };
    expect(await wait(another, 'scoped', { input })).toMatchObject({ log: [{ big: '12' }, null] });
    expect(callsOf('global')).toHaveLength(1);
  });

  it('outlives the loss of every connection in the middle of an effect', async () => {
    const id = await thread();
    world.hanging = async () => {
      await database.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
      );
    };
    await wait(id, 'scoped', { input: { thread: id, options: { name: 'hang', onUnknown: 'fail' } } });
    expect(await effectsOf(id)).toMatchObject([{ name: 'hang', status: 'done', attempts: 1 }]);
    expect(callsOf('hang')).toHaveLength(1);
  });
});
