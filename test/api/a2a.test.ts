import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemAssistantId, uuidv7 } from '../../src/core/ids.ts';
import { call } from '../sdk/fixtures/call.ts';
import { gate } from '../sdk/fixtures/gates.ts';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await testServer({ stateUrl: 'memory:' });
});
afterAll(() => server.stop());

interface Sent {
  text?: string;
  data?: object;
  contextId?: string;
  taskId?: string;
}

function messageOf({ text, data, ...place }: Sent) {
  const parts = [...(text === undefined ? [] : [{ kind: 'text', text }]), ...(data ? [{ kind: 'data', data }] : [])];
  return { kind: 'message', role: 'user', messageId: uuidv7(), parts, ...place };
}

async function rpc(agent: string, method: string, params: object) {
  const { status, json } = await call(`${server.url}/a2a/${agent}`, 'POST', { jsonrpc: '2.0', id: 7, method, params });
  expect(status).toBe(200);
  expect(json).toMatchObject({ jsonrpc: '2.0', id: 7 });
  return json;
}

async function send(agent: string, sent: Sent, configuration: object = {}) {
  const { result, error } = await rpc(agent, 'message/send', { message: messageOf(sent), configuration });
  expect(error).toBeUndefined();
  return result;
}

describe('an agent', () => {
  it('shows a card that leads to it', async () => {
    const id = systemAssistantId('line');
    const { json } = await call(`${server.url}/.well-known/agent-card.json?assistant_id=line`, 'GET');
    expect(json).toMatchObject({
      protocolVersion: '0.3.0',
      name: 'line',
      url: `${server.url}/a2a/${id}`,
      preferredTransport: 'JSONRPC',
      capabilities: { streaming: true, pushNotifications: false },
      skills: [{ id, name: 'line' }],
    });
    expect((await call(`${server.url}/a2a/${id}/.well-known/agent-card.json`, 'GET')).json).toEqual(json);
    expect(await call(`${server.url}/.well-known/agent-card.json?assistant_id=nobody`, 'GET')).toMatchObject({
      status: 404,
    });
    expect(await call(`${server.url}/.well-known/agent-card.json`, 'GET')).toMatchObject({ status: 422 });
  });

  it('answers text with what it says, and remembers the context', async () => {
    const task = await send('chat', { text: 'hello' });
    expect(task).toMatchObject({
      kind: 'task',
      status: { state: 'completed' },
      artifacts: [{ parts: [{ kind: 'text', text: 'one two' }] }],
    });
    expect(task.id).toMatch(new RegExp(`^${task.contextId}:`));
    const next = await send('chat', { text: 'and?', contextId: task.contextId }, { historyLength: 3 });
    expect(next.contextId).toBe(task.contextId);
    expect(next.id).not.toBe(task.id);
    const said = next.history.map(({ role, parts }: { role: string; parts: { text: string }[] }) => [
      role,
      parts[0]?.text,
    ]);
    expect(said).toEqual([
      ['agent', 'one two'],
      ['user', 'and?'],
      ['agent', 'one two'],
    ]);
  });

  it('takes data, and answers with its values', async () => {
    const contextId = uuidv7();
    const task = await send('line', { data: { log: ['given'] }, contextId });
    expect(task).toMatchObject({
      contextId,
      artifacts: [{ parts: [{ kind: 'data', data: { log: ['given', 'a', 'b', 'c'] } }] }],
    });
    const { error } = await rpc('line', 'message/send', { message: messageOf({ text: 'hello' }) });
    expect(error).toMatchObject({ code: -32_602, message: expect.stringContaining('takes no messages') });
  });

  it('says when it fails', async () => {
    const task = await send('failing', { data: { log: [] } });
    expect(task.status).toMatchObject({
      state: 'failed',
      message: { role: 'agent', parts: [{ kind: 'text', text: 'RangeError: too far' }] },
    });
  });

  it.each([
    ['text', { text: 'yes' }, 'answer: "yes"'],
    ['data', { data: { sure: true } }, 'answer: {"sure":true}'],
  ])('asks, and goes on with an answer: %s', async (_kind, answer, logged) => {
    const asking = await send('asking', { data: { log: [] } });
    const { contextId, id: taskId } = asking;
    expect(asking.status.state).toBe('input-required');
    const [{ text }, { data }] = asking.status.message.parts;
    expect(text).toBe('{"question":"go on?"}');
    expect(data.interrupts).toEqual([{ id: expect.any(String), value: { question: 'go on?' } }]);
    const done = await send('asking', { ...answer, contextId, taskId });
    expect(done).toMatchObject({ id: taskId, contextId, status: { state: 'completed' } });
    expect(done.artifacts[0].parts[0].data).toEqual({ log: [logged] });
    expect((await rpc('asking', 'tasks/get', { id: taskId })).result).toEqual(done);
    const late = await rpc('asking', 'message/send', { message: messageOf({ ...answer, contextId, taskId }) });
    expect(late.error).toMatchObject({ code: -32_004, message: expect.stringContaining('asks nothing') });
  });

  it('takes answers by the ids of its questions', async () => {
    const { contextId, id: taskId, status } = await send('asking', { data: { log: [] } });
    const id = status.message.parts[1].data.interrupts[0].id;
    const done = await send('asking', { data: { resume: [{ id, value: 5 }] }, contextId, taskId });
    expect(done.artifacts[0].parts[0].data).toEqual({ log: ['answer: 5'] });
  });
});

