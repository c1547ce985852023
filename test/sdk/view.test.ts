import { AIMessage, type BaseMessage, HumanMessage, ToolMessage } from '@langchain/core/messages';
import { describe, expect, it } from 'vitest';
import { estimateTokens, view } from '../../src/sdk/index.ts';

const tokens = (text: string): number => text.length;
const texts = (messages: BaseMessage[]): string[] => messages.map(({ type, text }) => `${type}: ${text}`);

describe('a view', () => {
  it('has the most important first and last, what rules all before it', () => {
    const part = (name: string, priority: number) => ({ name, content: name, priority });
    const talk = { name: 'talk', content: [new AIMessage('hello')], priority: 3 };
    const { messages, left_out } = view(
      [part('e', 1), part('a', 6), { ...part('rules', 0), role: 'system' }, part('c', 4), part('b', 5), talk],
      { budget: 1000, tokens },
    );
    expect(texts(messages)).toEqual(['system: rules', 'human: a\n\nc\n\ne', 'ai: hello', 'human: b']);
    expect(left_out).toEqual([]);
  });

  it('says what it left out: what matters least, and of a text nothing but the whole', () => {
    const seen = view(
      [
        { name: 'least', content: 'x'.repeat(50), priority: 1 },
        { name: 'most', content: 'y'.repeat(80), priority: 3 },
        { name: 'small', content: 'z', priority: 0 },
      ],
      { budget: 100, tokens },
    );
    expect(texts(seen.messages)).toEqual([`human: ${'y'.repeat(80)}\n\nz`]);
    expect(seen).toMatchObject({ tokens: 81, left_out: [{ name: 'least', messages: 0, tokens: 50 }] });
  });

  it('cuts a text in its middle when it is told to', () => {
    const content = `${'a'.repeat(500)}${'b'.repeat(500)}`;
    const { messages, tokens: used, left_out } = view([{ name: 'text', content, cut: true }], { budget: 100, tokens });
    expect(messages[0]?.text).toMatch(/^a+\n\[… left out …\]\nb+$/);
    expect(used).toBeLessThanOrEqual(100);
    expect(used).toBeGreaterThan(95);
    expect(left_out).toEqual([{ name: 'text', messages: 0, tokens: 1000 - used }]);
  });

  it('takes the newest of a conversation, a tool never without its call, no message in part', () => {
    const conversation = [
      new HumanMessage('old'.repeat(10)),
      new AIMessage({
        content: '',
        tool_calls: [
          { id: 'one', name: 'look', args: {} },
          { id: 'two', name: 'look', args: {} },
        ],
      }),
      new ToolMessage({ tool_call_id: 'two', content: 'second' }),
      new ToolMessage({ tool_call_id: 'one', content: 'first' }),
      new AIMessage('new'),
    ];
    const see = (budget: number) => view([{ name: 'talk', content: conversation }], { budget, tokens });
    for (let budget = 1; budget <= 400; budget += 1) {
      const { messages, tokens: used } = see(budget);
      expect(used).toBeLessThanOrEqual(budget);
      expect(messages).toEqual(conversation.slice(conversation.length - messages.length));
      expect([0, 1, 4, 5]).toContain(messages.length);
    }
    expect(see(20)).toMatchObject({ left_out: [{ name: 'talk', messages: 4 }] });
    expect(see(1000).left_out).toEqual([]);
  });

  it('needs a budget', () => {
    expect(() => view([], { budget: Number.NaN })).toThrow('budget');
  });
});

it('the estimate knows that other scripts take more', () => {
  expect(estimateTokens('abcd'.repeat(10))).toBe(10);
  expect(estimateTokens('令和'.repeat(15))).toBe(20);
});
