import { setTimeout as pause } from 'node:timers/promises';
import { FakeListChatModel } from '@langchain/core/utils/testing';
import { Annotation, END, getConfig, interrupt, Send, START, StateGraph } from '@langchain/langgraph';
import { currentRun, effect, type EffectOptions, sleep, waitForEvent } from 'batonjs/sdk';
import type { Plan } from './plan.ts';

/** A run that meets whatever can be cut short: branches, a loop, effects, tokens, sleeps, a question, an event. */
const State = Annotation.Root({
  plan: Annotation<Plan>(),
  done: Annotation<string[]>({ reducer: (before, after) => [...before, ...after], default: () => [] }),
  turns: Annotation<number>({ reducer: (_, after) => after, default: () => 0 }),
});
type S = typeof State.State;

async function tell(path: string, body: unknown): Promise<unknown> {
  const response = await fetch(`${process.env['CHAOS_WORLD_URL']}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  return response.json();
}

/** Does something to the world, and says so in the state. */
async function act({ order }: Plan, action: string, options: EffectOptions = {}): Promise<string> {
  return effect(
    action.replaceAll(/ \d+$/g, ''),
    async ({ idempotencyKey }) => {
      await tell('/actions', { order, action, idempotency_key: idempotencyKey });
      return action;
    },
    { args: { order, action }, ...options },
  );
}

/** `comesBack`: it is executed again by design, after a wait or an answer. */
function node(work: (state: S) => Promise<Partial<S>>, { comesBack = false } = {}) {
  return async (state: S): Promise<Partial<S>> => {
    const { configurable = {} } = getConfig() as { configurable?: Record<string, unknown> };
    const { thread_id, run_id, attempt } = currentRun();
    const map = configurable['checkpoint_map'] as Record<string, string> | undefined;
    const task = String(configurable['checkpoint_ns']);
    const checkpoint_id = map?.[''] ?? configurable['checkpoint_id'] ?? null;
    await tell('/begun', { thread_id, run_id, attempt, task, checkpoint_id, comes_back: comesBack });
    return work(state);
  };
}

/** A service that refuses at times, and at times does what it is asked for and does not say so. */
const FLAKY: EffectOptions = { retry: { attempts: 20, backoff: '50ms', maxDelay: '400ms' } };

export const journey = new StateGraph(State)
  .addNode(
    'prepare',
    node(async ({ plan }) => ({ done: [await act(plan, 'reserve')] })),
  )
  .addNode(
    'branch',
    node(async ({ plan, turns: index }) => {
      await pause(20 + 40 * index);
      const done = [await act(plan, `charge ${index}`)];
      await pause(20);
      return { done };
    }),
  )
  .addNode(
    'gather',
    node(async ({ plan }) => ({ done: [await act(plan, 'collect', FLAKY)], turns: 0 }), { comesBack: true }),
  )
  .addNode(
    'talk',
    node(async ({ plan, turns }) => {
      const model = new FakeListChatModel({ responses: ['x'.repeat(plan.tokens)], sleep: 5 });
      for await (const _ of await model.stream('go on'));
      return { done: [await act(plan, `note ${turns}`)], turns: turns + 1 };
    }),
  )
  .addNode(
    'rest',
    node(
      async ({ plan }) => {
        if (plan.sleepMs > 0) await sleep('rest', plan.sleepMs);
        return {};
      },
      { comesBack: true },
    ),
  )
  .addNode(
    'ask',
    node(
      async ({ plan }) => {
        if (!plan.asks) return {};
        const before = await act(plan, 'before the question');
        const answer: unknown = interrupt({ order: plan.order });
        if (answer !== plan.order) throw new Error(`the answer of another question: ${String(answer)}`);
        return { done: [before, await act(plan, 'after the answer')] };
      },
      { comesBack: true },
    ),
  )
  .addNode(
    'listen',
    node(
      async ({ plan }) => {
        if (!plan.waits) return {};
        const event = await waitForEvent<string>('signal');
        if (event?.payload !== plan.order) throw new Error('the event of another thread');
        return { done: [await act(plan, 'signal')] };
      },
      { comesBack: true },
    ),
  )
  .addNode(
    'settle',
    node(async ({ plan }) => ({
      done: [
        await act(plan, 'book', { scope: 'global', key: plan.order }),
        await act(plan, 'settle', { scope: 'thread' }),
      ],
    })),
  )
  .addEdge(START, 'prepare')
  .addConditionalEdges('prepare', ({ plan }) =>
    Array.from({ length: plan.width }, (_, index) => new Send('branch', { plan, turns: index })),
  )
  .addEdge('branch', 'gather')
  .addEdge('gather', 'talk')
  .addConditionalEdges('talk', ({ plan, turns }) => (turns < plan.loops ? 'talk' : 'rest'), ['talk', 'rest'])
  .addEdge('rest', 'ask')
  .addEdge('ask', 'listen')
  .addEdge('listen', 'settle')
  .addEdge('settle', END)
  .compile();
