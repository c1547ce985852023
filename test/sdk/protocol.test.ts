import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import { call, collect } from './fixtures/call.ts';
import { gate } from './fixtures/gates.ts';
import { ALL_CHANNELS, command, isEnd, PROTOCOL_GRAPHS, readEvents, run, type WireEvent } from './fixtures/protocol.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await testServer({ graphs: PROTOCOL_GRAPHS });
});
afterAll(() => server.stop());

const input = { log: [] };
const line = { assistant_id: 'line', input };

/** What there is of a thread, up to the end of its n-th run. */
function toEnd(threadId: string, body: object = {}, runs = 1): Promise<WireEvent[]> {
  let ended = 0;
  return readEvents(server.url, threadId, body, (event) => isEnd(event) && ++ended === runs);
}

const start = (threadId: string, params: object) => command(server.url, threadId, 'run.start', params);
const finish = (threadId: string, params: object) => run(server.client, server.url, threadId, params);
const named = (events: WireEvent[]) =>
  events.map(({ method, params }) => `${method} ${params.data.event ?? ''}`.trim());

async function questions(threadId: string): Promise<string[]> {
  const { interrupts } = await server.client.threads.get(threadId);
  return Object.values(interrupts).flatMap((list) => list.map(({ id }) => id ?? ''));
}

