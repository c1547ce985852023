import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import { call } from './fixtures/call.ts';
import { gate } from './fixtures/gates.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await testServer({ stateUrl: 'memory:' });
});
afterAll(() => server.stop());

const input = { log: [] };

async function threadAfter(graphId: string, options = {}): Promise<string> {
  const { thread_id } = await server.client.threads.create();
  await server.client.runs.wait(thread_id, graphId, { input, ...options });
  return thread_id;
}

function post(path: string, body: unknown) {
  return call(server.url + path, 'POST', body);
}

describe('what official servers pass over in silence, and clients send, is done without and said:', () => {
  const stopped = { interrupt_before: ['b'] };
  it.each<[string, string, object, object]>([
    ['an answer', 'asking', {}, { command: { resume: 'yes' } }],
    ['another place to go to', 'line', stopped, { command: { goto: 'c' } }],
    ['the end to go to, as agent-chat-ui sends it', 'asking', {}, { command: { goto: '__end__' } }],
    ['an update', 'line', stopped, { command: { update: { log: ['x'] } } }],
  ])('an input beside %s', async (_, graphId, before, body) => {
    const threadId = await threadAfter(graphId, before);
    const asked = { assistant_id: graphId, input: { log: ['lost'] }, ...body };
    const answered = await post(`/threads/${threadId}/runs/wait`, asked);
    expect(answered).toMatchObject({ status: 200, text: expect.not.stringContaining('lost') });
    expect(answered.headers.get('warning')).toBe('299 baton "input is not used beside a command"');
    const empty = await post(`/threads/${threadId}/runs`, { ...asked, input: {} });
    expect(empty).toMatchObject({ status: 200 });
    expect(empty.headers.has('warning')).toBe(false);
  });

  it.each(['interrupt_before', 'interrupt_after'])('an unknown node in %s', async (field) => {
    for (const way of ['', '/wait', '/stream']) {
      const answered = await post(`/runs${way}`, { assistant_id: 'line', input, [field]: ['b', 'nowhere'] });
      expect(answered).toMatchObject({ status: 200, text: expect.not.stringContaining('"log":["a","b","c"]') });
      expect(answered.headers.get('warning')).toBe(
        `299 baton "${field}: graph 'line' has no node 'nowhere'. It has: a, b, c"`,
      );
    }
  });

  it('an unknown node of a graph that a function makes, by what it makes for this run', async () => {
    const { thread_id } = await server.client.threads.create();
    const asked = { assistant_id: 'made', input, interrupt_before: ['special'] };
    expect((await post(`/threads/${thread_id}/runs`, asked)).headers.get('warning')).toContain('It has: plain');
    const fitting = await post(`/runs/wait`, { ...asked, config: { configurable: { node: 'special' } } });
    expect(fitting).toMatchObject({ status: 200, json: { log: [] } });
    expect(fitting.headers.has('warning')).toBe(false);
  });

  it.each([
    ['the ends of the graph and its nodes', { interrupt_before: ['__start__', '__end__'], interrupt_after: ['c'] }],
    ['every node', { interrupt_before: '*' }],
  ])('but nothing is said of %s', async (_, breakpoints) => {
    const answered = await post(`/runs`, { assistant_id: 'line', input, ...breakpoints });
    expect(answered.headers.has('warning')).toBe(false);
  });

  it('keys of feedback, which LangSmith would collect', async () => {
    const body = { assistant_id: 'line', input, feedback_keys: ['liked'] };
    for (const [path, sent] of [
      ['/runs/stream', body],
      ['/runs/batch', [body]],
    ] as const) {
      const answered = await post(path, sent);
      expect(answered).toMatchObject({ status: 200, text: expect.not.stringContaining('event: feedback') });
      expect(answered.headers.get('warning')).toContain('feedback_keys are not used');
    }
    expect(await post('/runs', { ...body, feedback_keys: 'liked' })).toMatchObject({ status: 422 });
  });
});

