import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InMemoryStore, MemorySaver } from '@langchain/langgraph';
import { describe, expect, test } from 'vitest';
import { GraphRegistry } from '../../../src/engine/graphs/registry.ts';
import { compiled, factoryCalls } from './fixtures/graphs.ts';

const fixtures = fileURLToPath(new URL('fixtures', import.meta.url));

function registry(...names: string[]): GraphRegistry {
  return new GraphRegistry(Object.fromEntries(names.map((name) => [name, source(name)])));
}

function source(exportName: string, file = 'graphs.ts') {
  return { file: join(fixtures, file), exportName, description: null };
}

const thread = (thread_id: string) => ({ configurable: { thread_id } });

describe('get', () => {
  test.each(['builder', 'compiled', 'promised', 'agent', 'factory'])('serves a %s', async (name) => {
    const graph = await registry(name).get(name, { checkpointer: new MemorySaver() });
    expect(await graph.invoke({ count: 1 }, thread('t'))).toMatchObject({ count: 2 });
    expect((await graph.getState(thread('t'))).values).toMatchObject({ count: 2 });
  });

  test('serves an entrypoint', async () => {
    const graph = await registry('functional').get('functional', { checkpointer: new MemorySaver() });
    expect(await graph.invoke('you', thread('t'))).toBe('hello you');
  });

  test('gives each caller a graph of its own with the same parts, and leaves the exported one alone', async () => {
    const graphs = registry('compiled');
    const [first, second] = [new MemorySaver(), new MemorySaver()];
    const one = await graphs.get('compiled', { checkpointer: first, store: new InMemoryStore() });
    const two = await graphs.get('compiled', { checkpointer: second });
    await one.invoke({ count: 1 }, thread('t'));

    expect((await two.getState(thread('t'))).values).toEqual({});
    expect(compiled.checkpointer).toBeUndefined();
    expect(two.store).toBeUndefined();
    expect(Object.keys(one).sort()).toEqual(Object.keys(compiled).sort());
    expect(one.getName()).toBe('counting');
  });

  test('does not grow a table that the copies share, however often it is asked', async () => {
    const graphs = registry('functional');
    const size = async () => {
      const graph = await graphs.get('functional', { checkpointer: new MemorySaver() });
      return Object.values(graph['triggerToNodes']).flat().length;
    };
    expect(await size()).toBe(await size());
  });

  test('lends the checkpointer to subgraphs', async () => {
    const graph = await registry('nested').get('nested', { checkpointer: new MemorySaver() });
    await graph.invoke({ question: 'how many?' }, thread('t'));
    const state = await graph.getState(thread('t'), { subgraphs: true });
    expect(state.tasks[0]?.state).toMatchObject({ values: { question: 'how many?' }, next: ['inner'] });

    const done = await graph.invoke(new Command({ resume: 'three' }), thread('t'));
    expect(done).toMatchObject({ answer: 'three' });
  });

  test('keeps what the graph was configured with', async () => {
    const graph = await registry('loop').get('loop', { checkpointer: new MemorySaver() });
    expect(graph.config).toMatchObject({ recursionLimit: 60, tags: ['loop'] });
    expect(await graph.invoke({}, thread('t'))).toMatchObject({ count: 40 });
  });

  test('calls a factory for each use, with the configuration and what it is for', async () => {
    const graphs = registry('factory');
    const checkpointer = new MemorySaver();
    const config = { configurable: { by: 5 } };
    factoryCalls.length = 0;
    const run = await graphs.get('factory', { checkpointer, config, context: { user: 'ada' } });
    await graphs.get('factory', { checkpointer, config, access: 'threads.read' });

    expect(await run.invoke({ count: 1 }, thread('t'))).toMatchObject({ count: 6 });
    expect(factoryCalls).toEqual([
      [config, { accessContext: 'threads.create_run', executionRuntime: { context: { user: 'ada' } } }],
      [config, { accessContext: 'threads.read', executionRuntime: null }],
    ]);
  });
});

