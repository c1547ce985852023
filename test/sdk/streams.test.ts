import { Client } from '@langchain/langgraph-sdk';
import { createServer, request, type ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import { collect } from './fixtures/call.ts';
import { gate } from './fixtures/gates.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

const input = { log: [] };

async function newThread(): Promise<string> {
  return (await server.client.threads.create()).thread_id;
}

describe('the stream of a run', () => {
  it('has the values and updates of each step, numbered', async () => {
    const { client } = server;
    const events = await collect(
      client.runs.stream(await newThread(), 'line', { input, streamMode: ['values', 'updates'] }),
    );
    expect(events.map(({ id, event }) => `${id} ${event}`)).toEqual([
      '0 metadata',
      '1 values',
      '2 updates',
      '3 values',
      '4 updates',
      '5 values',
      '6 updates',
      '7 values',
    ]);
    expect(events[2]?.data).toEqual({ a: { log: ['a'] } });
    expect(events[7]?.data).toEqual({ log: ['a', 'b', 'c'] });
  });

  it('has message tokens, flat, in both ways', async () => {
    const { client } = server;
    const chat = { messages: [{ role: 'user', content: 'hi' }] };
    const stream = client.runs.stream(await newThread(), 'chat', {
      input: chat,
      streamMode: ['messages-tuple', 'values'],
    });
    const events = await collect(stream);
    const tokens = events.filter((event) => event.event === 'messages').map((event) => event.data as never);
    expect(tokens.map(([chunk]: { content: string }[]) => chunk?.content).join('')).toContain('one two');
    expect(tokens[0]).toEqual([
      expect.objectContaining({ type: expect.stringMatching(/^AIMessageChunk|ai$/), id: expect.any(String) }),
      expect.objectContaining({ langgraph_node: 'reply' }),
    ]);
    expect(events.at(-1)?.data).toMatchObject({
      messages: [
        { type: 'human', content: 'hi' },
        { type: 'ai', content: 'one two' },
      ],
    });
    const older = await collect(client.runs.stream(await newThread(), 'chat', { input: chat, streamMode: 'messages' }));
    const names = new Set(older.map((event) => event.event));
    expect(names).toEqual(new Set(['metadata', 'messages/metadata', 'messages/partial', 'messages/complete']));
  });

  it('has what a node tells, tasks, checkpoints, debug and events', async () => {
    const { client } = server;
    const streamMode = ['custom', 'tasks', 'checkpoints', 'debug', 'events'] as const;
    const events = await collect(
      client.runs.stream(await newThread(), 'parent', { input, streamMode: [...streamMode] }),
    );
    const names = new Set(events.map((event) => event.event));
    expect([...names].sort()).toEqual(['checkpoints', 'custom', 'debug', 'events', 'metadata', 'tasks']);
    expect(events.find((event) => event.event === 'custom')?.data).toEqual({ progress: 1 });
    expect(JSON.stringify(events)).not.toContain('fencing');
  });

  it('names the subgraph that an event comes from', async () => {
    const { client } = server;
    const stream = client.runs.stream(await newThread(), 'parent', {
      input,
      streamMode: 'updates',
      streamSubgraphs: true,
    });
    const names = (await collect(stream)).map((event) => event.event);
    expect(names[1]).toMatch(/^updates\|child:[0-9a-f-]{36}$/);
    expect(names.slice(-2)).toEqual(['updates', 'updates']);
  });

  it('ends with the error of a run that fails', async () => {
    const { client } = server;
    const events = await collect(client.runs.stream(await newThread(), 'failing', { input }));
    expect(events.at(-1)).toMatchObject({ event: 'error', data: { error: 'RangeError', message: 'too far' } });
  });

  it('shows its headers before anything has happened, and a thread at rest after its end', async () => {
    const { client } = server;
    const threadId = await newThread();
    const name = uuidv7();
    const body = JSON.stringify({
      assistant_id: 'line',
      input,
      config: { configurable: { gate: name } },
      after_seconds: 0.05,
    });
    const response = await fetch(`${server.url}/threads/${threadId}/runs/stream`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'text/plain' },
    });
    const [run] = await client.runs.list(threadId);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(response.headers.get('content-location')).toBe(`/threads/${threadId}/runs/${run?.run_id}`);
    expect(response.headers.get('location')).toBe(`/threads/${threadId}/runs/${run?.run_id}/stream`);
    gate(name).open();
    const text = await response.text();
    expect(await client.threads.get(threadId)).toMatchObject({ status: 'idle' });
    expect(text).toMatch(/^event: metadata\ndata: \{.*\}\nid: 0\n\n/);
    expect(text).not.toContain('__end__');
  });
});

