import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import { call, collect } from './fixtures/call.ts';
import { gate } from './fixtures/gates.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

const input = { log: [] };

interface Seen {
  id?: string | undefined;
  event: string;
  data: Record<string, unknown>;
}

/** Reads a thread's stream with the official client until `enough` says so. */
async function join(threadId: string, options: object, enough: (event: Seen) => boolean): Promise<Seen[]> {
  const seen: Seen[] = [];
  for await (const event of server.client.threads.joinStream(threadId, options)) {
    seen.push(event);
    if (enough(event)) break;
  }
  return seen;
}

function ends(n: number): (event: Seen) => boolean {
  let ended = 0;
  return ({ data }) => data['status'] === 'run_done' && ++ended === n;
}

async function twoRuns(): Promise<{ threadId: string; runs: string[] }> {
  const threadId = uuidv7();
  const runs: string[] = [];
  for (const streamMode of ['updates', 'values'] as const) {
    const run = await server.client.runs.create(threadId, 'line', { input, streamMode, ifNotExists: 'create' });
    await server.client.runs.join(threadId, run.run_id);
    runs.push(run.run_id);
  }
  return { threadId, runs };
}

describe('the stream of a thread', () => {
  it('has the events of all runs, and the end of each', async () => {
    const { threadId, runs } = await twoRuns();
    const all = await join(threadId, { lastEventId: '-' }, ends(2));
    expect(all.map(({ event }) => event)).toEqual([
      'metadata',
      'updates',
      'updates',
      'updates',
      'metadata',
      'metadata',
      'values',
      'values',
      'values',
      'values',
      'metadata',
    ]);
    expect(all[0]?.data).toEqual({ run_id: runs[0], attempt: 1 });
    expect(all[4]?.data).toEqual({ status: 'run_done', run_id: runs[0] });
    expect(all.at(-1)?.data).toEqual({ status: 'run_done', run_id: runs[1] });
    // From any event on, also from the end of a run.
    for (const index of [0, 3, 4, 5]) {
      const lastEventId = all[index]?.id;
      expect(await join(threadId, { lastEventId }, ends(index < 4 ? 2 : 1))).toEqual(all.slice(index + 1));
    }
    expect(await join(threadId, { lastEventId: '-', streamMode: 'lifecycle' }, ends(2))).toEqual(
      all.filter(({ event }) => event === 'metadata'),
    );
  });

  it('begins with what comes, and stays open over runs', async () => {
    const { threadId } = await twoRuns();
    const name = uuidv7();
    const controller = new AbortController();
    const answer = await fetch(`${server.url}/threads/${threadId}/stream`, { signal: controller.signal });
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    const run = await server.client.runs.create(threadId, 'line', { input, config: { configurable: { gate: name } } });
    await gate(name).reached;
    const live = join(threadId, { lastEventId: '-' }, ends(4));
    gate(name).open();
    const next = await server.client.runs.create(threadId, 'line', { input });
    const all = await live;
    let text = '';
    while (text.split('run_done').length < 3) text += (await reader?.read())?.value ?? '';
    controller.abort();
    expect(text).toContain(run.run_id);
    expect(text.indexOf('event: metadata')).toBe(0);
    expect(text.indexOf(next.run_id)).toBeGreaterThan(text.lastIndexOf(run.run_id));
    const ids = [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id);
    expect(ids).toEqual(all.slice(-ids.length).map(({ id }) => id));
  });

  it('has changes of the state by hand for whoever wants them', async () => {
    const { threadId } = await twoRuns();
    const { client } = server;
    await client.threads.updateState(threadId, { values: { log: ['by hand'] }, asNode: 'b' });
    const streamMode = ['state_update', 'lifecycle'];
    const events = await join(threadId, { lastEventId: '-', streamMode }, ({ event }) => event === 'state_update');
    expect(events.map(({ event }) => event)).toEqual(['metadata', 'metadata', 'metadata', 'metadata', 'state_update']);
    const change = events.at(-1);
    expect(change?.data).toMatchObject({
      thread_id: threadId,
      state: { values: { log: expect.arrayContaining(['by hand']) }, next: ['c'] },
    });
    // Whoever has seen the change gets what follows it.
    await client.runs.wait(threadId, 'line', { input: null });
    const after = await join(threadId, { lastEventId: change?.id }, ends(1));
    expect(after[0]).toMatchObject({ event: 'metadata', data: { attempt: 1 } });
  });

  it('is refused for a thread that is not there, and for what is no mode', async () => {
    expect((await call(`${server.url}/threads/${uuidv7()}/stream`, 'GET')).status).toBe(404);
    const { thread_id } = await server.client.threads.create();
    expect((await call(`${server.url}/threads/${thread_id}/stream?stream_modes=dance`, 'GET')).status).toBe(422);
  });
});

it('joins a run by its id alone', async () => {
  const { client, url } = server;
  const stateless = await collect(client.runs.stream(null, 'line', { input, streamMode: 'updates' }));
  const [metadata] = stateless.map(({ data }) => data as unknown as { run_id: string });
  const again = await call(`${url}/runs/${metadata?.run_id}/stream`, 'GET', undefined, { 'last-event-id': '1' });
  expect(again.headers.get('content-type')).toBe('text/event-stream');
  expect([...again.text.matchAll(/^event: (.*)$/gm)].map(([, name]) => name)).toEqual(['updates', 'updates']);
});
