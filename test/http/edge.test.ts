import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import { call } from '../sdk/fixtures/call.ts';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';

let server: TestServer;
let threadId: string;
beforeAll(async () => {
  server = await testServer({ stateUrl: 'memory:' });
  ({ thread_id: threadId } = await server.client.threads.create());
  await server.client.runs.wait(threadId, 'line', { input: { log: [] } });
});
afterAll(() => server.stop());

function post(path: string, body?: unknown, headers?: Record<string, string>) {
  return call(server.url + path, 'POST', body, headers);
}

describe('a refusal', () => {
  it('is text, or JSON when that is asked for by name', async () => {
    const path = `${server.url}/threads/${uuidv7()}`;
    const text = await call(path, 'GET', undefined, { accept: '*/*' });
    expect(text).toMatchObject({ status: 404, text: expect.stringMatching(/^Thread .* not found$/) });
    const json = await call(path, 'GET', undefined, { accept: 'application/json' });
    expect(json).toMatchObject({ status: 404, json: { detail: text.text, code: 'not_found' } });
  });

  it('names every field that is wrong', async () => {
    const body = { limit: 0, sort_by: 'size', metadata: [] };
    const { status, text } = await post('/threads/search', body);
    expect(status).toBe(422);
    expect(text).toMatch(/body\.limit: .*; body\.sort_by: .*|body\.metadata: .*/);
    for (const field of ['body.limit', 'body.sort_by', 'body.metadata']) expect(text).toContain(field);
    expect(await post('/assistants', {})).toMatchObject({ status: 422, text: 'body.graph_id: is missing' });
  });
});

describe('ids', () => {
  it.each([
    ['GET', '/threads/not-a-uuid'],
    ['PATCH', '/threads/1'],
    ['DELETE', "/threads/'; drop table threads"],
    ['POST', '/threads/not-a-uuid/runs/wait'],
    ['GET', '/threads/not-a-uuid/state'],
    ['GET', `/threads/${uuidv7()}/runs/not-a-uuid`],
    ['GET', '/runs/not-a-uuid/stream'],
  ])('%s %s: are checked', async (method, path) => {
    const body = method === 'GET' || method === 'DELETE' ? undefined : { assistant_id: 'line' };
    expect(await call(server.url + path, method, body)).toMatchObject({
      status: 422,
      text: expect.stringContaining('must be a UUID'),
    });
  });
});

describe('a text that no database takes', () => {
  it.each([
    ['a NUL', '"\\u0000"'],
    ['half a surrogate pair', '"\\ud800"'],
  ])('%s is refused wherever it stands', async (_what, text) => {
    const bodies: [string, string][] = [
      ['/threads', `{"metadata": {"deep": [{"x": ${text}}]}}`],
      ['/threads', `{"metadata": {${text}: 1}}`],
      ['/threads/search', `{"values": {"x": ${text}}}`],
      ['/assistants', `{"graph_id": ${text}}`],
      ['/assistants', `{"graph_id": "line", "name": ${text}}`],
      [`/threads/${threadId}/runs`, `{"assistant_id": "line", "input": {"log": [${text}]}}`],
      [`/threads/${threadId}/state`, `{"values": {"log": [${text}]}, "as_node": "a"}`],
      [`/threads/${threadId}/history`, `{"before": ${text}}`],
    ];
    for (const [path, body] of bodies) expect(await post(path, body)).toMatchObject({ status: 422 });
  });

  it('is refused in paths and queries too', async () => {
    for (const path of [
      '/assistants/%00',
      `/threads/${threadId}/state/%00`,
      `/threads/${threadId}/history?before=%00`,
    ]) {
      expect(await call(server.url + path, 'GET')).toMatchObject({ status: 422 });
    }
    expect(await call(`${server.url}/assistants/%ff`, 'GET')).toMatchObject({ status: 400 });
  });
});