describe('the events of a thread', () => {
  it('tell of a run from its begin to its end', async () => {
    const threadId = uuidv7();
    const answer = await start(threadId, line);
    expect(answer).toMatchObject({
      status: 200,
      type: 'success',
      id: 7,
      result: { run_id: expect.any(String) },
      meta: { thread_id: threadId, applied_through_seq: 0 },
    });
    const events = await toEnd(threadId);
    const step = ['tasks', 'updates', 'tasks', 'checkpoints', 'values'];
    expect(named(events)).toEqual([
      'lifecycle running',
      'checkpoints',
      'values',
      ...step,
      ...step,
      ...step,
      'lifecycle completed',
    ]);
    expect(events.at(-2)?.params.data).toEqual({ log: ['a', 'b', 'c'] });
    expect(events[4]?.params).toMatchObject({ node: 'a', namespace: [], data: { node: 'a', values: { log: ['a'] } } });
    expect(events[1]?.params.data).toEqual({
      id: expect.any(String),
      parent_id: expect.any(String),
      step: 0,
      source: 'loop',
    });
    expect(events[0]).toMatchObject({
      event_id: `synth:${answer.result.run_id}:1`,
      params: { data: { graph_name: 'line' } },
    });
    expect(await server.client.threads.get(threadId)).toMatchObject({ status: 'idle' });
  });

  it('have tokens as blocks of content, and the places of subgraphs', async () => {
    const chat = uuidv7();
    await start(chat, { assistant_id: 'chat', input: { messages: [{ role: 'user', content: 'hi' }] } });
    const messages = (await toEnd(chat)).filter(({ method }) => method === 'messages');
    expect(messages.map(({ params }) => params.data.event)).toEqual([
      'message-start',
      'content-block-start',
      ...Array(7).fill('content-block-delta'),
      'content-block-finish',
      'message-finish',
    ]);
    expect(messages[0]?.params).toMatchObject({ node: 'reply', namespace: [expect.stringMatching(/^reply:/)] });
    const parent = uuidv7();
    await start(parent, { assistant_id: 'parent', input });
    const events = await toEnd(parent);
    const child = [expect.stringMatching(/^child:/)];
    expect(events.filter(({ method, params }) => method === 'lifecycle' && params.namespace.length > 0)).toMatchObject([
      { params: { namespace: child, data: { event: 'started', graph_name: 'child' } } },
      { params: { namespace: child, data: { event: 'completed', graph_name: 'child' } } },
    ]);
    expect(events.find(({ method }) => method === 'custom')?.params.data).toEqual({ payload: { progress: 1 } });
  });

  it('have what tools do, and what the graph’s own transformers make of it', async () => {
    const tooling = uuidv7();
    await start(tooling, { assistant_id: 'tooling', input });
    const tools = (await toEnd(tooling, { channels: ['tools', 'lifecycle'] })).filter(
      ({ method }) => method === 'tools',
    );
    expect(tools.map(({ params }) => params.data)).toMatchObject([
      { event: 'tool-started', tool_call_id: 'call-1', tool_name: 'double' },
      { event: 'tool-finished', tool_call_id: 'call-1', output: { content: '42', type: 'tool' } },
    ]);
    const counting = uuidv7();
    await start(counting, { assistant_id: 'counting', input });
    const events = await toEnd(counting, { channels: ['custom:counts', 'custom:total', 'lifecycle'] });
    expect(events.filter(({ method }) => method === 'custom').map(({ params }) => params.data)).toEqual([
      { name: 'counts', payload: 1 },
      { name: 'counts', payload: 2 },
      { name: 'total', payload: 2 },
    ]);
  });

  it('end with why a run failed', async () => {
    const threadId = uuidv7();
    await start(threadId, { assistant_id: 'failing', input });
    expect((await toEnd(threadId)).at(-1)?.params.data).toEqual({
      event: 'failed',
      graph_name: 'failing',
      error: 'too far',
    });
  });

  it('are those that were asked for', async () => {
    const threadId = uuidv7();
    await finish(threadId, { assistant_id: 'parent', input });
    const all = await toEnd(threadId);
    const atRoot = await toEnd(threadId, { namespaces: [[]], depth: 0 });
    expect(atRoot).toEqual(all.filter(({ params }) => params.namespace.length === 0));
    const inChild = await readEvents(
      server.url,
      threadId,
      { channels: ['values', 'lifecycle'], namespaces: [['child']] },
      ({ params }) => params.data.event === 'completed',
    );
    expect(inChild.length).toBeGreaterThan(2);
    expect(new Set(inChild.map(({ params }) => params.namespace[0]?.split(':')[0]))).toEqual(new Set(['child']));
    const since = all[10]?.seq ?? 0;
    expect(await toEnd(threadId, { since })).toEqual(all.slice(11));
    const refused = await call(`${server.url}/threads/${threadId}/stream/events`, 'POST', { channels: [] });
    expect(refused.status).toBe(422);
  });

  it('come for a thread that does not exist yet, with the headers at once, over all of its runs', async () => {
    const threadId = uuidv7();
    const controller = new AbortController();
    const response = await fetch(`${server.url}/threads/${threadId}/stream/events`, {
      method: 'POST',
      body: JSON.stringify({ channels: ALL_CHANNELS }),
      signal: controller.signal,
    });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    controller.abort();
    const events = toEnd(threadId, {}, 2);
    const first = await finish(threadId, line);
    const second = await finish(threadId, line);
    const seen = await events;
    expect(seen.filter(isEnd)).toHaveLength(2);
    expect(seen.filter(({ params }) => params.data.event === 'running').map(({ event_id }) => event_id)).toEqual([
      `synth:${first}:1`,
      `synth:${second}:1`,
    ]);
    expect(seen.map(({ seq }) => seq)).toEqual([...new Set(seen.map(({ seq }) => seq))].sort((a, b) => a - b));
    expect(new Set(seen.map(({ event_id }) => event_id)).size).toBe(seen.length);
  });

  it('are the same again for whoever comes back, also to another server', async () => {
    const threadId = uuidv7();
    const name = uuidv7();
    await start(threadId, { ...line, config: { configurable: { gate: name } } });
    await gate(name).reached;
    const seen = await readEvents(server.url, threadId, {}, ({ params }) => params.node === 'a');
    const other = await server.restart();
    const whole = readEvents(other.url, threadId, {}, isEnd);
    gate(name).open();
    const events = await whole;
    expect(events.slice(0, seen.length)).toEqual(seen);
    expect(await toEnd(threadId)).toEqual(events);
    await other.baton.stop();
    const next = await server.restart();
    expect(await readEvents(next.url, threadId, {}, isEnd)).toEqual(events);
    await next.baton.stop();
  });

  it('have the runs of the other API, as far as their streams tell of it', async () => {
    const { client } = server;
    const { thread_id } = await client.threads.create();
    await collect(client.runs.stream(thread_id, 'asking', { input, streamMode: ['values', 'updates'] }));
    await collect(client.runs.stream(thread_id, 'asking', { command: { resume: 'yes' }, streamMode: 'updates' }));
    const events = await toEnd(thread_id, {}, 2);
    expect(named(events)).toEqual([
      'lifecycle running',
      'values',
      'input.requested',
      'lifecycle interrupted',
      'lifecycle running',
      'updates',
      'lifecycle completed',
    ]);
  });

  it('can be joined as a stream of modes', async () => {
    const threadId = uuidv7();
    const runId = await finish(threadId, { assistant_id: 'parent', input });
    const { client } = server;
    const updates = await collect(client.runs.joinStream(threadId, runId, { streamMode: ['updates', 'custom'] }));
    expect(updates.filter(({ event }) => !event.includes('|')).map(({ event, data }) => [event, data])).toEqual([
      ['metadata', { run_id: runId, attempt: 1 }],
      ['updates', { child: { log: ['inside', 'deeper'] } }],
      ['custom', { progress: 1 }],
      ['updates', { tell: { log: ['told'] } }],
    ]);
    expect(await client.runs.join(threadId, runId)).toEqual({ log: ['inside', 'deeper', 'told'] });
  });

  it('tell of a run that is stopped, in the middle of a message, too', async () => {
    const threadId = uuidv7();
    const name = uuidv7();
    const { result } = await start(threadId, {
      assistant_id: 'slowChat',
      input: { messages: [{ role: 'user', content: name }] },
    });
    await gate(name).reached;
    await server.client.runs.cancel(threadId, result.run_id, true);
    const events = await toEnd(threadId);
    expect(events.at(-1)?.params.data).toMatchObject({ event: 'interrupted' });
    // The state has no question: what comes next is no answer.
    gate(`${name} again`).open();
    await finish(threadId, {
      assistant_id: 'slowChat',
      input: { messages: [{ role: 'user', content: `${name} again` }] },
    });
    const { values } = await server.client.threads.getState<{ messages: { content: unknown }[] }>(threadId);
    expect(values.messages.map(({ content }) => content).slice(0, 2)).toEqual([name, `${name} again`]);
  });

  it('tell whoever watches of a run that is undone, and forget it', async () => {
    const threadId = uuidv7();
    const name = uuidv7();
    await finish(threadId, line);
    const { result } = await start(threadId, { ...line, config: { configurable: { gate: name } } });
    await gate(name).reached;
    let sawIt: () => void = () => {};
    const seen = new Promise<void>((resolve) => {
      sawIt = resolve;
    });
    const watched = readEvents(server.url, threadId, {}, (event) => {
      if (event.event_id.includes(result.run_id)) sawIt();
      return isEnd(event) && event.event_id.includes(result.run_id);
    });
    await seen;
    await server.client.runs.cancel(threadId, result.run_id, false, 'rollback');
    expect((await watched).at(-1)).toMatchObject({
      event_id: expect.stringContaining(result.run_id),
      params: { data: { event: 'interrupted' } },
    });
    // The thread keeps what its latest run was configured with, undone or not.
    gate(name).open();
    const third = await finish(threadId, line);
    const events = await toEnd(threadId, {}, 2);
    expect(JSON.stringify(events)).not.toContain(result.run_id);
    expect(events.at(-1)?.event_id).toContain(third);
  });

  it('tell of a run that is dropped before it began', async () => {
    const threadId = uuidv7();
    const name = uuidv7();
    await start(threadId, { ...line, config: { configurable: { gate: name } } });
    await gate(name).reached;
    const waiting = await start(threadId, line);
    await server.client.runs.cancel(threadId, waiting.result.run_id);
    gate(name).open();
    const events = await toEnd(threadId, {}, 2);
    expect(events.at(-1)).toMatchObject({
      event_id: `synth:${waiting.result.run_id}:1`,
      params: { data: { event: 'interrupted' } },
    });
  });

  it('end when the thread is deleted', async () => {
    const threadId = uuidv7();
    await finish(threadId, line);
    let read = 0;
    let sawMost = () => {};
    const mostRead = new Promise<void>((resolve) => {
      sawMost = resolve;
    });
    const all = readEvents(server.url, threadId, {}, () => {
      if (++read === 11) sawMost();
      return false;
    });
    await mostRead;
    await server.client.threads.delete(threadId);
    expect((await all).length).toBeGreaterThan(10);
  });
});

