import { Annotation, Command, interrupt, MemorySaver, START, StateGraph } from '@langchain/langgraph';
import { afterEach, expect, it, vi } from 'vitest';
import { effect, EffectFailedError, type EffectOptions, sleep, waitForEvent } from '../../src/sdk/index.ts';

const State = Annotation.Root({
  log: Annotation<unknown[]>({ reducer: (a, b) => a.concat(b), default: () => [] }),
});
const RETRIES = { retryPolicy: { maxAttempts: 3, initialInterval: 1, jitter: false, logWarning: false } };

/** A graph of one node, as a test of its author has it: no server, a saver in memory. */
function graphOf(node: () => Promise<unknown>, options = {}) {
  const graph = new StateGraph(State)
    .addNode('node', async () => ({ log: [await node()] }), options)
    .addEdge(START, 'node')
    .compile({ checkpointer: new MemorySaver() });
  const config = (thread_id = 't') => ({ configurable: { thread_id } });
  return {
    run: async (input: unknown = {}, thread?: string) =>
      (await graph.invoke(input as object, config(thread))) as unknown as { log: unknown[] },
  };
}

afterEach(() => vi.useRealTimers());

it('an effect is done once, though its node is tried again and goes on after an answer', async () => {
  const keys: string[] = [];
  let faults = 2;
  const { run } = graphOf(async () => {
    const done = await effect('pay', ({ idempotencyKey }) => keys.push(idempotencyKey));
    faults -= 1;
    if (faults >= 0) throw new Error('not yet');
    return [done, interrupt('and?')];
  }, RETRIES);
  await run();
  expect(await run(new Command({ resume: 'yes' }))).toEqual({ log: [[1, 'yes']] });
  expect(keys).toHaveLength(1);
  // Another thread has effects of its own.
  await run({}, 'other');
  expect(new Set(keys).size).toBe(2);
});

it('an effect of scope global is one for all threads of a saver, and none of another saver’s', async () => {
  let times = 0;
  const book = () => effect('book', () => (times += 1), { scope: 'global', key: 'invoice 7' });
  const { run } = graphOf(book);
  expect([await run(), await run({}, 'other')]).toEqual([{ log: [1] }, { log: [1] }]);
  expect(await graphOf(book).run()).toEqual({ log: [2] });
});

it('fails with what its author can catch, after the tries that he allows', async () => {
  const attempts: number[] = [];
  const failing = (options?: EffectOptions) =>
    effect(
      'fail',
      ({ attempt }) => {
        attempts.push(attempt);
        throw new TypeError('refused');
      },
      options,
    );
  const { run } = graphOf(async () => {
    const error: unknown = await failing({ retry: { attempts: 3, backoff: 1 } }).catch((caught: unknown) => caught);
    return error instanceof EffectFailedError && error.failure;
  });
  expect(await run()).toEqual({ log: [{ name: 'TypeError', message: 'refused' }] });
  expect(attempts).toEqual([1, 2, 3]);
});

it('that made its node fail is tried again with it', async () => {
  const attempts: number[] = [];
  const flaky = () =>
    effect('flaky', ({ attempt }) => {
      attempts.push(attempt);
      if (attempt % 2 === 1) throw new Error('not yet');
      return attempt;
    });
  expect(await graphOf(flaky, RETRIES).run()).toEqual({ log: [2] });
  const { run } = graphOf(flaky);
  await expect(run()).rejects.toThrow('not yet');
  expect(await run(null)).toEqual({ log: [2] });
  expect(attempts).toEqual([1, 2, 1, 2]);
});

it('works where no graph is', async () => {
  expect(await effect('alone', () => 7)).toBe(7);
  await sleep('alone', 1);
});

it('a sleep waits for its time, from the first time that the node came there', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  const { run } = graphOf(async () => {
    await sleep('nap', '30d');
    return 'slept';
  });
  let ended = false;
  const running = run().finally(() => (ended = true));
  await vi.advanceTimersByTimeAsync(29 * 86_400_000);
  expect(ended).toBe(false);
  await vi.advanceTimersByTimeAsync(86_400_000);
  expect(await running).toEqual({ log: ['slept'] });
});

it('a wait for an event is a question, and its answer is the payload', async () => {
  const { run } = graphOf(async () => (await waitForEvent('report'))?.payload);
  expect(await run()).toMatchObject({ __interrupt__: [{ value: { type: 'event', name: 'report' } }] });
  expect(await run(new Command({ resume: { score: 7 } }))).toEqual({ log: [{ score: 7 }] });
});

it.each<[string, () => Promise<unknown>]>([
  ['must be a text', () => effect('', () => 1)],
  ['must be a text', () => effect('a\nb', () => 1)],
  ['needs a key', () => effect('x', () => 1, { scope: 'global' })],
  ['is done once in any branch', () => effect('x', () => 1, { scope: 'thread', onFork: 'reuse' })],
  ['whole number', () => effect('x', () => 1, { retry: { attempts: 0 } })],
  ['no duration', () => effect('x', () => 1, { retry: { attempts: 2, backoff: 'soon' as '1s' } })],
  ['must be JSON', () => effect('x', () => 1, { args: () => 1 })],
  ['"paid" in the args', () => effect('x', () => 1, { args: { paid: new Map() } })],
  ['no duration', () => sleep('x', '-1s')],
])('says what is wrong: %s', async (message, call) => {
  await expect(call()).rejects.toThrow(message);
});
