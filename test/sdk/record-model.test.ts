import { BaseChatModel } from '@langchain/core/language_models/chat_models';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { recordModel } from '../../src/sdk/index.ts';
import { world } from './fixtures/effect-graphs.ts';
import { CountingModel } from './fixtures/model-graphs.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

const file = fileURLToPath(new URL('fixtures/model-graphs.ts', import.meta.url));
let server: TestServer;
beforeAll(async () => {
  const graphs = ['asks', 'agent', 'tells'].map((exportName) => [exportName, { file, exportName, description: null }]);
  server = await testServer({ graphs: Object.fromEntries(graphs) });
});
afterAll(() => server.stop());
beforeEach(() => {
  world.calls.length = 0;
  world.faults.clear();
});

const newThread = async () => (await server.client.threads.create()).thread_id;
const asked = () => world.calls.map(({ name }) => name.replace('asked ', ''));

it('a node that is executed again asks its model nothing that it was answered', async () => {
  const id = await newThread();
  world.faults.set('ask', 1);
  await server.client.runs.wait(id, 'asks', { input: {}, raiseError: false });
  expect((await server.client.threads.get(id)).status).toBe('error');
  const first = asked();
  // The first two are asked side by side.
  expect(new Set(first.slice(0, 2))).toEqual(new Set(['a', 'b']));
  expect(first.slice(2)).toEqual(['a', 'c', 'd', 'e f']);
  const { said, pieces } = (await server.client.runs.wait(id, 'asks', { input: null })) as {
    said: string[];
    pieces: number;
  };
  expect(asked()).toEqual(first);
  expect(said).toEqual([
    `${first.indexOf('a') + 1} a`,
    `${first.indexOf('b') + 1} b`,
    '3 a',
    '4 c hammer',
    '5 d',
    '6 e f',
  ]);
  // From the record it comes in one piece.
  expect(pieces).toBe(1);
});

it('streams tokens while it is asked, and calls back nobody when it is not', async () => {
  const id = await newThread();
  world.faults.set('tell', 1);
  const tokensOf = async (input: object | null): Promise<string[]> => {
    const tokens: string[] = [];
    const stream = server.client.runs.stream(id, 'tells', {
      input: input as Record<string, unknown>,
      streamMode: 'messages-tuple',
    });
    for await (const { event, data } of stream) {
      if (event === 'messages') tokens.push((data as unknown as [{ content: string }])[0].content);
    }
    return tokens;
  };
  expect(await tokensOf({})).toEqual(['1 ', 'x ', 'y ', 'z']);
  // The node's own output tells of the message, once.
  expect(await tokensOf(null)).toEqual(['1 x y z']);
  expect(asked()).toEqual(['x y z']);
});

it('is taken for the model that it is', async () => {
  const model = recordModel(new CountingModel({}));
  expect(model).toBeInstanceOf(BaseChatModel);
  expect(model).toBeInstanceOf(CountingModel);
  const { messages } = (await server.client.runs.wait(await newThread(), 'agent', {
    input: { messages: [{ role: 'user', content: 'hello' }] },
  })) as { messages: { content: string }[] };
  expect(messages.at(-1)?.content).toBe('1 hello');
});

it('asks without a graph, and in batches and chains', async () => {
  const model = recordModel(new CountingModel({}));
  expect((await model.invoke('x')).content).toBe('1 x');
  expect((await model.batch(['y', 'z'])).map(({ content }) => content)).toEqual(['2 y', '3 z']);
  expect(await model.pipe(({ text }) => `said ${text}`).invoke('w')).toBe('said 4 w');
});

it('fails as the model does', async () => {
  class Refusal extends Error {}
  class Refusing extends CountingModel {
    override async _generate(): Promise<never> {
      throw new Refusal('no');
    }
  }
  await expect(recordModel(new Refusing({})).invoke('x')).rejects.toBeInstanceOf(Refusal);
});
