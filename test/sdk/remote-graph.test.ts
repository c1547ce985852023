import {
  Annotation,
  Command,
  interrupt,
  MemorySaver,
  START,
  StateGraph,
  type LangGraphRunnableConfig,
} from '@langchain/langgraph';
import { RemoteGraph } from '@langchain/langgraph/remote';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import { collect } from './fixtures/call.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

const remote = (graphId: string) => new RemoteGraph({ graphId, url: server.url });
const onThread = () => ({ configurable: { thread_id: uuidv7() } });
const ALL = ['a', 'b', 'c'];

describe('a graph of the server, called as one of this process', () => {
  it('gives its values, and stops where it is told to', async () => {
    expect(await remote('line').invoke({ log: [] })).toEqual({ log: ALL });
    const config = onThread();
    await expect(remote('line').invoke({ log: [] }, { ...config, interruptAfter: ['a'] })).rejects.toMatchObject({
      name: 'GraphInterrupt',
    });
    expect(await remote('line').getState(config)).toMatchObject({ values: { log: ['a'] }, next: ['b'] });
    expect(await remote('line').invoke(null, config)).toEqual({ log: ALL });
  });

  it('streams what it is asked for, from inside its subgraphs, too', async () => {
    const streamMode = ['updates', 'custom'] as const;
    const events = await collect(
      await remote('parent').stream({ log: [] }, { streamMode: [...streamMode], subgraphs: true }),
    );
    const inside = [expect.stringMatching(/^child:/)];
    expect(events).toEqual([
      [inside, 'updates', { inside: { log: ['inside'] } }],
      [inside, 'updates', { deeper: { log: ['deeper'] } }],
      [[], 'updates', { child: { log: ['inside', 'deeper'] } }],
      [[], 'custom', { progress: 1 }],
      [[], 'updates', { tell: { log: ['told'] } }],
    ]);
    const tokens = await collect(
      await remote('chat').stream({ messages: [{ role: 'user', content: 'hi' }] }, { streamMode: 'messages' }),
    );
    expect(tokens.map(([{ content }]) => content).join('')).toBe('one two');
  });

  it('shows its state and its history, and lets them be changed', async () => {
    const config = onThread();
    const line = remote('line');
    await line.invoke({ log: [] }, config);
    const [, beforeC] = await collect(line.getStateHistory(config));
    expect(beforeC).toMatchObject({ values: { log: ['a', 'b'] }, next: ['c'] });
    const changed = await line.updateState(beforeC?.config ?? {}, { log: ['by hand'] }, 'b');
    expect(await line.getState(changed)).toMatchObject({ values: { log: ['a', 'b', 'by hand'] }, next: ['c'] });
    expect(await line.invoke(null, config)).toEqual({ log: ['a', 'b', 'by hand', 'c'] });
    const older = await collect(line.getStateHistory(config, { limit: 1, before: beforeC?.config ?? {} }));
    expect(older).toMatchObject([{ values: { log: ['a'] } }]);
  });

  it('says what it is made of', async () => {
    const drawn = await remote('parent').getGraphAsync({ xray: true });
    expect(Object.keys(drawn.nodes)).toContain('child:inside');
    const subgraphs = await collect(remote('parent').getSubgraphsAsync());
    expect(subgraphs.map(([name]) => name)).toEqual(['child']);
  });

  it('asks, and goes on with the answer; a failure is a failure', async () => {
    const config = onThread();
    await expect(remote('asking').invoke({ log: [] }, config)).rejects.toMatchObject({
      interrupts: [{ value: { question: 'go on?' } }],
    });
    expect(await remote('asking').invoke(new Command({ resume: 'yes' }), config)).toEqual({ log: ['answer: "yes"'] });
    await expect(remote('failing').invoke({ log: [] })).rejects.toThrow(/RangeError.*too far/);
  });
});

describe('a graph of the server as a node of one of this process', () => {
  const State = Annotation.Root({ log: Annotation<string[]> });
  const around = (node: RemoteGraph | ((state: object, config: LangGraphRunnableConfig) => Promise<object>)) =>
    new StateGraph(State)
      .addNode('before', ({ log }) => ({ log: [...log, 'before'] }))
      .addNode('remote', node)
      .addNode('after', ({ log }) => ({ log: [...log, 'after'] }))
      .addEdge(START, 'before')
      .addEdge('before', 'remote')
      .addEdge('remote', 'after')
      .compile({ checkpointer: new MemorySaver() });

  it('takes the state and gives it back, on the same thread', async () => {
    const config = onThread();
    expect(await around(remote('line')).invoke({ log: [] }, config)).toEqual({ log: ['before', ...ALL, 'after'] });
    expect(await remote('line').getState(config)).toMatchObject({ values: { log: ['before', ...ALL] }, next: [] });
  });

  it('streams its events as those of a subgraph', async () => {
    const options = { ...onThread(), subgraphs: true, streamMode: ['updates', 'custom'] as ['updates', 'custom'] };
    const stream = await around(remote('parent')).stream({ log: [] }, options);
    const events = (await collect(stream)) as unknown as [namespace: string[], mode: string][];
    expect(events.map(([namespace, mode]) => [namespace.map((part) => part.split(':')[0]).join('/'), mode])).toEqual([
      ['', 'updates'],
      ['remote/child', 'updates'],
      ['remote/child', 'updates'],
      ['remote', 'updates'],
      ['remote', 'custom'],
      ['remote', 'updates'],
      ['', 'updates'],
      ['', 'updates'],
    ]);
  });

  it('stops it with its question; a person answers there and brings the result', async () => {
    const config = onThread();
    const graph = around(remote('asking'));
    const question = { value: { question: 'go on?' } };
    expect(await graph.invoke({ log: [] }, config)).toMatchObject({ log: ['before'], __interrupt__: [question] });
    expect(await graph.getState(config)).toMatchObject({
      next: ['remote'],
      tasks: [{ name: 'remote', interrupts: [question] }],
    });
    const answered = await remote('asking').invoke(new Command({ resume: 'yes' }), config);
    await graph.updateState(config, answered, 'remote');
    expect(await graph.invoke(null, config)).toEqual({ log: ['before', 'answer: "yes"', 'after'] });
  });

  it('is answered through it by a node that hands the answer on', async () => {
    const config = onThread();
    const asking = remote('asking');
    const graph = around(async (state, { configurable = {} }) => {
      const there = { configurable: { thread_id: configurable['thread_id'] as string } };
      const { next, tasks } = await server.client.threads
        .getState(there.configurable.thread_id)
        .catch(() => ({ next: [], tasks: [] }));
      if (next.length === 0) return asking.invoke(state, there);
      return asking.invoke(new Command({ resume: interrupt(tasks[0]?.interrupts[0]?.value) }), there);
    });
    expect(await graph.invoke({ log: [] }, config)).toMatchObject({
      __interrupt__: [{ value: { question: 'go on?' } }],
    });
    expect(await graph.invoke(new Command({ resume: 'yes' }), config)).toEqual({
      log: ['before', 'answer: "yes"', 'after'],
    });
  });
});
