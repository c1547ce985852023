import {
  AIMessage,
  AIMessageChunk,
  ChatMessage,
  HumanMessage,
  RemoveMessage,
  SystemMessage,
  ToolMessage,
} from '@langchain/core/messages';
import { Document } from '@langchain/core/documents';
import { ChatPromptValue } from '@langchain/core/prompt_values';
import { PromptTemplate } from '@langchain/core/prompts';
import { Command, Overwrite, Send } from '@langchain/langgraph';
import { DeltaSnapshot } from '@langchain/langgraph-checkpoint';
import { faker } from '@faker-js/faker';
import { describe, expect, it } from 'vitest';
import { revive } from '../../src/state/codec/revive.ts';
import { serialize } from '../../src/state/codec/serialize.ts';

const roundTrip = (value: unknown): unknown => revive(JSON.parse(serialize(value, 'channel')));
/** All that a message holds, less what its constructor was given. */
const fieldsOf = (message: object): object =>
  Object.fromEntries(Object.entries(message).filter(([key]) => key !== 'lc_kwargs'));
const cyclic: { deep: { self?: unknown } } = { deep: {} };
cyclic.deep.self = cyclic;

describe('what comes back as it went', () => {
  const cases: [title: string, value: unknown][] = [
    ['plain JSON', { a: [1, 'two', null, true, { b: {} }] }],
    ['undefined', { a: undefined, b: [undefined] }],
    ['numbers that JSON has no form for', [Number.NaN, Infinity, -Infinity, -0, 0]],
    ['doubles to the last bit', [0.1 + 0.2, 7.123456789, Number.MAX_VALUE, Number.MIN_VALUE, 2 ** 53]],
    ['BigInt', { big: 2n ** 100n, negative: -1n }],
    ['Date', [new Date(0), new Date('2026-11-03T10:00:00.123Z'), new Date(Number.NaN)]],
    [
      'Map and Set',
      new Map<unknown, unknown>([
        [{ key: 1n }, new Set([new Date(1), 'x'])],
        [1, undefined],
      ]),
    ],
    ['bytes', [Buffer.from('añb'), new Uint8Array([0, 255]), new Float64Array([0.5, -0]), new BigInt64Array([-1n])]],
    ['ArrayBuffer and DataView', [new Uint8Array([1, 2]).buffer, new DataView(new Uint8Array([3, 4]).buffer)]],
    ['RegExp and URL', [/a\/[b]+/giu, new URL('https://example.org/a?b=c#d')]],
    ['NUL, lone surrogates, backslashes', { 'k\0\\': 'a\0b\ud800c\udfff\\u0000', '\ud83d': '😀' }],
    ['keys that are names of the prototype', JSON.parse('{"__proto__":{"x":1},"constructor":1}')],
    [
      'data that looks like our own marks',
      { $baton: 'date', v: 0, inner: [{ $baton: 'bigint', v: '1' }], d: new Date(5) },
    ],
    [
      "data that looks like LangChain's marks",
      { lc: 1, type: 'constructor', id: ['langchain_core', 'messages', 'HumanMessage'], kwargs: {} },
    ],
    ['a LangChain secret as data', { lc: 1, type: 'secret', id: ['OPENAI_API_KEY'] }],
    ['Document', new Document({ pageContent: 'text', metadata: { page: 1, at: new Date(3) }, id: 'd' })],
    ['Send', new Send('node', { at: new Date(1), list: [1n] })],
    ['Overwrite and DeltaSnapshot', [new Overwrite([1n]), new DeltaSnapshot([new Date(1)])]],
    ['prompt values', new ChatPromptValue([new HumanMessage('hi')])],
  ];
  it.each(cases)('%s', (_, value) => {
    expect(roundTrip(value)).toStrictEqual(value);
  });

  it('a Command', () => {
    const back = roundTrip(
      new Command({ update: { when: new Date(1) }, goto: ['a', new Send('b', { x: 1 })], resume: 0 }),
    );
    expect(back).toBeInstanceOf(Command);
    expect(back).toMatchObject({ update: { when: new Date(1) }, goto: ['a', new Send('b', { x: 1 })], resume: 0 });
  });

  it('a prompt template that still formats', async () => {
    const back = roundTrip(PromptTemplate.fromTemplate('Hello {name}')) as PromptTemplate;
    expect(back).toBeInstanceOf(PromptTemplate);
    expect(await back.format({ name: 'you' })).toBe('Hello you');
  });

  it('errors, with their name, cause, code and stack', () => {
    class PaymentError extends TypeError {
      override name = 'PaymentError';
      code = 'E_CARD';
    }
    const error = new PaymentError('declined', { cause: new RangeError('limit', { cause: { at: new Date(1) } }) });
    const back = roundTrip({ error }) as { error: PaymentError };
    expect(back.error).toBeInstanceOf(Error);
    expect(back.error).toMatchObject({ name: 'PaymentError', message: 'declined', code: 'E_CARD', stack: error.stack });
    expect(back.error.cause).toBeInstanceOf(RangeError);
    expect((back.error.cause as Error).cause).toEqual({ at: new Date(1) });
    expect((roundTrip(new AggregateError([new SyntaxError('a')], 'both')) as AggregateError).errors[0]).toBeInstanceOf(
      SyntaxError,
    );
  });

  it.each([
    new HumanMessage({ id: '1', content: 'hi', name: 'Ann', additional_kwargs: { at: new Date(1) } }),
    new SystemMessage({ content: [{ type: 'text', text: 'be kind' }] }),
    new AIMessage({
      id: '2',
      content: 'a',
      tool_calls: [{ id: 't', name: 'add', args: { x: 1 }, type: 'tool_call' }],
      invalid_tool_calls: [{ id: 'u', name: 'bad', args: '{', error: 'e', type: 'invalid_tool_call' }],
      usage_metadata: { input_tokens: 1, output_tokens: 2, total_tokens: 3 },
      response_metadata: { model_name: 'm', output_version: 'v0' },
    }),
    new AIMessage({
      id: '3',
      contentBlocks: [
        { type: 'reasoning', reasoning: 'hm' },
        { type: 'text', text: 'x' },
      ],
    }),
    new AIMessageChunk({
      content: 'c',
      tool_call_chunks: [{ index: 0, id: 't', name: 'add', args: '{"x":1}', type: 'tool_call_chunk' }],
    }),
    new ToolMessage({ tool_call_id: 't', content: '3', artifact: new Map([[1, 2n]]), status: 'success', name: 'add' }),
    new ChatMessage({ role: 'critic', content: 'no' }),
    new RemoveMessage({ id: '1' }),
  ])('a message: $lc_id.2', (message) => {
    const back = roundTrip([message]) as [typeof message];
    expect(back[0].constructor).toBe(message.constructor);
    expect(fieldsOf(back[0])).toEqual(fieldsOf(message));
    expect(back[0].contentBlocks).toEqual(message.contentBlocks);
    // And once more: what was revived is stored alike.
    expect(serialize(back, 'channel')).toBe(serialize([message], 'channel'));
  });

  it('a field that was set after the message was made', () => {
    const message = new AIMessage('x');
    message.usage_metadata = { input_tokens: 1, output_tokens: 2, total_tokens: 3 };
    expect(roundTrip(message)).toMatchObject({ usage_metadata: message.usage_metadata });
  });

  it('any seeded mixture of all of them', () => {
    faker.seed(2026);
    const leaves: (() => unknown)[] = [
      () => faker.string.sample({ min: 0, max: 12 }),
      () => faker.number.float({ min: -1e9, max: 1e9 }),
      () => faker.number.bigInt(),
      () => faker.date.anytime(),
      () => Buffer.from(faker.string.alphanumeric(7)),
      () => undefined,
      () => null,
      () => new HumanMessage({ id: faker.string.uuid(), content: faker.lorem.sentence() }),
      () => faker.helpers.arrayElement([Number.NaN, -0, Infinity, true]),
    ];
    const make = (depth: number): unknown => {
      if (depth === 0) return faker.helpers.arrayElement(leaves)();
      const items = faker.helpers.multiple(() => make(depth - 1), { count: { min: 0, max: 4 } });
      const keys = items.map(() => faker.helpers.arrayElement(['$baton', 'lc', 'v', faker.string.sample(5)]));
      return faker.helpers.arrayElement([
        () => items,
        () => Object.fromEntries(keys.map((key, index) => [key, items[index]])),
        () => new Map(keys.map((key, index) => [key, items[index]])),
        () => new Set(items),
      ])();
    };
    for (let round = 0; round < 300; round += 1) {
      const value = make(4);
      expect(roundTrip(value)).toStrictEqual(value);
    }
  });
});