describe('failures name the graph, the file, the export and the cause', () => {
  const use = { checkpointer: new MemorySaver() };

  test.each([
    ['missing', source('missing'), /export "missing".*no such export. It exports: .*builder/],
    ['notGraph', source('notGraph'), /export "notGraph".*is not a graph/],
    ['failing', source('failing'), /export "failing".*no credentials/],
    ['unreachable', source('unreachable'), /: Node `alone` is not reachable\.$/],
    ['nowhere', source('graph', 'nowhere.ts'), /nowhere\.ts.*export "graph"/],
  ])('%s', async (graphId, entry, message) => {
    const failing = new GraphRegistry({ [graphId]: entry }).get(graphId, use);
    await expect(failing).rejects.toMatchObject({
      code: 'graph_failed_to_load',
      message: expect.stringMatching(message),
    });
    await expect(failing).rejects.toThrow(`Graph "${graphId}" failed to load from ${entry.file}`);
  });

  test('loadAll reports the bad ones, and the good ones are served', async () => {
    const graphs = new GraphRegistry({ good: source('compiled'), bad: source('missing') });
    expect(await graphs.loadAll()).toMatchObject([{ code: 'graph_failed_to_load' }]);
    expect(await graphs.get('good', use)).toBeDefined();
    await expect(graphs.get('bad', use)).rejects.toThrow('Graph "bad" failed to load');
  });

  test('an unknown graph is not found', async () => {
    await expect(registry('compiled').get('other', use)).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('schemas', () => {
  test('come from a StateSchema and a zod context', async () => {
    const schemas = await registry('compiled').schemas('compiled');
    expect(schemas).toMatchObject({
      graph_id: 'compiled',
      state_schema: { type: 'object', properties: { count: { type: 'number' }, note: { type: 'string' } } },
      input_schema: { type: 'object', properties: { count: { type: 'number' }, note: { type: 'string' } } },
      output_schema: { type: 'object', properties: { count: { type: 'number' } }, required: ['count'] },
      context_schema: { type: 'object', properties: { step: { type: 'number' } } },
    });
    expect(schemas.config_schema).toEqual(schemas.context_schema);
    expect(Object.keys(schemas.output_schema['properties'] as object)).toEqual(['count']);
  });

  test('come from zod also where some of it has no form in JSON', async () => {
    const topic = { type: 'string', default: 'tea', description: 'what about' };
    const graphs = new GraphRegistry({ dated: source('datedGraph', 'zod-graph.ts') });
    expect(await graphs.schemas('dated')).toMatchObject({
      state_schema: { properties: { when: {}, topic, total: {} }, required: ['when', 'topic'] },
      input_schema: { properties: { when: {}, topic, total: {} } },
    });
  });

  test('of an Annotation are permissive and name the keys', async () => {
    const keys = { type: 'object', properties: { question: {}, answer: {} } };
    expect(await registry('nested').schemas('nested')).toEqual({
      graph_id: 'nested',
      input_schema: keys,
      output_schema: keys,
      state_schema: keys,
      config_schema: { type: 'object' },
      context_schema: { type: 'object' },
    });
  });

  test.each(['strange', 'functional', 'factory'])('of %s can be had, whatever it is', async (name) => {
    expect(await registry(name).schemas(name)).toMatchObject({
      state_schema: { type: 'object' },
      input_schema: { type: 'object' },
      output_schema: { type: 'object' },
    });
  });
});

describe('drawable', () => {
  test('has nodes and edges as the wire has them', async () => {
    const { nodes, edges } = await registry('compiled').drawable('compiled');
    expect(nodes).toMatchObject([
      { id: '__start__', type: 'schema' },
      { id: 'add', type: 'runnable', data: { name: 'add' } },
      { id: '__end__', type: 'schema' },
    ]);
    expect(edges).toMatchObject([
      { source: '__start__', target: 'add' },
      { source: 'add', target: '__end__' },
    ]);
  });

  test.each([
    [false, ['middle']],
    [1, ['middle:before', 'middle:inner']],
    [true, ['middle:before', 'middle:inner:think', 'middle:inner:ask']],
  ])('xray %s opens subgraphs to that depth', async (xray, inside) => {
    const { nodes } = await registry('nested').drawable('nested', xray);
    const ids = (nodes as { id: string }[]).map(({ id }) => id);
    expect(ids.filter((id) => !id.startsWith('__'))).toEqual(inside);
  });
});

describe('subgraphs', () => {
  test('are listed by namespace', async () => {
    const graphs = registry('nested');
    expect(Object.keys(await graphs.subgraphs('nested'))).toEqual(['middle']);
    expect(Object.keys(await graphs.subgraphs('nested', { recurse: true }))).toEqual(['middle', 'middle|inner']);
    const one = await graphs.subgraphs('nested', { namespace: 'middle|inner', recurse: true });
    expect(one).toMatchObject({ 'middle|inner': { state_schema: { properties: { question: {}, answer: {} } } } });
  });
});
