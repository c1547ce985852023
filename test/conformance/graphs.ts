import { AIMessage, type BaseMessage } from '@langchain/core/messages';
import { FakeListChatModel } from '@langchain/core/utils/testing';
import {
  Annotation,
  Command,
  END,
  MessagesAnnotation,
  START,
  Send,
  StateGraph,
  interrupt,
  type LangGraphRunnableConfig,
} from '@langchain/langgraph';
import { z } from 'zod';

/** The graphs that both servers serve. They import nothing of either. */

const Log = Annotation.Root({
  log: Annotation<string[]>({ reducer: (left, right) => [...left, ...right], default: () => [] }),
});

/** Comes to the gate whose address is configured, and waits there until the test opens it. */
async function passGate(config: LangGraphRunnableConfig): Promise<void> {
  const address = config.configurable?.['gate'] as string | undefined;
  if (address) await fetch(address, { signal: config.signal ?? null });
}

/** a -> b -> c; `b` waits at a gate when there is one. */
export const line = new StateGraph(Log)
  .addNode('a', () => ({ log: ['a'] }))
  .addNode('b', async (_state, config: LangGraphRunnableConfig) => {
    await passGate(config);
    return { log: ['b'] };
  })
  .addNode('c', () => ({ log: ['c'] }))
  .addEdge(START, 'a')
  .addEdge('a', 'b')
  .addEdge('b', 'c')
  .addEdge('c', END);

const model = new FakeListChatModel({ responses: ['one two'] });
/** Streams its answer letter by letter. */
export const chat = new StateGraph(MessagesAnnotation)
  .addNode('reply', async ({ messages }) => ({ messages: [await model.invoke(messages)] }))
  .addEdge(START, 'reply');

/** Answers without a model: a message that comes whole. */
export const canned = new StateGraph(MessagesAnnotation)
  .addNode('reply', ({ messages }: { messages: BaseMessage[] }) => ({
    messages: [
      new AIMessage({
        id: 'answer',
        content: [{ type: 'text', text: `answer to ${messages.length}` }],
        tool_calls: [{ name: 'look', args: { where: 'here' }, id: 'call-1', type: 'tool_call' }],
        response_metadata: { finish_reason: 'stop' },
      }),
    ],
  }))
  .addEdge(START, 'reply');

/** A question, and then another place to go to. */
export const asking = new StateGraph(Log)
  .addNode('ask', () => ({ log: [`answer: ${JSON.stringify(interrupt({ question: 'go on?' }))}`] }), {
    ends: ['elsewhere', END],
  })
  .addNode('elsewhere', (input: { note?: string }) => ({ log: [`elsewhere ${input.note ?? ''}`.trim()] }))
  .addEdge(START, 'ask');

/** Two questions side by side, then one after another in one node. */
export const twice = new StateGraph(Log)
  .addNode('left', () => ({ log: [`left: ${JSON.stringify(interrupt('left?'))}`] }))
  .addNode('right', () => ({ log: [`right: ${JSON.stringify(interrupt('right?'))}`] }))
  .addNode('again', () => ({ log: [JSON.stringify([interrupt('first?'), interrupt('second?')])] }))
  .addEdge(START, 'left')
  .addEdge('left', 'again')
  .addEdge(START, 'right');

const child = new StateGraph(Log)
  .addNode('inside', () => ({ log: ['inside'] }))
  .addNode('deeper', async (_state, config: LangGraphRunnableConfig) => {
    await passGate(config);
    if (config.configurable?.['fail']) throw new TypeError('broken inside');
    return { log: [config.configurable?.['ask'] ? interrupt<string, string>('deeper?') : 'deeper'] };
  })
  .addEdge(START, 'inside')
  .addEdge('inside', 'deeper')
  .compile();
/** A subgraph, which asks, waits or fails as it is configured, then an event of the graph's own. */
export const parent = new StateGraph(Log)
  .addNode('child', child)
  .addNode('tell', (_state, config: LangGraphRunnableConfig) => {
    config.writer?.({ progress: 1 });
    config.writer?.('as text');
    return { log: ['told'] };
  })
  .addEdge(START, 'child')
  .addEdge('child', 'tell');

/** Fails in its second node; with `configurable.odd` by throwing what is no error. */
export const failing = new StateGraph(Log)
  .addNode('work', () => ({ log: ['work'] }))
  .addNode('fail', (_state, config: LangGraphRunnableConfig) => {
    // oxlint-disable-next-line typescript/only-throw-error -- what a careless node does
    if (config.configurable?.['odd']) throw { code: 42 };
    throw new RangeError('too far');
  })
  .addEdge(START, 'work')
  .addEdge('work', 'fail');

/** Goes on by commands and fans out by Send. */
export const spread = new StateGraph(
  Annotation.Root({
    ...Log.spec,
    items: Annotation<string[]>(),
    item: Annotation<string>(),
  }),
)
  .addNode('begin', () => new Command({ update: { log: ['begin'] }, goto: 'fan' }), { ends: ['fan'] })
  .addNode('fan', () => ({ log: ['fan'] }))
  .addNode('each', ({ item }: { item?: string }) => ({ log: [`each ${item}`] }))
  .addEdge(START, 'begin')
  .addConditionalEdges('fan', ({ items }) => (items ?? []).map((item) => new Send('each', { item })), ['each']);

/** Shows what a run is configured with. */
export const mirror = new StateGraph(Annotation.Root({ seen: Annotation<Record<string, unknown>>() }))
  .addNode('look', (_state, config: LangGraphRunnableConfig) => ({
    seen: {
      configurable: Object.fromEntries(
        Object.entries(config.configurable ?? {}).filter(([key]) => !key.startsWith('__')),
      ),
      context: config.context ?? null,
      metadata: config.metadata ?? null,
      tags: config.tags ?? null,
      recursion_limit: config.recursionLimit ?? null,
    },
  }))
  .addEdge(START, 'look');

/** Another graph for each configuration. */
export const made = (config: { configurable?: { node?: string } }) => {
  const node = config.configurable?.node ?? 'plain';
  return new StateGraph(Log)
    .addNode(node, () => ({ log: [node] }))
    .addEdge(START, node)
    .compile();
};

/** State, input, output and context with schemas that can be asked for. */
export const typed = new StateGraph(
  z.object({ question: z.string(), answer: z.string().optional(), score: z.number().default(0) }),
  {
    input: z.object({ question: z.string() }),
    output: z.object({ answer: z.string().optional() }),
    context: z.object({ tone: z.enum(['dry', 'warm']).default('dry') }),
  },
)
  .addNode('reply', ({ question }) => ({ answer: `re: ${question}`, score: 1 }))
  .addEdge(START, 'reply');

/** Values that JSON does not have. */
export const odd = new StateGraph(Annotation.Root({ odd: Annotation<Record<string, unknown>>() }))
  .addNode('make', () => ({
    odd: {
      at: new Date(0),
      nothing: null,
      absent: undefined,
      map: new Map([['k', 1]]),
      set: new Set([1, 2]),
      bytes: new Uint8Array([1, 2, 3]),
      nested: { deep: [{ list: [1, [2]] }] },
      float: 0.1,
      text: 'naïve ✓',
    },
  }))
  .addEdge(START, 'make');
