import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApiKey } from '../../src/auth/api-keys.ts';
import { parseApiKeys } from '../../src/config/api-keys.ts';
import { uuidv7 } from '../../src/core/ids.ts';
import { asked } from '../api/fixtures/auth.ts';
import { operationsOf, request } from '../api/fixtures/operations.ts';
import { call } from '../sdk/fixtures/call.ts';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';

const file = fileURLToPath(new URL('../api/fixtures/auth.ts', import.meta.url));
const as = (name: string) => ({ authorization: `Bearer ${name}` });

describe('the project’s authentication', () => {
  let server: TestServer;
  beforeAll(async () => {
    const graph = fileURLToPath(new URL('../api/fixtures/personal-graph.ts', import.meta.url));
    server = await testServer({
      auth: { project: { file, exportName: 'auth' } },
      graphs: { personal: { file: graph, exportName: 'personal', description: null } },
    });
  });
  afterAll(() => server.stop());

  const get = (path: string, name: string) => call(server.url + path, 'GET', undefined, as(name));
  const post = (path: string, body: unknown, name: string, headers = {}) =>
    call(server.url + path, 'POST', body, { ...as(name), ...headers });

  it('answers as it says, with its status and headers', async () => {
    const answer = await get('/threads/x', 'banned');
    expect(answer).toMatchObject({ status: 451, text: 'Not in your country' });
    expect(answer.headers.get('x-why')).toBe('law');
    const json = await call(`${server.url}/threads/x`, 'GET', undefined, { accept: 'application/json' });
    expect(json).toMatchObject({ status: 401, json: { detail: 'Say Bearer and your name', code: 'unauthorized' } });
  });

  it('keeps its own faults to the log', async () => {
    const answer = await get('/threads/x', 'broken');
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain('10.0.0.7');
  });

  it('is not asked where everything is open', async () => {
    for (const path of ['/ok', '/ok?check_db=1', '/info']) expect((await get(path, 'broken')).status).toBe(200);
  });

  it('lets a browser ask first', async () => {
    const headers = { origin: 'https://chat.example', 'access-control-request-method': 'POST' };
    const preflight = await call(`${server.url}/threads`, 'OPTIONS', undefined, headers);
    expect(preflight.status).toBe(204);
    const refused = await call(`${server.url}/threads`, 'POST', {}, { origin: 'https://chat.example' });
    expect(refused.status).toBe(401);
    expect(refused.headers.get('access-control-allow-origin')).toBe('*');
  });

  it('shows the user to the nodes of his runs, and to nobody else', async () => {
    const configurable = {
      langgraph_auth_user: { identity: 'root' },
      langgraph_auth_user_id: 'root',
      langgraph_auth_permissions: ['all'],
    };
    const { json: thread } = await post('/threads', {}, 'alice');
    const run = { assistant_id: 'mirror', input: {}, config: { configurable } };
    const { json: state } = await post(`/threads/${thread.thread_id}/runs/wait`, run, 'alice', {
      'x-trace': 't',
      'x-api-key': 'k',
    });
    expect(state.seen.configurable).toMatchObject({
      langgraph_auth_user: {
        identity: 'alice',
        display_name: 'alice',
        is_authenticated: true,
        permissions: ['chat'],
        token: 'token of alice',
        path: `/threads/${thread.thread_id}/runs/wait`,
      },
      langgraph_auth_user_id: 'alice',
      langgraph_auth_permissions: ['chat'],
      'x-trace': 't',
    });
    expect(state.seen.configurable).not.toHaveProperty('x-api-key');
    const { json: kept } = await get(`/threads/${thread.thread_id}`, 'alice');
    const { json: history } = await get(`/threads/${thread.thread_id}/history`, 'alice');
    const { json: runs } = await get(`/threads/${thread.thread_id}/runs`, 'alice');
    expect(kept.config.configurable).toEqual({});
    for (const { metadata, checkpoint } of history) {
      expect(JSON.stringify([metadata, checkpoint])).not.toMatch(/langgraph_auth|token of|x-trace/);
    }
    expect(JSON.stringify(runs)).not.toContain('token of');
    const database = new Client({ connectionString: server.baton.databaseUrl });
    await database.connect();
    const { rows } = await database.query('select auth_user from baton.runs where thread_id = $1', [thread.thread_id]);
    await database.end();
    expect(rows).toEqual([{ auth_user: null }]);
  });

  it('shows it in no stream of debugging', async () => {
    const body = { assistant_id: 'line', input: { log: [] }, stream_mode: ['debug', 'checkpoints', 'tasks', 'events'] };
    const { text } = await post('/runs/stream', body, 'alice');
    expect(text).toContain('event: debug');
    expect(text).not.toMatch(/token of|langgraph_auth_(user|permissions)"/);
  });

  it('shows it to factories, whoever asks and for what', async () => {
    const { json: assistant } = await post(
      '/assistants',
      { graph_id: 'personal', config: { configurable: { langgraph_auth_user: { identity: 'root' } } } },
      'alice',
    );
    const { json: drawn } = await get(`/assistants/${assistant.assistant_id}/graph`, 'alice');
    expect(drawn.nodes.map(({ id }: { id: string }) => id)).toContain('alice');
    const { json: thread } = await post('/threads', {}, 'alice');
    const path = `/threads/${thread.thread_id}`;
    const asks = await post(`${path}/runs/wait`, { assistant_id: assistant.assistant_id, input: {} }, 'alice');
    expect(asks.json).toMatchObject({ __interrupt__: [{ value: 'alice' }] });
    expect((await get(path, 'alice')).json).toMatchObject({ status: 'interrupted', config: { configurable: {} } });
    expect((await get(`${path}/state`, 'alice')).json).toMatchObject({ next: ['alice'] });
    expect((await get(`${path}/history`, 'alice')).json).toHaveLength(2);
    const state = { id: 1, method: 'state.get' };
    expect((await post(`${path}/commands`, state, 'alice')).json).toMatchObject({ type: 'success' });
    expect(await post(`${path}/state`, { values: { seen: ['x'] }, as_node: 'alice' }, 'alice')).toMatchObject({
      status: 200,
    });
    expect((await get(path, 'alice')).json).toMatchObject({ status: 'idle', values: { seen: ['x'] } });
  });

  it('may be a name only', async () => {
    const { json } = await post('/runs/wait', { assistant_id: 'mirror', input: {} }, 'plain');
    expect(json.seen.configurable.langgraph_auth_user).toEqual({
      identity: 'plain',
      display_name: 'plain',
      is_authenticated: true,
      permissions: [],
    });
  });

  it('puts its mark on all that is made', async () => {
    const { json: thread } = await post('/threads', { metadata: { owner: 'bob', mine: 1 } }, 'alice');
    expect(thread.metadata).toEqual({ owner: 'alice', mine: 1 });
    await post(`/threads/${thread.thread_id}/runs/wait`, { assistant_id: 'line', input: { log: [] } }, 'alice');
    const { json: copy } = await post(`/threads/${thread.thread_id}/copy`, {}, 'alice');
    expect(copy.metadata).toMatchObject({ owner: 'alice', thread_id: copy.thread_id });
    const { json: patched } = await call(
      `${server.url}/threads/${thread.thread_id}`,
      'PATCH',
      { metadata: { owner: 'bob' } },
      as('alice'),
    );
    expect(patched.metadata.owner).toBe('alice');
    const { json: assistant } = await post('/assistants', { graph_id: 'line' }, 'alice');
    expect(assistant.metadata).toEqual({ owner: 'alice' });
    const created = uuidv7();
    const { json: run } = await post(
      `/threads/${created}/runs`,
      { assistant_id: assistant.assistant_id, input: { log: [] }, if_not_exists: 'create' },
      'alice',
    );
    expect(run.metadata.owner).toBe('alice');
    expect(await get(`/threads/${created}`, 'alice')).toMatchObject({
      status: 200,
      json: { metadata: { owner: 'alice' } },
    });
    expect(await get(`/threads/${created}`, 'bob')).toMatchObject({ status: 404 });
    const { headers } = await post('/runs/wait', { assistant_id: 'line', input: { log: [] } }, 'alice');
    const location = headers.get('content-location');
    expect((await get(`${location}/stream`, 'alice')).status).toBe(200);
    expect((await get(`${location}/stream`, 'bob')).status).toBe(404);
  });

  it('is told what is about to happen, by LangGraph’s names', async () => {
    const { json: thread } = await post('/threads', {}, 'dora');
    const path = `/threads/${thread.thread_id}`;
    const { json: run } = await post(
      `${path}/runs`,
      { assistant_id: 'line', input: { log: [] }, metadata: { a: 1 } },
      'dora',
    );
    await get(`${path}/runs/${run.run_id}/join`, 'dora');
    await post(`${path}/runs/${run.run_id}/cancel`, {}, 'dora');
    await get(`${path}/state`, 'dora');
    await post(`${path}/state`, { values: { log: ['x'] } }, 'dora');
    await get(`${path}/runs`, 'dora');
    await post('/threads/search', { metadata: { b: 2 } }, 'dora');
    await post('/assistants/count', {}, 'dora');
    await call(`${server.url}${path}/runs/${run.run_id}`, 'DELETE', undefined, as('dora'));
    await call(server.url + path, 'DELETE', undefined, as('dora'));
    const thread_id = thread.thread_id;
    const own = asked.filter(({ user }) => user === 'dora');
    expect(own.map(({ event }) => event)).toEqual([
      'threads:create',
      'threads:create_run',
      'threads:read',
      'threads:update',
      'threads:read',
      'threads:update',
      'threads:search',
      'threads:search',
      'assistants:search',
      'threads:delete',
      'threads:delete',
    ]);
    expect(own[1]?.value).toMatchObject({
      thread_id,
      run_id: run.run_id,
      assistant_id: run.assistant_id,
      metadata: { a: 1 },
      multitask_strategy: 'enqueue',
      if_not_exists: 'reject',
      kwargs: { input: { log: [] } },
    });
    expect(own[3]?.value).toMatchObject({ thread_id, action: 'interrupt', metadata: { run_ids: [run.run_id] } });
    expect(own[7]?.value).toMatchObject({ metadata: { b: 2 } });
    expect(own[9]?.value).toMatchObject({ thread_id, run_id: run.run_id });
  });

  it('cancels what its caller leaves only where he may', async () => {
    const { json: thread } = await post('/threads', {}, 'alice');
    const run = { assistant_id: 'line', input: { log: [] }, config: { configurable: { gate: uuidv7() } } };
    const { json: made } = await post(`/threads/${thread.thread_id}/runs`, run, 'alice');
    const path = `/threads/${thread.thread_id}/runs/${made.run_id}/stream?cancel_on_disconnect=1`;
    expect(await get(path, 'bob')).toMatchObject({ status: 404 });
    expect((await get(`/threads/${thread.thread_id}/runs/${made.run_id}`, 'alice')).json.status).not.toBe(
      'interrupted',
    );
    await post(`/threads/${thread.thread_id}/runs/${made.run_id}/cancel?wait=1`, {}, 'alice');
  });
});

describe('rules of several kinds', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ stateUrl: 'memory:', auth: { project: { file, exportName: 'rules' } } });
  });
  afterAll(() => server.stop());
  const send = (method: string, path: string, user: string, body?: unknown) =>
    call(server.url + path, method, body, { 'x-user': user });

  it('refuse, by the most specific of them', async () => {
    expect(await send('GET', '/assistants/line', '')).toMatchObject({ status: 401 });
    expect(await send('POST', '/assistants', 'a', { graph_id: 'line' })).toMatchObject({ status: 403 });
    expect(await send('POST', '/assistants/search', 'a', {})).toMatchObject({ status: 403 });
    expect(await send('DELETE', '/assistants/line', 'a')).toMatchObject({ status: 418, text: 'I cannot' });
    expect(await send('GET', '/assistants/line', 'a')).toMatchObject({ status: 200 });
  });

  it('find members of lists, and values that are no text', async () => {
    const { json: one } = await send('POST', '/threads', 'a', {});
    await send('POST', '/threads', 'b', {});
    expect(await send('GET', `/threads/${one.thread_id}`, 'a')).toMatchObject({ status: 200 });
    expect(await send('GET', `/threads/${one.thread_id}`, 'all')).toMatchObject({ status: 200 });
    expect(await send('GET', `/threads/${one.thread_id}`, 'b')).toMatchObject({ status: 404 });
    expect(await send('PATCH', `/threads/${one.thread_id}`, 'b', { metadata: {} })).toMatchObject({ status: 404 });
    expect(await send('PATCH', `/threads/${one.thread_id}`, 'a', { metadata: { level: 4 } })).toMatchObject({
      status: 200,
    });
    expect((await send('POST', '/threads/count', 'a', {})).json).toBe(0);
    await send('PATCH', `/threads/${one.thread_id}`, 'a', { metadata: { level: 3, team: 'a' } });
    expect(await send('GET', `/threads/${one.thread_id}`, 'a')).toMatchObject({ status: 404 });
    expect((await send('POST', '/threads/count', 'b', {})).json).toBe(1);
  });

  it('open nothing by a mistake', async () => {
    const { json: one } = await send('POST', '/threads', 'a', {});
    expect(await send('DELETE', `/threads/${one.thread_id}`, 'a')).toMatchObject({ status: 500 });
    expect(await send('GET', `/threads/${one.thread_id}`, 'a')).toMatchObject({ status: 200 });
  });

  it('change what a run is given', async () => {
    const { json: thread } = await send('POST', '/threads', 'a', {});
    const body = { assistant_id: 'mirror', input: {}, config: { configurable: { chosen: 'by the caller', own: 1 } } };
    const { json } = await send('POST', `/threads/${thread.thread_id}/runs/wait`, 'a', body);
    expect(json.seen.configurable).toMatchObject({ chosen: 'by the handler' });
    expect(json.seen.configurable).not.toHaveProperty('own');
    expect(json.seen.metadata).toMatchObject({ stamped: true });
  });
});

