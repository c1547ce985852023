import { Annotation, DeltaValue, END, interrupt, Send, START, StateGraph, StateSchema } from '@langchain/langgraph';
import type { BaseCheckpointSaver } from '@langchain/langgraph-checkpoint';
import { z } from 'zod';

const list = () => Annotation<string[]>({ reducer: (a, b) => a.concat(b), default: () => [] });
/** Bigger than what a row keeps: stored by reference. */
export const BIG = 'big '.repeat(2000);

/** What nodes did, outside of any state: the only way to see that one ran twice. */
export type Trace = string[];

/** a -> b -> c, each of which appends its name; `v` can be edited, `big` is given by a. */
export function line(checkpointer: BaseCheckpointSaver, trace: Trace = []) {
  const State = Annotation.Root({ log: list(), v: Annotation<string>, big: Annotation<string> });
  const node = (name: string) => (state: typeof State.State) => {
    trace.push(name);
    return { log: [`${name}(${state.v})`], ...(name === 'a' ? { big: BIG + state.v } : {}) };
  };
  return new StateGraph(State)
    .addNode('a', node('a'))
    .addNode('b', node('b'))
    .addNode('c', node('c'))
    .addEdge(START, 'a')
    .addEdge('a', 'b')
    .addEdge('b', 'c')
    .addEdge('c', END)
    .compile({ checkpointer });
}

/** One node after another that gives another answer at every execution. */
export function dice(checkpointer: BaseCheckpointSaver) {
  const State = Annotation.Root({ answer: Annotation<string>, seen: list() });
  let throws = 0;
  return new StateGraph(State)
    .addNode('throw', () => ({ answer: `answer-${(throws += 1)}-${BIG}` }))
    .addNode('keep', ({ answer }) => ({ seen: [answer] }))
    .addEdge(START, 'throw')
    .addEdge('throw', 'keep')
    .addEdge('keep', END)
    .compile({ checkpointer });
}

/** A node that asks twice. `fail` names the moments at which the process dies, as it were. */
export function twoQuestions(checkpointer: BaseCheckpointSaver, fail: Set<string> = new Set()) {
  const State = Annotation.Root({ answers: list() });
  return new StateGraph(State)
    .addNode('ask', () => {
      const first = interrupt<string, string>('first?');
      if (fail.delete('between')) throw new Error('between the questions');
      const second = interrupt<string, string>('second?');
      return { answers: [first, second] };
    })
    .addEdge(START, 'ask')
    .addEdge('ask', END)
    .compile({ checkpointer });
}

/** The same question put by two nodes at once, of which `slow` fails as often as it is told to after it got its answer. */
export function twoAskers(checkpointer: BaseCheckpointSaver, fail: Set<string>) {
  const State = Annotation.Root({ answers: list() });
  const ask = (name: string) => () => {
    const answer = interrupt<string, string>(`${name}?`);
    if (fail.delete(name)) throw new Error(`${name} failed`);
    return { answers: [`${name}:${answer}`] };
  };
  return new StateGraph(State)
    .addNode('quick', ask('quick'))
    .addNode('slow', ask('slow'))
    .addEdge(START, 'quick')
    .addEdge(START, 'slow')
    .compile({ checkpointer });
}

/** before -> sub, which asks -> after. The subgraph is a node, so that its state can be read and edited. */
export function subgraph(checkpointer: BaseCheckpointSaver) {
  const State = Annotation.Root({ log: list() });
  const sub = new StateGraph(State)
    .addNode('ask', () => ({ log: [`answer ${interrupt<string, string>('go on?')}`] }))
    .addEdge(START, 'ask')
    .addEdge('ask', END)
    .compile();
  return new StateGraph(State)
    .addNode('before', () => ({ log: ['before'] }))
    .addNode('sub', sub)
    .addNode('after', ({ log }) => ({ log: [`after ${log.length}`] }))
    .addEdge(START, 'before')
    .addEdge('before', 'sub')
    .addEdge('sub', 'after')
    .addEdge('after', END)
    .compile({ checkpointer });
}

const Rounds = new StateSchema({
  items: new DeltaValue(z.array(z.string()).default([]), { reducer: (state, writes) => state.concat(...writes) }),
  round: z.number().default(0),
});

/** Five tasks at once append to a DeltaChannel, in rounds. */
export function fanOut(checkpointer: BaseCheckpointSaver, rounds = 1) {
  const send = ({ round }: { round: number }) =>
    Array.from({ length: 5 }, (_, index) => new Send('work', { items: [`${round}.${index}`] }));
  return new StateGraph(Rounds)
    .addNode('start', ({ round }) => ({ round: round + 1 }))
    .addNode('work', ({ items }) => ({ items }))
    .addNode('join', () => ({}))
    .addEdge(START, 'start')
    .addConditionalEdges('start', send, ['work'])
    .addEdge('work', 'join')
    .addConditionalEdges('join', ({ round }) => (round < rounds ? 'start' : END), ['start', END])
    .compile({ checkpointer });
}

/** Two branches of a step; `flaky` throws as often as it is told to. The input is appended too. */
export function flakyBranches(checkpointer: BaseCheckpointSaver, trace: Trace, failures: { left: number }) {
  const State = Annotation.Root({ log: list() });
  return new StateGraph(State)
    .addNode('sure', () => {
      trace.push('sure');
      return { log: ['sure'] };
    })
    .addNode('flaky', async () => {
      trace.push('flaky');
      // After the other branch is done.
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
      if (failures.left > 0) {
        failures.left -= 1;
        throw new Error('crash');
      }
      return { log: ['flaky'] };
    })
    .addEdge(START, 'sure')
    .addEdge(START, 'flaky')
    .compile({ checkpointer });
}
