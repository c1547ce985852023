import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureSystemAssistants } from '../../src/api/assistants/service.ts';
import { systemAssistantId, uuidv7 } from '../../src/core/ids.ts';
import { Assistants } from '../../src/database/assistants.ts';
import { Database } from '../../src/database/database.ts';
import { pino } from 'pino';
import { call } from './fixtures/call.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await testServer({ stateUrl: 'memory:', worker: false });
});
afterAll(() => server.stop());

describe('assistants of the graphs', () => {
  it('are there from the start, one each', async () => {
    const { client } = server;
    const found = await client.assistants.search({ metadata: { created_by: 'system' }, limit: 100 });
    expect(found.map((assistant) => assistant.name).sort()).toEqual(Object.keys(server.config.graphs).sort());
    expect(await client.assistants.get('line')).toMatchObject({
      assistant_id: systemAssistantId('line'),
      graph_id: 'line',
      version: 1,
      config: {},
      metadata: { created_by: 'system' },
    });
  });

  it('are made once, however many servers start at once', async () => {
    const database = new Database({
      url: String(server.config.databaseUrl),
      log: pino({ level: 'silent' }),
      applicationName: 'test',
    });
    const assistants = new Assistants(database);
    await Promise.all(Array.from({ length: 6 }, () => ensureSystemAssistants(assistants, ['new-1', 'new-2'])));
    expect(await assistants.versions(systemAssistantId('new-1'), { limit: 10, offset: 0 })).toHaveLength(1);
    await assistants.delete(systemAssistantId('new-1'));
    await assistants.delete(systemAssistantId('new-2'));
    await database.close();
  });

  it('cannot be deleted while their graph is served', async () => {
    await expect(server.client.assistants.delete('line')).rejects.toThrow(/409/);
    expect(await server.client.assistants.get('line')).toMatchObject({ graph_id: 'line' });
  });

  it('nor after they were pointed at another graph', async () => {
    const { client } = server;
    await client.assistants.update('line', { graphId: 'chat' });
    await expect(client.assistants.delete('line')).rejects.toThrow(/409.*comes with graph "line"/);
    await client.assistants.setLatest('line', 1);
    expect(await client.assistants.get('line')).toMatchObject({ graph_id: 'line' });
  });
});