describe('an export', () => {
  it.each([
    ['notAuth', 'it is no Auth object'],
    ['silent', 'it has no authenticate handler'],
    ['missing', 'there is no such export'],
  ])('%s keeps the server from starting', async (exportName, reason) => {
    await expect(testServer({ auth: { project: { file, exportName } } })).rejects.toThrow(reason);
  });

  it('in no file does, too', async () => {
    const project = { file: '/nowhere/auth.ts', exportName: 'auth' };
    await expect(testServer({ auth: { project } })).rejects.toThrow('The authentication in /nowhere/auth.ts');
  });
});

describe('Studio', () => {
  it('is believed where that is configured, and is a user like others', async () => {
    const server = await testServer({
      stateUrl: 'memory:',
      auth: { project: { file, exportName: 'auth' }, trustStudio: true },
    });
    const studio = { 'x-auth-scheme': 'langsmith' };
    const { json: thread, status } = await call(`${server.url}/threads`, 'POST', {}, studio);
    expect(status).toBe(200);
    expect(thread.metadata.owner).toBe('langgraph-studio-user');
    const { json: other } = await call(`${server.url}/threads`, 'POST', {}, as('alice'));
    expect(await call(`${server.url}/threads/${other.thread_id}`, 'GET', undefined, studio)).toMatchObject({
      status: 404,
    });
    await server.stop();
  });
});