describe('joining a run', () => {
  it('replays it from the start, from anywhere, or its chosen modes', async () => {
    const { client } = server;
    const threadId = await newThread();
    const run = await client.runs.create(threadId, 'line', { input, streamMode: ['values', 'updates'] });
    const all = await collect(client.runs.joinStream(threadId, run.run_id));
    expect(all).toHaveLength(8);
    for (const lastEventId of ['-1', '-']) {
      expect(await collect(client.runs.joinStream(threadId, run.run_id, { lastEventId }))).toEqual(all);
    }
    expect(await collect(client.runs.joinStream(threadId, run.run_id, { lastEventId: '4' }))).toEqual(all.slice(5));
    for (const lastEventId of ['7', '99']) {
      expect(await collect(client.runs.joinStream(threadId, run.run_id, { lastEventId }))).toEqual([]);
    }
    const shown = { lastEventId: '-1', checkpointId: uuidv7() }; // as `useStream` comes back
    expect(await collect(client.runs.joinStream(threadId, run.run_id, shown))).toEqual(all);
    const updates = await collect(client.runs.joinStream(threadId, run.run_id, { streamMode: ['updates'] as never }));
    expect(updates).toEqual(all.filter((event) => event.event !== 'values'));
  });

  it('works for any number of readers at once, before and after its end', async () => {
    const { client } = server;
    const threadId = await newThread();
    const name = uuidv7();
    const run = await client.runs.create(threadId, 'line', { input, config: { configurable: { gate: name } } });
    await gate(name).reached;
    const readers = Array.from({ length: 5 }, () => collect(client.runs.joinStream(threadId, run.run_id)));
    const joined = client.runs.join(threadId, run.run_id);
    gate(name).open();
    const [first, ...others] = await Promise.all(readers);
    for (const other of others) expect(other).toEqual(first);
    expect(await joined).toEqual({ log: ['a', 'b', 'c'] });
    expect(await collect(client.runs.joinStream(threadId, run.run_id))).toEqual(first);
  });

  it('goes on by itself when the connection breaks in the middle, without a gap or a duplicate', async () => {
    const threadId = await newThread();
    const name = uuidv7();
    const breaking = await breakingProxy(server.url);
    const client = new Client({ apiUrl: breaking.url, apiKey: null });
    const seen: string[] = [];
    const stream = client.runs.stream(threadId, 'line', {
      input,
      streamMode: ['values', 'updates'],
      config: { configurable: { gate: name } },
    });
    for await (const event of stream) {
      seen.push(`${event.id} ${event.event}`);
      if (seen.length === 4) {
        breaking.breakAll();
        gate(name).open();
      }
    }
    expect(seen).toEqual([
      '0 metadata',
      '1 values',
      '2 updates',
      '3 values',
      '4 updates',
      '5 values',
      '6 updates',
      '7 values',
    ]);
    expect(breaking.breaks).toBeGreaterThan(0);
    await breaking.close();
  });
});

describe('a client that leaves', () => {
  it('stops the run only when it said so', async () => {
    const { client } = server;
    for (const onDisconnect of ['cancel', 'continue'] as const) {
      const threadId = await newThread();
      const name = uuidv7();
      const leave = new AbortController();
      const reading = collect(
        client.runs.stream(threadId, 'line', {
          input,
          onDisconnect,
          signal: leave.signal,
          config: { configurable: { gate: name } },
        }),
      ).catch(() => undefined);
      await gate(name).reached;
      const [run] = await client.runs.list(threadId);
      leave.abort();
      await reading;
      if (onDisconnect === 'continue') gate(name).open();
      await client.runs.join(threadId, String(run?.run_id));
      expect(await client.runs.get(threadId, String(run?.run_id))).toMatchObject({
        status: onDisconnect === 'cancel' ? 'interrupted' : 'success',
      });
    }
  });

  it('may also have waited for a result', async () => {
    const { client } = server;
    const threadId = await newThread();
    const name = uuidv7();
    const leave = new AbortController();
    const waiting = client.runs
      .wait(threadId, 'line', {
        input,
        onDisconnect: 'cancel',
        signal: leave.signal,
        config: { configurable: { gate: name } },
      })
      .catch(() => undefined);
    await gate(name).reached;
    const [run] = await client.runs.list(threadId);
    leave.abort();
    await waiting;
    await client.runs.join(threadId, String(run?.run_id));
    expect(await client.runs.get(threadId, String(run?.run_id))).toMatchObject({ status: 'interrupted' });
  });

  it('of a server that stops has not left by itself: the run goes on elsewhere', async () => {
    const other = await testServer({ worker: false });
    const { thread_id } = await other.client.threads.create();
    const run = await other.client.runs.create(thread_id, 'line', { input });
    let opened = () => {};
    const isOpen = new Promise<void>((resolve) => {
      opened = resolve;
    });
    const url = `${other.url}/threads/${thread_id}/runs/${run.run_id}/stream?cancel_on_disconnect=1`;
    const reading = fetch(url).then((response) => {
      opened();
      return response.text();
    });
    await isOpen;
    const outcome = reading.then(
      () => 'ended',
      () => 'broken',
    );
    await other.baton.stop();
    expect(await outcome).toBe('broken');
    const successor = await other.restart();
    expect(await successor.client.runs.get(thread_id, run.run_id)).toMatchObject({ status: 'pending' });
    await successor.stop();
  });
});

/** Passes requests on and can break every connection that is open. */
async function breakingProxy(target: string) {
  const open = new Set<ServerResponse>();
  let breaks = 0;
  const proxy = createServer((req, res) => {
    const passed = request(`${target}${req.url}`, { method: req.method, headers: req.headers }, (answer) => {
      open.add(res);
      res.on('close', () => {
        open.delete(res);
        passed.destroy();
      });
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      res.flushHeaders();
      answer.pipe(res);
    });
    passed.on('error', () => res.destroy());
    req.pipe(passed);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const address = proxy.address() as { port: number };
  return {
    url: `http://127.0.0.1:${address.port}`,
    get breaks() {
      return breaks;
    },
    breakAll() {
      for (const res of open) {
        breaks += 1;
        res.destroy();
      }
    },
    close: () => new Promise<void>((resolve) => proxy.close(() => resolve())),
  };
}