describe('an assistant', () => {
  it('can be created, found, changed, put back and deleted', async () => {
    const { client } = server;
    const made = await client.assistants.create({
      graphId: 'line',
      name: 'Carol',
      description: 'careful',
      config: { tags: ['t'], recursion_limit: 7, configurable: { model: 'small' } },
      context: { user: 1 },
      metadata: { team: 'a' },
    });
    expect(made).toMatchObject({ name: 'Carol', version: 1, config: { recursion_limit: 7 }, metadata: { team: 'a' } });

    const changed = await client.assistants.update(made.assistant_id, { name: 'Dave', metadata: { floor: 2 } });
    expect(changed).toMatchObject({ name: 'Dave', version: 2, graph_id: 'line', metadata: { team: 'a', floor: 2 } });
    expect(await client.assistants.update(made.assistant_id, {})).toMatchObject({ name: 'Dave', version: 3 });

    const versions = await client.assistants.getVersions(made.assistant_id);
    expect(versions.map(({ version, name }) => [version, name])).toEqual([
      [3, 'Dave'],
      [2, 'Dave'],
      [1, 'Carol'],
    ]);
    expect(await client.assistants.setLatest(made.assistant_id, 1)).toMatchObject({ name: 'Carol', version: 1 });
    expect(await client.assistants.update(made.assistant_id, {})).toMatchObject({ name: 'Carol', version: 4 });

    expect(await client.assistants.search({ name: 'aro', select: ['name'] })).toEqual([{ name: 'Carol' }]);
    expect(await client.assistants.count({ metadata: { team: 'a' } })).toBe(1);
    await client.assistants.delete(made.assistant_id);
    await expect(client.assistants.get(made.assistant_id)).rejects.toThrow(/404/);
  });

  it('keeps its id to itself unless the caller does not mind', async () => {
    const { client } = server;
    const assistantId = uuidv7();
    const first = await client.assistants.create({ graphId: 'line', assistantId, name: 'first' });
    await expect(client.assistants.create({ graphId: 'line', assistantId })).rejects.toThrow(/409.*already exists/);
    expect(await client.assistants.create({ graphId: 'line', assistantId, ifExists: 'do_nothing' })).toEqual(first);
  });

  it('needs a graph that is served', async () => {
    await expect(server.client.assistants.create({ graphId: 'nowhere' })).rejects.toThrow(
      /404.*Graph nowhere not found/,
    );
    await expect(server.client.assistants.get('nowhere')).rejects.toThrow(/404/);
    await expect(server.client.assistants.get(uuidv7())).rejects.toThrow(/404/);
    await expect(server.client.assistants.setLatest('line', 99)).rejects.toThrow(/404/);
  });

  it('takes the threads that it ran on with it when asked', async () => {
    const { client } = server;
    const { assistant_id } = await client.assistants.create({ graphId: 'line' });
    const thread = await client.threads.create({ metadata: { assistant_id } });
    const other = await client.threads.create();
    await client.assistants.delete(assistant_id, { deleteThreads: true });
    await expect(client.threads.get(thread.thread_id)).rejects.toThrow(/404/);
    expect(await client.threads.get(other.thread_id)).toMatchObject({ thread_id: other.thread_id });
  });

  it('pages and says how many there are', async () => {
    const query = { limit: 2, sort_by: 'name', sort_order: 'asc', metadata: { created_by: 'system' } };
    const first = await call(`${server.url}/assistants/search`, 'POST', query);
    expect(first.json.map((assistant: { name: string }) => assistant.name)).toEqual(['asking', 'chat']);
    expect(first.headers.get('x-pagination-total')).toBe(String(Object.keys(server.config.graphs).length));
    expect(first.headers.get('x-pagination-next')).toBe('2');
    const last = await call(`${server.url}/assistants/search`, 'POST', { ...query, offset: 6 });
    expect(last.json).toHaveLength(1);
    expect(last.headers.get('x-pagination-next')).toBeNull();
  });
});

describe('the graph of an assistant', () => {
  it('can be drawn, also with its subgraphs', async () => {
    const { client } = server;
    const plain = await client.assistants.getGraph('parent');
    expect(plain.nodes.map((node) => node.id)).toEqual(['__start__', 'child', 'tell', '__end__']);
    expect(plain.edges).toContainEqual(expect.objectContaining({ source: 'child', target: 'tell' }));
    const deep = await client.assistants.getGraph('parent', { xray: true });
    expect(deep.nodes.map((node) => node.id)).toContain('child:inside');
    expect(await client.assistants.getGraph('parent', { xray: 1 })).toEqual(deep);
  });

  it('is drawn for the assistant’s own configuration', async () => {
    const { client } = server;
    const { assistant_id } = await client.assistants.create({
      graphId: 'made',
      config: { configurable: { node: 'special' } },
    });
    const drawn = await client.assistants.getGraph(assistant_id);
    expect(drawn.nodes.map((node) => node.id)).toContain('special');
  });

  it('tells its schemas and those of its subgraphs', async () => {
    const { client } = server;
    expect(await client.assistants.getSchemas('line')).toMatchObject({
      graph_id: 'line',
      input_schema: { properties: { log: {} } },
      state_schema: { properties: { log: {} } },
    });
    expect(Object.keys(await client.assistants.getSubgraphs('parent', { recurse: true }))).toEqual(['child']);
    expect(Object.keys(await client.assistants.getSubgraphs('parent', { namespace: 'child' }))).toEqual(['child']);
    expect(await client.assistants.getSubgraphs('line')).toEqual({});
  });
});
