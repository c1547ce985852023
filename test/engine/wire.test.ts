import { AIMessage, HumanMessage, ToolMessage } from '@langchain/core/messages';
import { Command, Send } from '@langchain/langgraph';
import { describe, expect, it } from 'vitest';
import { toWire } from '../../src/engine/wire.ts';

describe('toWire', () => {
  it('makes messages flat, wherever they stand', () => {
    const call = { id: 'c1', name: 'search', args: { q: 'x' } };
    const wire = toWire({
      messages: [
        new HumanMessage({ content: 'hi', id: 'h1' }),
        new AIMessage({ content: '', id: 'a1', tool_calls: [call] }),
        new ToolMessage({ content: 'found', tool_call_id: 'c1', artifact: { lc: 1, when: new Date(0) } }),
      ],
    });
    expect(wire).toEqual({
      messages: [
        { type: 'human', content: 'hi', id: 'h1', additional_kwargs: {}, response_metadata: {} },
        expect.objectContaining({ type: 'ai', id: 'a1', tool_calls: [call] }),
        expect.objectContaining({
          type: 'tool',
          tool_call_id: 'c1',
          artifact: { lc: 1, when: '1970-01-01T00:00:00.000Z' },
        }),
      ],
    });
  });

  it.each([
    ['a big integer', 12n, '12'],
    ['an instant', new Date(0), '1970-01-01T00:00:00.000Z'],
    ['an invalid instant', new Date(Number.NaN), null],
    ['a map of texts', new Map([['a', new Set([1])]]), { a: [1] }],
    ['a map of anything', new Map([[1, 'a']]), [[1, 'a']]],
    ['bytes', Buffer.from('hi'), 'aGk='],
    ['an array buffer', new Uint8Array([104, 105]).buffer, 'aGk='],
    ['numbers', new Float32Array([1, 0.5]), [1, 0.5]],
    ['an error', new TypeError('no'), { error: 'TypeError', message: 'no' }],
    ['a pattern', /a+/g, '/a+/g'],
    ['an address', new URL('http://a/b'), 'http://a/b'],
    ['no number', Number.NaN, null],
    ['nothing', undefined, null],
    ['a function', () => 1, null],
    ['holes', [undefined, () => 1, Symbol('s')], [null, null, null]],
    ['absent fields', { a: undefined, b: null, c: () => 1 }, { b: null }],
    ['a NUL', { text: '\0' }, { text: '\0' }],
  ])('says %s in JSON', (_name, value, expected) => {
    expect(toWire(value)).toEqual(expected);
  });

  it('shows the commands of LangGraph', () => {
    expect(toWire(new Command({ goto: new Send('a', { n: 1n }) }))).toMatchObject({
      goto: [{ node: 'a', args: { n: '1' } }],
    });
  });

  it('cuts cycles and keeps values that are only used twice', () => {
    const shared = { n: 1 };
    const cyclic: Record<string, unknown> = { a: shared, b: shared };
    cyclic['self'] = [cyclic];
    expect(toWire(cyclic)).toEqual({ a: { n: 1 }, b: { n: 1 }, self: ['[circular]'] });
  });

  it('does not fall over a value of any depth', () => {
    let deep: unknown = 1;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    expect(JSON.stringify(toWire(deep))).toContain('[too deep]');
  });

  it('says so when a value cannot be read, and shows the rest', () => {
    const bad = {
      get x() {
        throw new Error('closed');
      },
    };
    expect(toWire({ bad, good: 1 })).toEqual({ bad: '[unreadable: closed]', good: 1 });
  });

  it('keeps a key named __proto__ as data', () => {
    const wire = toWire(JSON.parse('{"__proto__": {"admin": true}}'));
    expect(JSON.stringify(wire)).toBe('{"__proto__":{"admin":true}}');
    expect(Object.getPrototypeOf(wire)).toBe(Object.prototype);
  });
});