describe('a body', () => {
  it('that is not JSON is refused with the reason', async () => {
    expect(await post('/threads', '{"metadata": ')).toMatchObject({
      status: 400,
      text: expect.stringMatching(/^The body is not JSON: /),
    });
    for (const body of ['[]', '"text"', '5', 'null', 'true']) {
      const { status } = await post('/threads', body);
      expect(status).toBe(body === 'null' ? 200 : 422);
    }
  });

  it('may be sent as text/plain, or left out', async () => {
    const made = await post('/threads', '{"metadata": {"plain": true}}', {
      'content-type': 'text/plain;charset=UTF-8',
    });
    expect(made.json).toMatchObject({ metadata: { plain: true } });
    expect(await post('/threads')).toMatchObject({ status: 200, json: { metadata: {} } });
  });

  it('may not be larger than 20 MB, nor deeper than a person could read', async () => {
    const large = JSON.stringify({ metadata: { x: 'x'.repeat(21 * 1024 * 1024) } });
    expect(await post('/threads', large)).toMatchObject({ status: 413 });
    const deep = `{"metadata": {"x": ${'['.repeat(100_000)}${']'.repeat(100_000)}}}`;
    expect(await post('/threads', deep)).toMatchObject({ status: 422, text: expect.stringContaining('deep') });
  });

  it('is refused with a key named __proto__, which would be lost', async () => {
    const made = await post('/threads', '{"metadata": {"a": 1, "__proto__": {"polluted": true}}}');
    expect(made).toMatchObject({ status: 422, text: expect.stringMatching(/^body\.metadata: has a key "__proto__"/) });
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

describe('a field of a wrong type', () => {
  it.each([
    ['/threads', { thread_id: 5 }, 'body.thread_id: must be a UUID'],
    ['/threads/search', { limit: 1.5 }, 'body.limit: Invalid input: expected int, received number'],
    [
      '/runs',
      { assistant_id: 'line', after_seconds: '3' },
      'body.after_seconds: Invalid input: expected number, received string',
    ],
    ['/runs', { assistant_id: 'line', interrupt_before: 5 }, /^body\.interrupt_before: .*"\*".*; or .*expected array/],
    ['/threads', [], 'body: Invalid input: expected object, received array'],
    ['/runs', {}, 'body.assistant_id: is missing'],
  ])('%s %o is told apart from one that is missing', async (path, body, text) => {
    const refused = await post(path, body);
    expect(refused.status).toBe(422);
    expect(refused.text).toMatch(text);
  });
});

describe('numbers that no database takes', () => {
  it.each(['1e400', '-1e400'])('%s is refused, where it would become null', async (number) => {
    const refused = await post('/threads', `{"metadata": {"list": [1, ${number}]}}`);
    expect(refused).toMatchObject({ status: 422, text: 'body.metadata.list[1]: is a number that is too large' });
  });

  it.each([
    ['/threads/search', { offset: 1e300 }],
    ['/threads/search', { limit: 1.5 }],
    ['/assistants/line/latest', { version: 1e12 }],
    ['/runs', { assistant_id: 'line', after_seconds: 1e18 }],
    ['/runs', { assistant_id: 'line', after_seconds: -1 }],
    ['/runs', { assistant_id: 'line', config: { recursion_limit: -5 } }],
  ])('%s %o are refused', async (path, body) => {
    expect(await post(path, body)).toMatchObject({ status: 422 });
  });
});

describe('a query', () => {
  it('takes booleans, numbers and lists in every spelling that clients use', async () => {
    const runs = `${server.url}/threads/${threadId}/runs`;
    for (const select of ['["run_id"]', 'run_id', 'run_id&select=status', 'run_id,status']) {
      const { json } = await call(`${runs}?select=${select}&limit=1`, 'GET');
      expect(Object.keys(json[0])).toEqual(select.includes('status') ? ['run_id', 'status'] : ['run_id']);
    }
    for (const subgraphs of ['1', '0', 'true', 'false']) {
      const { status } = await call(`${server.url}/threads/${threadId}/state?subgraphs=${subgraphs}`, 'GET');
      expect(status).toBe(200);
    }
    expect(await call(`${runs}?limit=abc`, 'GET')).toMatchObject({ status: 422 });
    expect(await call(`${runs}?limit=1&limit=2`, 'GET')).toMatchObject({ status: 422 });
    expect(await call(`${runs}?status=gone`, 'GET')).toMatchObject({ status: 422 });
  });
});

describe('fields', () => {
  it('that are known and not supported are refused by name, unless they ask for nothing', async () => {
    const asked = { strict_resume: true };
    for (const [field, value] of Object.entries(asked)) {
      const refused = await post('/runs', { assistant_id: 'line', [field]: value });
      expect(refused).toMatchObject({ status: 422, text: expect.stringContaining(`"${field}" is not supported yet`) });
    }
    const nothing = { webhook: null, feedback_keys: [], strict_resume: false, stream_resumable: true, command: null };
    expect(await post('/runs', { assistant_id: 'line', input: {}, ...nothing })).toMatchObject({ status: 200 });
  });

  it('that nobody knows are taken, and named', async () => {
    const body = {
      assistant_id: 'line',
      input: {},
      new_field: 1,
      config: { run_name: 'x', configurable: { free: 1 } },
    };
    const answer = await post(`/runs?later=1`, body);
    expect(answer.status).toBe(200);
    expect(answer.json.kwargs.config.configurable).toEqual({ free: 1, 'user-agent': expect.any(String) });
    const warning = answer.headers.get('warning');
    expect(warning).toMatch(/^299 baton "/);
    for (const field of ['new_field', 'config.run_name']) expect(warning).toContain(field);
    const odd = await post('/threads', { 'a"\r\nb: c': 1 });
    expect(odd.headers.get('warning')).toContain('a???b??c');
    expect((await post('/threads', {})).headers.get('warning')).toBeNull();
  });

  it('that nobody knows are cut to what a header can carry', async () => {
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`${i}é${'x'.repeat(20_000)}`, 1]));
    const answer = await post('/threads', many);
    expect(answer.status).toBe(200);
    const names = answer.headers.get('warning')?.match(/\d+\?x+/g) ?? [];
    expect(names.map((name) => name.length)).toEqual(Array.from({ length: 10 }, () => 100));
  });
});

describe('a browser', () => {
  it('may call from anywhere and read what clients need', async () => {
    const origin = { origin: 'https://smith.langchain.com' };
    const { headers } = await call(`${server.url}/ok`, 'GET', undefined, origin);
    expect(headers.get('access-control-allow-origin')).toBe('*');
    for (const name of ['Content-Location', 'Location', 'X-Pagination-Total', 'X-Pagination-Next']) {
      expect(headers.get('access-control-expose-headers')).toContain(name);
    }
    const preflight = await call(`${server.url}/threads`, 'OPTIONS', undefined, {
      ...origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,x-auth-scheme',
      'access-control-request-private-network': 'true',
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-headers')).toBe('content-type,x-auth-scheme');
    expect(preflight.headers.get('access-control-allow-private-network')).toBe('true');
  });
});

describe('the server', () => {
  it('says that it is well, and what it is', async () => {
    expect((await call(`${server.url}/ok`, 'GET')).json).toEqual({ ok: true });
    expect((await call(`${server.url}/ok?check_db=1`, 'GET')).json).toEqual({ ok: true });
    expect((await call(`${server.url}/info`, 'GET')).json).toMatchObject({
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
      langgraph_js_version: expect.stringMatching(/^1\./),
      context: 'js',
      flags: { assistants: true, crons: true },
      baton: { version: expect.any(String) },
    });
  });

  it('outlives requests that are no HTTP, or end in the middle', async () => {
    const port = Number(new URL(server.url).port);
    for (const text of ['nonsense\r\n\r\n', 'POST /threads HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"a"']) {
      await new Promise<void>((resolve) => {
        const socket = connect(port, '127.0.0.1', () => socket.end(text));
        socket.on('close', () => resolve());
        socket.resume();
      });
    }
    expect((await call(`${server.url}/ok`, 'GET')).status).toBe(200);
  });

  it.each(["x'<script>", 'a b', 'x/y', 'x:99999', '['])('says what is wrong with the host %s', async (host) => {
    for (const [method, path] of [
      ['GET', '/info'],
      ['POST', '/mcp'],
    ]) {
      const { hostname, port } = new URL(server.url);
      const sent = request({ hostname, port, method, path, headers: { host } }).end();
      const [answer] = (await once(sent, 'response')) as [IncomingMessage];
      expect(answer.statusCode).toBe(422);
      expect(await readText(answer)).toContain('Host');
    }
  });

  it('answers 404 where there is nothing', async () => {
    const text = 'There is no GET /nowhere: /docs shows what there is';
    expect(await call(`${server.url}/nowhere`, 'GET')).toMatchObject({ status: 404, text });
    expect(await call(`${server.url}/threads/tidy`, 'POST', {})).toMatchObject({ status: 404 });
  });
});
