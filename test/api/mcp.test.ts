import { Client as McpClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createApiKey } from '../../src/auth/api-keys.ts';
import { parseApiKeys } from '../../src/config/api-keys.ts';
import { uuidv7 } from '../../src/core/ids.ts';
import { call } from '../sdk/fixtures/call.ts';
import { gate } from '../sdk/fixtures/gates.ts';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';

let server: TestServer;
let client: McpClient;
beforeAll(async () => {
  server = await testServer({ stateUrl: 'memory:' });
  client = await mcp(server);
});
afterAll(async () => {
  await client.close();
  await server.stop();
});

async function mcp({ url }: { url: string }, headers: Record<string, string> = {}): Promise<McpClient> {
  const transport = new StreamableHTTPClientTransport(new URL(`${url}/mcp/`), { requestInit: { headers } });
  const made = new McpClient({ name: 'test', version: '1' });
  await made.connect(transport);
  return made;
}

describe('assistants as tools', () => {
  it('are listed with what they do and take', async () => {
    const { assistant_id } = await server.client.assistants.create({
      graphId: 'line',
      name: 'Carol, the 2nd!',
      description: 'Walks the line',
    });
    await server.client.assistants.create({ graphId: 'line', name: 'chat' });
    const { tools } = await client.listTools();
    const names = tools.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['line', 'chat', 'Carol_the_2nd_']));
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => name.startsWith('chat'))).toHaveLength(2);
    expect(tools.find(({ name }) => name === 'Carol_the_2nd_')).toMatchObject({
      description: 'Walks the line',
      inputSchema: { type: 'object', properties: { log: {} } },
    });
    await server.client.assistants.delete(assistant_id);
    expect((await client.listTools()).tools.map(({ name }) => name)).not.toContain('Carol_the_2nd_');
  });

  it('are run, and leave no thread behind that is to be seen', async () => {
    const before = await server.client.threads.count({});
    const result = await client.callTool({ name: 'line', arguments: { log: ['given'] } });
    expect(result).toMatchObject({ structuredContent: { log: ['given', 'a', 'b', 'c'] } });
    expect(result).toMatchObject({ content: [{ type: 'text', text: '{"log":["given","a","b","c"]}' }] });
    expect(await server.client.threads.count({})).toBe(before);
  });

  it('tell what went wrong', async () => {
    const failed = { isError: true, content: [{ type: 'text', text: 'RangeError: too far' }] };
    expect(await client.callTool({ name: 'failing', arguments: {} })).toMatchObject(failed);
    expect(await client.callTool({ name: 'nobody', arguments: {} })).toMatchObject({
      isError: true,
      content: [{ text: expect.stringContaining('There is no tool "nobody"') }],
    });
    expect(await client.callTool({ name: 'asking', arguments: { log: [] } })).toMatchObject({
      structuredContent: { __interrupt__: [{ value: { question: 'go on?' } }] },
    });
  });

  it('are stopped when their caller leaves', async () => {
    const name = uuidv7();
    const { assistant_id } = await server.client.assistants.create({
      graphId: 'line',
      name: 'waits',
      config: { configurable: { gate: name } },
    });
    const leaving = await mcp(server);
    const answer = leaving.callTool({ name: 'waits', arguments: { log: [] } }).catch((error: unknown) => error);
    await gate(name).reached;
    expect(server.baton.worker.busy).toBe(1);
    await leaving.close();
    await answer;
    await vi.waitFor(() => expect(server.baton.worker.busy).toBe(0));
    await server.client.assistants.delete(assistant_id);
  });
});

describe('the protocol', () => {
  it('has no streams from the server and no sessions', async () => {
    expect(await call(`${server.url}/mcp/`, 'GET')).toMatchObject({ status: 405 });
    expect(await call(`${server.url}/mcp/`, 'DELETE')).toMatchObject({ status: 404 });
  });

  it('refuses what it does not understand', async () => {
    const both = { accept: 'application/json, text/event-stream' };
    const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };
    expect((await call(`${server.url}/mcp/`, 'POST', ping, both)).text).toContain('"result":{}');
    expect(await call(`${server.url}/mcp/`, 'POST', ping, { accept: 'application/json' })).toMatchObject({
      status: 406,
    });
    expect(await call(`${server.url}/mcp/`, 'POST', { hello: 1 }, both)).toMatchObject({ status: 400 });
    expect(await call(`${server.url}/mcp/`, 'POST', '{"half', both)).toMatchObject({ status: 400 });
    const notice = { jsonrpc: '2.0', method: 'notifications/initialized' };
    expect(await call(`${server.url}/mcp/`, 'POST', notice, both)).toMatchObject({ status: 202 });
  });

  it('can be left out', async () => {
    const without = await testServer({ stateUrl: 'memory:', worker: false, http: { disabled: ['mcp', 'a2a'] } });
    for (const path of ['/mcp', '/a2a/line']) {
      expect(await call(without.url + path, 'POST', {})).toMatchObject({ status: 404 });
    }
    expect((await call(`${without.url}/openapi.json`, 'GET')).json.paths).not.toHaveProperty('/mcp');
    await without.stop();
  });

  it('asks who calls', async () => {
    const { key, entry } = createApiKey('reader', ['read']);
    const guarded = await testServer({ stateUrl: 'memory:', auth: { apiKeys: parseApiKeys(entry) } });
    await expect(mcp(guarded)).rejects.toThrow(/API key/);
    const reader = await mcp(guarded, { 'x-api-key': key });
    expect((await reader.listTools()).tools).not.toEqual([]);
    expect(await reader.callTool({ name: 'line', arguments: { log: [] } })).toMatchObject({
      isError: true,
      content: [{ text: expect.stringContaining('needs the scope write') }],
    });
    await reader.close();
    await guarded.stop();
  });
});
