import { Command } from '@langchain/langgraph';
import { RemoteGraph } from '@langchain/langgraph/remote';
import { Client } from '@langchain/langgraph-sdk';
import express from 'express';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import { DEFAULT_CORS_RULES } from '../../src/http/cors.ts';
import { collect } from './fixtures/call.ts';
import { gate } from './fixtures/gates.ts';
import {
  ALL_CHANNELS,
  command,
  isEnd,
  PROTOCOL_GRAPHS,
  RawSocket,
  readEvents,
  run,
  webSocketFactory,
  type WireEvent,
} from './fixtures/protocol.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

let server: TestServer;
const ORIGIN = 'https://app.example';
beforeAll(async () => {
  const cors = { ...DEFAULT_CORS_RULES, origins: [ORIGIN] };
  server = await testServer({ graphs: PROTOCOL_GRAPHS, http: { cors } });
});
afterAll(() => server.stop());

const input = { log: [] };
const everything = { channels: ALL_CHANNELS };

describe.each(['sse', 'websocket'] as const)('the official client over %s', (transport) => {
  const stream = (assistantId: string, threadId = uuidv7()) =>
    server.client.threads.stream(threadId, { assistantId, transport, webSocketFactory, reconnectDelayMs: () => 0 });

  it('sees a run, and what it came to', async () => {
    const thread = stream('line');
    const subscribing = thread.subscribe('updates');
    await thread.run.start({ input });
    const updates = await collect(await subscribing);
    expect(updates.map(({ params }) => params.data.node)).toEqual(['a', 'b', 'c']);
    expect(await thread.output).toEqual({ log: ['a', 'b', 'c'] });
    await thread.close();
  });

  it('sees everything of a run that had ended before it came', async () => {
    const threadId = uuidv7();
    await run(server.client, server.url, threadId, { assistant_id: 'line', input });
    const thread = stream('line', threadId);
    const events = await collect(await thread.subscribe(ALL_CHANNELS as never));
    expect(events).toEqual(await readEvents(server.url, threadId, {}, isEnd));
    await thread.close();
  });

  it('reads messages as they are written, tool calls, and what transformers add', async () => {
    const chat = stream('chat');
    const texts = (async () => {
      const seen: string[] = [];
      for await (const message of chat.messages) seen.push(await message.text);
      return seen;
    })();
    await chat.run.start({ input: { messages: [{ role: 'user', content: 'hi' }] } });
    expect(await texts).toEqual(['one two']);
    await chat.close();
    const tooling = stream('tooling');
    const calls = collect(tooling.toolCalls);
    await tooling.run.start({ input });
    // The client yields a call when it begins and when it ends.
    expect(new Set((await calls).map(({ name, callId }) => `${name} ${callId}`))).toEqual(new Set(['double call-1']));
    expect(await (await calls)[0]?.output).toBe('42');
    await tooling.close();
    const counting = stream('counting');
    const { counts, total } = counting.extensions as Record<string, AsyncIterable<number> & PromiseLike<number>>;
    await counting.run.start({ input });
    expect(await collect(counts as AsyncIterable<number>)).toEqual([1, 2]);
    expect(await total).toBe(2);
    await counting.close();
  });

  it('answers questions, one after the other and both at once', async () => {
    const thread = stream('askingTwice');
    await thread.run.start({ input });
    await thread.output;
    expect(thread.interrupted).toBe(true);
    const asked = thread.interrupts.map(({ interruptId, namespace }) => ({ interrupt_id: interruptId, namespace }));
    expect(asked).toHaveLength(2);
    const [first, second] = asked;
    const ended = (n: number) => readEvents(server.url, thread.threadId, {}, endNumber(n));
    await thread.input.respond({ ...(first as { interrupt_id: string; namespace: string[] }), response: 1 });
    await ended(2);
    await thread.input.respond({
      responses: [{ ...(second as { interrupt_id: string; namespace: string[] }), response: 2 }],
    });
    await ended(3);
    const { values } = await thread.state.get({ namespace: [] });
    expect((values['log'] as string[]).toSorted()).toEqual(['end', 'left: 1', 'right: 2']);
    await expect(
      thread.input.respond({ interrupt_id: '0'.repeat(32), namespace: [], response: 1 }),
    ).rejects.toMatchObject({ code: 'invalid_argument' });
    await thread.close();
  });

  it('forks from a checkpoint, and reads the past and the tree', async () => {
    const thread = stream('line');
    await thread.run.start({ input });
    await thread.output;
    const { checkpoints } = await thread.state.listCheckpoints({});
    const afterB = checkpoints.find(({ step }) => step === 2)?.id ?? '';
    const fork = await thread.run.start({ input: null, forkFrom: afterB });
    expect(await server.client.runs.join(thread.threadId, fork.run_id ?? '')).toEqual({ log: ['a', 'b', 'c'] });
    const again = await thread.state.fork({ checkpoint_id: afterB });
    expect(again.thread_id).toBe(thread.threadId);
    await server.client.runs.join(thread.threadId, again.run_id);
    const { tree } = await thread.agent.getTree({ run_id: again.run_id });
    expect(tree).toMatchObject({ status: 'completed', graph_name: 'line' });
    await thread.close();
  });

  it('keeps what it watches over a restart of the server, without a gap or a duplicate', async () => {
    const name = uuidv7();
    const first = await server.restart();
    const port = Number(new URL(first.url).port);
    const client = new Client({ apiUrl: first.url, apiKey: null });
    const thread = client.threads.stream(uuidv7(), {
      assistantId: 'line',
      transport,
      webSocketFactory,
      reconnectDelayMs: () => 50,
      maxReconnectAttempts: 200,
    });
    await thread.run.start({ input, config: { configurable: { gate: name } } });
    const subscription = await thread.subscribe(ALL_CHANNELS as never);
    await gate(name).reached;
    await first.baton.stop();
    const second = await server.restart({ port });
    gate(name).open();
    const events = await collect(subscription);
    expect(events).toEqual(await readEvents(second.url, thread.threadId, {}, isEnd));
    await thread.close();
    await second.baton.stop();
  });
});

