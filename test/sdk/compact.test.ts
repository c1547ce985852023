import { AIMessage, type BaseMessage, HumanMessage, ToolMessage } from '@langchain/core/messages';
import {
  Annotation,
  DeltaValue,
  END,
  MemorySaver,
  messagesStateReducer,
  messagesDeltaReducer,
  START,
  StateGraph,
  StateSchema,
  UntrackedValue,
} from '@langchain/langgraph';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { compact, type CompactMessagesOptions } from '../../src/sdk/index.ts';

const tokens = (text: string): number => text.length;
const say = (name: string): BaseMessage => new HumanMessage({ id: name, content: name.repeat(10) });
const texts = (messages: BaseMessage[]): string[] => messages.map(({ text }) => text);
const TEN = Array.from({ length: 10 }, (_, index) => say(String(index)));

describe('old messages', () => {
  const options: CompactMessagesOptions = { above: 100, keep: 45, summarise: (old) => `${old.length} said` };

  it('become a summary before those that stay, in a channel of messages', async () => {
    const State = Annotation.Root({
      messages: Annotation<BaseMessage[]>({ reducer: messagesStateReducer, default: () => [] }),
    });
    const graph = new StateGraph(State)
      .addNode('compact', compact({ messages: { messages: options }, tokens }))
      .addEdge(START, 'compact')
      .addEdge('compact', END)
      .compile({ checkpointer: new MemorySaver() });
    const config = { configurable: { thread_id: 't' } };
    const first = await graph.invoke({ messages: TEN }, config);
    expect(texts(first.messages)).toEqual(['7 said', '7777777777', '8888888888', '9999999999']);
    // The summary is summarised in its turn, and stands there once.
    const second = await graph.invoke({ messages: TEN.map((_, index) => say(`n${index}`)) }, config);
    expect(texts(second.messages)).toEqual(['13 said', 'n9'.repeat(10)]);
  });

  it('go from a channel with another reducer, from a DeltaChannel, and from one without', async () => {
    const replace = (how: CompactMessagesOptions['replace']) => ({
      ...options,
      replace: how as NonNullable<typeof how>,
    });
    const State = new StateSchema({
      joined: new DeltaValue(z.array(z.custom<BaseMessage>()).default([]), {
        reducer: (state, writes) => state.concat(...writes),
      }),
      messages: new DeltaValue(z.array(z.custom<BaseMessage>()).default([]), {
        reducer: messagesDeltaReducer,
      }),
      plain: z.array(z.custom<BaseMessage>()),
      note: z.string().nullable().default(null),
    });
    const graph = new StateGraph(State)
      .addNode(
        'compact',
        compact<typeof State.State>({
          messages: { joined: replace('overwrite'), messages: replace('messages'), plain: replace('value') },
          tokens,
        }) as never,
      )
      .addEdge(START, 'compact')
      .addEdge('compact', END)
      .compile();
    const { joined, messages, plain } = await graph.invoke({ joined: TEN, messages: TEN, plain: TEN });
    const expected = ['7 said', '7777777777', '8888888888', '9999999999'];
    expect([joined, messages, plain].map((list) => texts(list))).toEqual([expected, expected, expected]);
  });

  it('stay while they are few, and a call of a tool stays with its answer', async () => {
    const node = compact<{ messages: BaseMessage[] }>({
      messages: { messages: { ...options, replace: 'value' } },
      tokens,
    });
    expect(await node({ messages: TEN.slice(0, 7) })).toEqual({});
    const called = new AIMessage({ content: '', tool_calls: [{ id: 'c', name: 'look', args: {} }] });
    const answer = new ToolMessage({ tool_call_id: 'c', content: 'x'.repeat(35) });
    const { messages } = (await node({ messages: [...TEN, called, answer] })) as { messages: BaseMessage[] };
    expect(texts(messages)).toEqual(['10 said', '', 'x'.repeat(35)]);
  });
});

it('what has done its work becomes null, what is rarely needed what its store says', async () => {
  const node = compact<{ text: string | null; pages: string[] | null; other: number }>({
    drop: ['text'],
    move: { pages: (pages) => `cold:${pages.length}` },
  });
  expect(await node({ text: 'raw', pages: ['a', 'b'], other: 1 })).toEqual({ text: null, pages: 'cold:2' });
  expect(await node({ text: null, pages: null, other: 1 })).toEqual({});
});

it('an UntrackedValue is there for the nodes and in no checkpoint', async () => {
  const State = new StateSchema({ raw: new UntrackedValue(z.string()), length: z.number().default(0) });
  const graph = new StateGraph(State)
    .addNode('read', () => ({ raw: 'x'.repeat(100) }))
    .addNode('count', ({ raw }) => ({ length: raw.length }))
    .addEdge(START, 'read')
    .addEdge('read', 'count')
    .addEdge('count', END)
    .compile({ checkpointer: new MemorySaver() });
  const config = { configurable: { thread_id: 't' } };
  expect((await graph.invoke({}, config)).length).toBe(100);
  expect((await graph.getState(config)).values).toEqual({ length: 100 });
});