describe('an answer', () => {
  it('goes to the question that it names, and all clients learn of it', async () => {
    const threadId = uuidv7();
    await finish(threadId, { assistant_id: 'asking', input });
    const [id = ''] = await questions(threadId);
    const asked = (await toEnd(threadId)).find(({ method }) => method === 'input.requested');
    expect(asked?.params).toMatchObject({ namespace: [], data: { interrupt_id: id, payload: { question: 'go on?' } } });
    const answer = await command(server.url, threadId, 'input.respond', {
      namespace: [],
      interrupt_id: id,
      response: 'yes',
      metadata: { by: 'test' },
    });
    expect(answer).toMatchObject({ type: 'success', result: { run_id: expect.any(String) } });
    const events = await toEnd(threadId, {}, 2);
    expect(events.find(({ method }) => method === 'input.answered')?.params.data).toEqual({ interrupt_ids: [id] });
    expect(await server.client.threads.getState(threadId)).toMatchObject({
      values: { log: ['answer: "yes"'] },
      next: [],
    });
    expect((await server.client.runs.get(threadId, answer.result.run_id)).metadata).toMatchObject({ by: 'test' });
    const late = await command(server.url, threadId, 'input.respond', { interrupt_id: id, response: 'no' });
    expect(late).toMatchObject({ status: 200, type: 'error', error: 'invalid_argument' });
  });

  it('may answer several at once, and is refused for one that nobody asked', async () => {
    const threadId = uuidv7();
    await finish(threadId, { assistant_id: 'askingTwice', input });
    const ids = await questions(threadId);
    expect(ids).toHaveLength(2);
    const strange = await command(server.url, threadId, 'input.respond', {
      responses: [{ interrupt_id: '0'.repeat(32), response: 1 }],
    });
    expect(strange).toMatchObject({ type: 'error', error: 'no_such_interrupt' });
    const none = await command(server.url, uuidv7(), 'input.respond', { interrupt_id: ids[0], response: 1 });
    expect(none).toMatchObject({ type: 'error', error: 'no_such_run' });
    const { result } = await command(server.url, threadId, 'input.respond', {
      responses: ids.map((interrupt_id, index) => ({ interrupt_id, response: `answer ${index}` })),
    });
    const { log } = (await server.client.runs.join(threadId, result.run_id)) as { log: string[] };
    expect(log.toSorted()).toEqual(['end', 'left: answer 0', 'right: answer 1']);
  });

  it('may change the state and the way', async () => {
    const threadId = uuidv7();
    await finish(threadId, { assistant_id: 'asking', input });
    const [interrupt_id] = await questions(threadId);
    const { result } = await command(server.url, threadId, 'input.respond', {
      interrupt_id,
      response: 'yes',
      update: { log: ['updated'] },
      goto: { node: 'elsewhere', input: { note: 'there' } },
    });
    const { log } = (await server.client.runs.join(threadId, result.run_id)) as { log: string[] };
    expect(log).toEqual(expect.arrayContaining(['updated', 'answer: "yes"', 'elsewhere there']));
  });

  it('is what the input is while the thread waits for one', async () => {
    const threadId = uuidv7();
    await finish(threadId, { assistant_id: 'asking', input });
    await finish(threadId, { assistant_id: 'asking', input: 'plainly' });
    expect((await server.client.threads.getState(threadId)).values).toEqual({ log: ['answer: "plainly"'] });
  });
});