describe('API keys', () => {
  const made = {
    reader: createApiKey('reader', ['read']),
    writer: createApiKey('writer', ['read', 'write']),
    admin: createApiKey('admin', []),
  };
  let server: TestServer;
  beforeAll(async () => {
    const apiKeys = parseApiKeys(
      Object.values(made)
        .map(({ entry }) => entry)
        .join(),
    );
    server = await testServer({ stateUrl: 'memory:', auth: { apiKeys } });
  });
  afterAll(() => server.stop());
  const bearing = ({ key }: { key: string }) => ({ 'x-api-key': key });

  it('are taken in both places, and nothing else is', async () => {
    const { key, entry } = made.reader;
    const hash = entry.split(':')[1] ?? '';
    const status = async (headers: Record<string, string>) =>
      (await call(`${server.url}/threads/search`, 'POST', {}, headers)).status;
    expect(await status({ 'x-api-key': key })).toBe(200);
    expect(await status({ authorization: `Bearer ${key}` })).toBe(200);
    expect(await status({ authorization: `bearer  ${key}`, 'x-api-key': 'from another service' })).toBe(200);
    for (const wrong of [
      {},
      { 'x-api-key': hash },
      { 'x-api-key': `${key}x` },
      { authorization: key },
      { authorization: `Basic ${key}` },
      { 'x-auth-scheme': 'langsmith' },
    ]) {
      expect(await status(wrong as Record<string, string>)).toBe(401);
    }
  });

  it.each(['reader', 'writer', 'admin'] as const)('%s may do what its scopes say', async (name) => {
    // Commands and calls of the last three are refused one by one: below.
    const sees =
      /^GET |\/(search|count|history|checkpoint|versions|namespaces|stream\/events|commands|mcp)$|^POST \/a2a\//;
    const operations = await operationsOf(server.url, bearing(made.admin));
    const admin = (path: string, body: unknown) => call(server.url + path, 'POST', body, bearing(made.admin));
    const { json: thread } = await admin('/threads', {});
    const { json: run } = await admin(`/threads/${thread.thread_id}/runs`, {
      assistant_id: 'line',
      input: { log: [] },
    });
    const { json: assistant } = await admin('/assistants', { graph_id: 'line' });
    const values = {
      thread_id: thread.thread_id,
      run_id: run.run_id,
      run_ids: [run.run_id],
      thread_ids: [thread.thread_id],
      assistant_id: assistant.assistant_id,
      checkpoint_id: uuidv7(),
      cron_id: uuidv7(),
      delivery_id: uuidv7(),
      bookmark_id: uuidv7(),
      namespace: 'child',
      graph_id: 'line',
      version: 1,
    };
    const wrong: unknown[] = [];
    for (const operation of operations) {
      const { status, text } = await request(server.url, operation, { values, headers: bearing(made[name]) });
      const isForAdmin = operation.path.startsWith('/assistants') && !sees.test(operation.name);
      const may = sees.test(operation.name) || name === 'admin' || (name === 'writer' && !isForAdmin);
      const isRight = may ? status !== 401 && status !== 403 && status < 500 : status === 403;
      if (!isRight) wrong.push([operation.name, status, text]);
    }
    expect(wrong).toEqual([]);
  });

  it('are asked for by each command and call, too', async () => {
    const accept = { accept: 'application/json, text/event-stream' };
    const ask = async (path: string, body: object, who: { key: string }) =>
      (await call(server.url + path, 'POST', body, { ...bearing(who), ...accept })).text;
    const input = { log: [] };
    const message = { kind: 'message', role: 'user', messageId: 'm', parts: [{ kind: 'data', data: input }] };
    const run = { id: 1, method: 'run.start', params: { assistant_id: 'line', input } };
    const send = { jsonrpc: '2.0', id: 1, method: 'message/send', params: { message } };
    const tool = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'line', arguments: input } };
    const calls = [
      [`/threads/${uuidv7()}/commands`, run],
      ['/a2a/line', send],
      ['/mcp', tool],
    ] as const;
    for (const [path, body] of calls) {
      expect(await ask(path, body, made.reader)).toContain('it needs the scope write');
      expect(await ask(path, body, made.writer)).not.toContain('scope');
    }
  });

  it('are who they are to a run', async () => {
    const body = { assistant_id: 'mirror', input: {} };
    const { json } = await call(`${server.url}/runs/wait`, 'POST', body, bearing(made.writer));
    expect(json.seen.configurable).toMatchObject({
      langgraph_auth_user_id: 'writer',
      langgraph_auth_permissions: ['read', 'write'],
    });
    expect(JSON.stringify(json)).not.toContain(made.writer.key);
    expect(await call(`${server.url}/runs/wait`, 'POST', body, bearing(made.reader))).toMatchObject({
      status: 403,
      text: 'The API key "reader" may not do this: it needs the scope write',
    });
  });

  it('stand beside the project’s own authentication', async () => {
    const apiKeys = parseApiKeys(made.admin.entry);
    const both = await testServer({ stateUrl: 'memory:', auth: { project: { file, exportName: 'auth' }, apiKeys } });
    const { json: thread } = await call(`${both.url}/threads`, 'POST', {}, as('alice'));
    const path = `${both.url}/threads/${thread.thread_id}`;
    expect(await call(path, 'GET', undefined, bearing(made.admin))).toMatchObject({ status: 200 });
    expect(await call(path, 'GET', undefined, bearing(made.reader))).toMatchObject({ status: 401 });
    await both.stop();
  });
});