describe('what is refused, with its path', () => {
  class Invoice {
    total = 1;
  }
  const chain = Array.from({ length: 2000 }).reduce<unknown>((inner) => [inner], 0);
  class OwnMessage extends HumanMessage {}
  const cases: [title: string, value: unknown, path: string][] = [
    ['a function', { list: [{ onDone: () => {} }] }, 'channel.list[0].onDone'],
    ['a symbol', [Symbol('s')], 'channel[0]'],
    ['a key that is a symbol', { a: { [Symbol('s')]: 1 } }, 'channel.a'],
    ['an instance of a class', { invoice: new Invoice() }, 'channel.invoice'],
    ['a message class of the user', { m: new OwnMessage('x') }, 'channel.m'],
    ['something inside a Map', new Map([['k', new WeakMap()]]), 'channel[0][1]'],
    [
      'something inside a message',
      new HumanMessage({ content: 'x', additional_kwargs: { run: async () => {} } }),
      'channel.additional_kwargs.run',
    ],
    ['a promise', Promise.resolve(1), 'channel'],
    ['a cycle', cyclic, 'channel.deep.self'],
    ['what is nested too deep', chain, 'channel'],
  ];
  it.each(cases)('%s', (_, value, path) => {
    expect(() => serialize(value, 'channel')).toThrow(expect.objectContaining({ name: 'UnstorableValueError', path }));
  });

  it('but not the same object twice', () => {
    const shared = { x: new Date(1) };
    expect(roundTrip([shared, shared])).toEqual([shared, shared]);
  });
});

describe('reading', () => {
  it.each([
    '{"$baton":"lc","c":"langchain_core/tools/Evil","v":{"a":1}}',
    '{"$baton":"lc","c":"langchain/chat_models/ChatOpenAI","v":{}}',
    '{"$baton":"class","c":"Invoice","v":{"total":1}}',
    '{"$baton":"toString","v":1}',
    '{"$baton":"regexp","c":"??","v":"("}',
    '{"$baton":"map","v":7}',
    '{"$baton":"bytes","c":"Function","v":"AA=="}',
  ])('keeps what it does not know as data: %s', (text) => {
    expect(revive(JSON.parse(text))).toEqual(JSON.parse(text));
  });
});