describe('a task', () => {
  /** One that waits in the middle. */
  async function atGate() {
    const name = uuidv7();
    const { assistant_id } = await server.client.assistants.create({
      graphId: 'line',
      config: { configurable: { gate: name } },
    });
    const task = await send(assistant_id, { data: { log: [] } }, { blocking: false });
    await gate(name).reached;
    return { task, agent: assistant_id, open: () => gate(name).open() };
  }

  it('can be left alone and asked for, by either of its ids', async () => {
    const { task, agent, open } = await atGate();
    expect(task.status.state).toBe('submitted');
    const get = async (params: object) => (await rpc(agent, 'tasks/get', params)).result;
    expect(await get({ id: task.id })).toMatchObject({ id: task.id, status: { state: 'working' } });
    open();
    const [, runId] = task.id.split(':');
    await server.client.runs.join(task.contextId, runId);
    expect(await get({ id: runId, contextId: task.contextId })).toMatchObject({
      id: task.id,
      status: { state: 'completed' },
      artifacts: [{ parts: [{ data: { log: ['a', 'b', 'c'] } }] }],
    });
  });

  it('can be stopped, once', async () => {
    const { task, agent } = await atGate();
    expect((await rpc(agent, 'tasks/cancel', { id: task.id })).result).toMatchObject({
      id: task.id,
      status: { state: 'canceled' },
    });
    expect((await rpc(agent, 'tasks/cancel', { id: task.id })).error).toMatchObject({ code: -32_002 });
  });

  it.each([uuidv7(), `${uuidv7()}:${uuidv7()}`, 'nonsense', '::'])('that is not there is not found: %s', async (id) => {
    for (const method of ['tasks/get', 'tasks/cancel']) {
      expect((await rpc('line', method, { id })).error).toMatchObject({ code: -32_001 });
    }
    expect((await rpc('line', 'tasks/get', { id, contextId: uuidv7() })).error).toMatchObject({ code: -32_001 });
  });

  it('can be watched', async () => {
    const stream = async (agent: string, sent: Sent) => {
      const body = { jsonrpc: '2.0', id: 1, method: 'message/stream', params: { message: messageOf(sent) } };
      const { text, headers } = await call(`${server.url}/a2a/${agent}`, 'POST', body);
      expect(headers.get('content-type')).toContain('text/event-stream');
      return [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data ?? '').result);
    };
    const spoken = await stream('chat', { text: 'hello' });
    expect(spoken.map(({ kind }) => kind)).toEqual([
      'task',
      'status-update',
      ...Array.from('one two', () => 'status-update'),
      'artifact-update',
      'status-update',
    ]);
    expect(spoken.map(({ status }) => status?.message?.parts[0].text ?? '').join('')).toBe('one two');
    expect(spoken.at(-2)).toMatchObject({ artifact: { parts: [{ text: 'one two' }] }, lastChunk: true });
    expect(spoken.at(-1)).toMatchObject({ status: { state: 'completed' }, final: true });

    const asked = await stream('asking', { data: { log: [] } });
    expect(asked.at(-1)).toMatchObject({ kind: 'status-update', status: { state: 'input-required' }, final: true });
    const { taskId, contextId } = asked.at(-1);
    const answered = await stream('asking', { text: 'yes', taskId, contextId });
    expect(answered.at(-2)).toMatchObject({ taskId, artifact: { parts: [{ data: { log: ['answer: "yes"'] } }] } });
  });
});

describe('a request', () => {
  it.each([
    ['is no JSON-RPC', { hello: 1 }, -32_600],
    ['is of another version', { jsonrpc: '1.0', id: 1, method: 'tasks/get' }, -32_600],
    ['names an unknown method', { jsonrpc: '2.0', id: 1, method: 'tasks/resubscribe' }, -32_601],
    ['has no message', { jsonrpc: '2.0', id: 1, method: 'message/send', params: {} }, -32_602],
    [
      'has parts of another kind',
      {
        jsonrpc: '2.0',
        id: 1,
        method: 'message/send',
        params: { message: { ...messageOf({}), parts: [{ kind: 'file' }] } },
      },
      -32_602,
    ],
    [
      'has a context that is no id',
      { jsonrpc: '2.0', id: 1, method: 'message/send', params: { message: messageOf({ text: 'x', contextId: 'c' }) } },
      -32_602,
    ],
  ])('that %s is refused', async (_what, body, code) => {
    const { status, json } = await call(`${server.url}/a2a/line`, 'POST', body);
    expect(status).toBe(200);
    expect(json).toMatchObject({ error: { code, message: expect.any(String) } });
  });

  it('to nobody is not found', async () => {
    expect(await call(`${server.url}/a2a/nobody`, 'POST', {})).toMatchObject({ status: 404 });
  });
});