describe('a WebSocket', () => {
  it('answers a subscription before its events, which are all there were, in order', async () => {
    const threadId = uuidv7();
    await run(server.client, server.url, threadId, { assistant_id: 'line', input });
    const socket = await RawSocket.open(server.url, threadId);
    const answer = await socket.command('subscription.subscribe', everything);
    await socket.event(isEnd);
    const whole = await readEvents(server.url, threadId, {}, isEnd);
    expect(answer).toMatchObject({
      type: 'success',
      result: { subscription_id: expect.any(String), replayed_events: whole.length },
    });
    expect(socket.frames[0]).toEqual(answer);
    expect(socket.events).toEqual(whole);
    socket.close();
  });

  it('takes a subscription before there is a thread, and its run', async () => {
    const threadId = uuidv7();
    const socket = await RawSocket.open(server.url, threadId);
    await socket.command('subscription.subscribe', { channels: ['lifecycle'] });
    await socket.command('subscription.subscribe', { channels: ['values'], namespaces: [[]], depth: 0 });
    const started = await socket.command('run.start', { assistant_id: 'parent', input });
    expect(started).toMatchObject({ type: 'success', result: { run_id: expect.any(String) } });
    await socket.event(isEnd);
    const whole = await readEvents(server.url, threadId, {}, isEnd);
    const wanted = whole.filter(
      ({ method, params }) => method === 'lifecycle' || (method === 'values' && params.namespace.length === 0),
    );
    expect(socket.events).toEqual(wanted);
    socket.close();
  });

  it('has each event once for all subscriptions that were there, and the past for a new one', async () => {
    const threadId = uuidv7();
    const name = uuidv7();
    const socket = await RawSocket.open(server.url, threadId);
    const first = await socket.command('subscription.subscribe', { channels: ['values', 'lifecycle'] });
    await socket.command('run.start', { assistant_id: 'line', input, config: { configurable: { gate: name } } });
    await gate(name).reached;
    await socket.event(({ params }) => params.data.log?.length === 1);
    const before = socket.events.length;
    await socket.command('subscription.subscribe', { channels: ['values', 'updates'] });
    gate(name).open();
    await socket.event(isEnd);
    const after = socket.events.slice(before);
    // The new one's past, then what came for either.
    expect(after.map(({ seq }) => seq)).toEqual(after.map(({ seq }) => seq).toSorted((a, b) => a - b));
    expect(after.filter(({ method }) => method === 'updates')).toHaveLength(3);
    expect(after.filter(({ method }) => method === 'values')).toHaveLength(4);
    expect(after.filter(({ method }) => method === 'lifecycle')).toHaveLength(1);
    const { subscription_id } = first['result'] as { subscription_id: string };
    expect(await socket.command('subscription.unsubscribe', { subscription_id })).toMatchObject({ type: 'success' });
    expect(await socket.command('subscription.unsubscribe', { subscription_id })).toMatchObject({
      type: 'error',
      error: 'no_such_subscription',
    });
    socket.close();
  });

  it('answers what is no command, and goes on', async () => {
    const socket = await RawSocket.open(server.url, uuidv7());
    socket.sendText('no { json');
    expect(await socket.frame(({ type }) => type === 'error')).toMatchObject({ id: null, error: 'invalid_argument' });
    expect(await socket.command('subscription.subscribe', { channels: ['dance'] })).toMatchObject({
      error: 'invalid_argument',
    });
    expect(await socket.command('subscription.reconnect')).toMatchObject({ error: 'not_supported' });
    expect(await socket.command('agent.getTree')).toMatchObject({ error: 'no_such_run' });
    socket.close();
  });

  it('ends with the thread, saying so, and with the server, to be opened again', async () => {
    const threadId = uuidv7();
    await run(server.client, server.url, threadId, { assistant_id: 'line', input });
    const socket = await RawSocket.open(server.url, threadId);
    await socket.command('subscription.subscribe', everything);
    await socket.event(isEnd);
    await server.client.threads.delete(threadId);
    expect(await socket.closed).toBe(4404);
    const other = await server.restart();
    const second = await RawSocket.open(other.url, uuidv7());
    await other.baton.stop();
    expect(await second.closed).toBeLessThan(4000);
  });

  it('is for pages of the origins that may call, and for threads only', async () => {
    const threadId = uuidv7();
    const allowed = await RawSocket.open(server.url, threadId, { origin: ORIGIN });
    allowed.close();
    await expect(RawSocket.open(server.url, threadId, { origin: 'https://evil.example' })).rejects.toThrow(
      'refused: 403',
    );
    await expect(RawSocket.open(server.url, 'no-uuid')).rejects.toThrow('refused: 422');
    await expect(RawSocket.open(`${server.url}/elsewhere`, threadId)).rejects.toThrow('refused: 404');
  });

  it('works below the prefix of an app around, which asks for it', async () => {
    const host = createServer(express().use('/agents', server.baton.router));
    host.on('upgrade', (request, socket, head) => {
      if (!server.baton.upgrade(request, socket, head, { prefix: '/agents' })) socket.destroy();
    });
    host.listen(0, '127.0.0.1');
    await once(host, 'listening');
    const apiUrl = `http://127.0.0.1:${(host.address() as AddressInfo).port}/agents`;
    const client = new Client({ apiUrl, apiKey: null });
    const thread = client.threads.stream(uuidv7(), { assistantId: 'line', transport: 'websocket', webSocketFactory });
    await thread.run.start({ input });
    expect(await thread.output).toEqual({ log: ['a', 'b', 'c'] });
    await thread.close();
    host.close();
    host.closeAllConnections();
  });
});