describe('what would be dropped in silence is refused:', () => {
  it('an answer when nothing was asked', async () => {
    const [ended, paused] = [await threadAfter('line'), await threadAfter('line', { interruptBefore: ['b'] })];
    for (const threadId of [ended, paused]) {
      for (const resume of ['yes', null]) {
        const refused = await post(`/threads/${threadId}/resume`, { resume });
        expect(refused).toMatchObject({ status: 409, text: expect.stringContaining('leave resume out') });
      }
    }
    expect(await post(`/threads/${paused}/resume`, { wait: true })).toMatchObject({ json: { log: ['a', 'b', 'c'] } });
  });

  it('but an answer to what a checkpoint asked is taken', async () => {
    const threadId = await threadAfter('asking');
    const { checkpoint } = await server.client.threads.getState(threadId);
    await post(`/threads/${threadId}/resume`, { resume: 1, wait: true });
    expect(await post(`/threads/${threadId}/resume`, { resume: 2 })).toMatchObject({ status: 409 });
    expect(await post(`/threads/${threadId}/resume`, { resume: 2, checkpoint })).toMatchObject({ status: 200 });
  });

  it.each([{ goto: 'nowhere' }, { goto: ['b', { node: 'nowhere', input: {} }] }])(
    'an unknown node to go to: %o',
    async (command) => {
      const { thread_id } = await server.client.threads.create();
      expect(await post(`/threads/${thread_id}/runs`, { assistant_id: 'line', command })).toMatchObject({
        status: 422,
        text: 'body.command.goto: graph "line" has no node "nowhere". It has: a, b, c',
      });
    },
  );
});

it('a thread keeps what only looks like a secret, and no secret', async () => {
  const kept = { max_tokens: 5, maxTokens: 5, tokenizer: 'bpe', model: 'm' };
  const secrets = ['token', 'access_token', 'accessToken', 'authtoken', 'OPENAI_API_KEY', 'x-api-key', 'myAPIKey'];
  const more = ['client_secret', 'dbPassword', 'Authorization', 'credentials', 'session-cookie', 'secret_2'];
  const configurable = { ...kept, ...Object.fromEntries([...secrets, ...more].map((name) => [name, 'x'])) };
  const threadId = await threadAfter('mirror', { input: {}, config: { configurable } });
  const { config, values } = (await server.client.threads.get(threadId)) as unknown as {
    config: { configurable: object };
    values: { seen: { configurable: object } };
  };
  expect(config.configurable).toEqual(kept);
  expect(values.seen.configurable).toMatchObject(configurable);
});

it('a copy of a thread that runs is idle, as nothing runs on it, unless it waits for an answer', async () => {
  const { client } = server;
  const name = uuidv7();
  const { thread_id } = await client.threads.create();
  const { run_id } = await client.runs.create(thread_id, 'line', { input, config: { configurable: { gate: name } } });
  await gate(name).reached;
  expect(await client.threads.copy(thread_id)).toMatchObject({ status: 'idle', values: { log: ['a'] } });
  gate(name).open();
  await client.runs.join(thread_id, run_id);

  const asking = await threadAfter('asking');
  await client.runs.create(asking, 'asking', { command: { resume: 1 }, afterSeconds: 3600 });
  expect(await client.threads.get(asking)).toMatchObject({ status: 'busy' });
  expect(await client.threads.copy(asking)).toMatchObject({ status: 'interrupted' });
});

it('the stream of a run that has ended ends at once, wherever the reader says it is', async () => {
  const { thread_id } = await server.client.threads.create();
  const { run_id } = await server.client.runs.create(thread_id, 'line', { input });
  await server.client.runs.join(thread_id, run_id);
  const url = `${server.url}/threads/${thread_id}/runs/${run_id}/stream`;
  const all = await call(url, 'GET');
  const lastId = Number([...all.text.matchAll(/^id: (\d+)$/gm)].at(-1)?.[1]);
  expect(lastId).toBeGreaterThan(0);
  for (const id of [lastId, lastId + 1, lastId + 2, 2_000_000_000]) {
    const rest = await call(url, 'GET', undefined, { 'last-event-id': String(id) });
    expect(rest).toMatchObject({ status: 200, text: expect.not.stringContaining('id:') });
  }
});

it('and so does one of a run that ends while its reader waits beyond the end', async () => {
  const name = uuidv7();
  const { thread_id } = await server.client.threads.create();
  const options = { input, config: { configurable: { gate: name } } };
  const { run_id } = await server.client.runs.create(thread_id, 'line', options);
  await gate(name).reached;
  const url = `${server.url}/threads/${thread_id}/runs/${run_id}/stream`;
  const response = await fetch(url, { headers: { 'last-event-id': '1000000' } });
  gate(name).open();
  expect(await response.text()).not.toContain('id:');
});