describe('a command', () => {
  it('reads the state, of subgraphs and of the past', async () => {
    const threadId = uuidv7();
    await finish(threadId, { assistant_id: 'parent', input, config: { configurable: { ask: true } } });
    const state = await command(server.url, threadId, 'state.get', { namespace: [], keys: ['log', 'none'] });
    expect(state.result).toEqual({ values: { log: [] }, checkpoint: { id: expect.any(String), ns: '' } });
    const events = await toEnd(threadId);
    const namespace = events.find(({ params }) => params.namespace.length === 1)?.params.namespace;
    const inner = await command(server.url, threadId, 'state.get', { namespace });
    expect(inner.result).toMatchObject({ values: { log: ['inside'] }, checkpoint: { ns: namespace?.[0] } });
    expect(await command(server.url, threadId, 'state.get', { namespace: ['nowhere:1'] })).toMatchObject({
      type: 'error',
      error: 'no_such_namespace',
    });
    const listed = await command(server.url, threadId, 'state.listCheckpoints', { limit: 1 });
    expect(listed.result.checkpoints).toEqual([
      { id: state.result.checkpoint.id, timestamp: expect.any(String), step: 0, metadata: expect.any(Object) },
    ]);
    expect(await command(server.url, uuidv7(), 'state.get', { namespace: [] })).toMatchObject({ error: 'no_such_run' });
  });

  it('forks the thread, by itself or as the place where a run starts', async () => {
    const threadId = uuidv7();
    await finish(threadId, line);
    const { result } = await command(server.url, threadId, 'state.listCheckpoints', { limit: 10 });
    const afterA = result.checkpoints.find(({ step }: { step: number }) => step === 1);
    const forked = await command(server.url, threadId, 'state.fork', { checkpoint_id: afterA.id });
    expect(forked.result).toEqual({ run_id: expect.any(String), thread_id: threadId });
    expect(await server.client.runs.join(threadId, forked.result.run_id)).toEqual({ log: ['a', 'b', 'c'] });
    await finish(threadId, {
      ...line,
      input: { log: ['new'] },
      config: { configurable: { checkpoint_id: afterA.id } },
    });
    expect((await server.client.threads.getState(threadId)).values).toEqual({ log: ['a', 'new', 'a', 'b', 'c'] });
    const nowhere = await command(server.url, threadId, 'state.fork', { checkpoint_id: uuidv7() });
    expect(nowhere).toMatchObject({ type: 'error', error: 'no_such_checkpoint' });
  });

  it('shows the tree of a run’s graphs', async () => {
    const threadId = uuidv7();
    const runId = await finish(threadId, { assistant_id: 'parent', input });
    await finish(threadId, line);
    const { result } = await command(server.url, threadId, 'agent.getTree', { run_id: runId });
    expect(result.tree).toEqual({
      namespace: [],
      status: 'completed',
      graph_name: 'parent',
      children: [{ namespace: [expect.stringMatching(/^child:/)], status: 'completed', graph_name: 'child' }],
    });
    const latest = await command(server.url, threadId, 'agent.getTree');
    expect(latest.result.tree).toEqual({ namespace: [], status: 'completed', graph_name: 'line' });
    expect(await command(server.url, uuidv7(), 'agent.getTree')).toMatchObject({ error: 'no_such_run' });
  });

  it('says how far the events were before it', async () => {
    const threadId = uuidv7();
    await finish(threadId, line);
    const last = (await toEnd(threadId)).at(-1)?.seq ?? 0;
    const name = uuidv7();
    const second = await start(threadId, { ...line, config: { configurable: { gate: name } } });
    expect(second.meta.applied_through_seq).toBeGreaterThanOrEqual(last);
    const begun = await readEvents(server.url, threadId, { since: last }, ({ params }) => params.node === 'a');
    expect(begun[0]?.seq).toBeGreaterThan(second.meta.applied_through_seq);
    await gate(name).reached;
    const during = await start(threadId, line);
    gate(name).open();
    const events = await toEnd(threadId, {}, 3);
    const third = events.find(({ event_id }) => event_id === `synth:${during.result.run_id}:1`);
    expect(during.meta.applied_through_seq).toBeLessThan(third?.seq ?? 0);
    expect(during.meta.applied_through_seq).toBeGreaterThanOrEqual(begun.at(-1)?.seq ?? Infinity);
  });

  it.each<[why: string, body: object, error: string]>([
    ['has no id', { method: 'run.start' }, 'invalid_argument'],
    ['has no method', { id: 7 }, 'invalid_argument'],
    ['nobody knows', { id: 7, method: 'run.dance' }, 'unknown_command'],
    ['names no assistant', { id: 7, method: 'run.start', params: { input: 1 } }, 'invalid_argument'],
    ['names a stranger', { id: 7, method: 'run.start', params: { assistant_id: 'nobody' } }, 'invalid_argument'],
    ['has the wrong type', { id: 7, method: 'state.get', params: { keys: 'all' } }, 'invalid_argument'],
    ['injects', { id: 7, method: 'input.inject', params: {} }, 'not_supported'],
    ['subscribes without a socket', { id: 7, method: 'subscription.subscribe', params: {} }, 'not_supported'],
  ])('that %s is refused in its own way', async (_why, body, error) => {
    const answer = await call(`${server.url}/threads/${uuidv7()}/commands`, 'POST', body);
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ type: 'error', error, message: expect.any(String) });
  });
});