describe('RemoteGraph', () => {
  const remote = (graphId: string) => new RemoteGraph({ graphId, url: server.url });

  it('streams the events of a run as a graph of its own would', async () => {
    const stream = await remote('parent').streamEvents({ log: [] }, { version: 'v3' });
    const methods = new Set<string>();
    for await (const { method } of stream) methods.add(method);
    expect([...methods].sort()).toEqual(['checkpoints', 'custom', 'lifecycle', 'tasks', 'updates', 'values']);
    expect(await stream.output).toEqual({ log: ['inside', 'deeper', 'told'] });
  });

  it('goes on with a Command', async () => {
    const thread_id = uuidv7();
    const config = { version: 'v3' as const, configurable: { thread_id } };
    const asked = await remote('asking').streamEvents({ log: [] }, config);
    await asked.output;
    expect(asked.interrupts).toMatchObject([{ payload: { question: 'go on?' } }]);
    await remote('asking').streamEvents(new Command({ resume: 'yes' }), config);
    await readEvents(server.url, thread_id, {}, endNumber(2));
    expect((await command(server.url, thread_id, 'state.get')).result.values).toEqual({ log: ['answer: "yes"'] });
  });
});

function endNumber(n: number): (event: WireEvent) => boolean {
  let ended = 0;
  return (event) => isEnd(event) && ++ended === n;
}
