import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@langchain/langgraph-sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBlobs, type OpenBlobs } from '../../src/blobs/open-blobs.ts';
import { WEBHOOK_DEFAULTS, webhookSettings } from '../../src/config/webhook-settings.ts';
import { plainCodec } from '../../src/core/codec.ts';
import { uuidv7 } from '../../src/core/ids.ts';
import { Database } from '../../src/database/database.ts';
import { call, type Answer } from '../sdk/fixtures/call.ts';
import { gate } from '../sdk/fixtures/gates.ts';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';
import { log } from '../state/stores.ts';
import { socketEar, sseEar } from './fixtures/ears.ts';
import { operationsOf, request, type Operation } from './fixtures/operations.ts';

const OPEN = ['GET /ok', 'GET /info'];
/** These need nobody's thing: what they answer is the same for everybody who is logged in. */
const COMMON = ['GET /openapi.json', 'GET /docs', 'GET /metrics'];
const RARELY = '0 0 1 1 *';
const SECRET = 'what only alice may know';

const alice = { authorization: 'Bearer alice' };
const bob = { authorization: 'Bearer bob' };

let server: TestServer;
let operations: Operation[];
let folder: string;
let database: Database;
let blobs: OpenBlobs | null;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'baton-tenants-'));
  const file = fileURLToPath(new URL('fixtures/auth.ts', import.meta.url));
  const set = { ...WEBHOOK_DEFAULTS, webhookAllowedNetworks: '127.0.0.0/8' };
  server = await testServer({
    stateUrl: 'memory:',
    auth: { project: { file, exportName: 'auth' } },
    settings: {
      webhooks: webhookSettings({ key: {}, disabled: false, set, env: {} }),
      blobs: { url: `disk:${folder}`, limitBytes: 65_536, credentials: {} },
    },
  });
  database = new Database({ url: server.config.databaseUrl ?? '', log, applicationName: 'test' });
  blobs = await openBlobs(server.config, database, plainCodec);
  operations = await operationsOf(server.url, alice);
});
afterAll(async () => {
  await database.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

function clientOf(headers: Record<string, string>): Client {
  return new Client({ apiUrl: server.url, apiKey: null, defaultHeaders: headers, callerOptions: { maxRetries: 0 } });
}

/** Things of one user: an assistant with two versions, a thread with a state and, with `gateName`, a run that is under way. */
async function thingsOf(headers: Record<string, string>, gateName?: string) {
  const client = clientOf(headers);
  const metadata = { secret: SECRET };
  const assistant = await client.assistants.create({ graphId: 'line', name: SECRET, metadata });
  await client.assistants.update(assistant.assistant_id, { metadata: { changed: true } });
  const { thread_id } = await client.threads.create({ metadata });
  const input = { log: [SECRET] };
  // Nobody is there: it is to be delivered for ever.
  const webhook = 'http://127.0.0.1:9/';
  await client.runs.wait(thread_id, assistant.assistant_id, { input, metadata, webhook });
  const told = await call(`${server.url}/webhooks/deliveries?thread_id=${thread_id}`, 'GET', undefined, headers);
  const { run_id } = await client.runs.create(thread_id, assistant.assistant_id, {
    input,
    ...(gateName !== undefined && { config: { configurable: { gate: gateName } } }),
  });
  if (gateName === undefined) await client.runs.join(thread_id, run_id);
  else await gate(gateName).reached;
  const { checkpoint } = await client.threads.getState(thread_id);
  const { cron_id } = await client.crons.createForThread(thread_id, assistant.assistant_id, {
    schedule: RARELY,
    metadata,
  });
  // As a node makes one.
  const about = { name: SECRET, type: 'text/plain' };
  const filed = await blobs?.files.put(thread_id, Buffer.from(SECRET + thread_id), about);
  const mark = { checkpoint_id: checkpoint.checkpoint_id, name: SECRET };
  const bookmark = await call(`${server.url}/threads/${thread_id}/bookmarks`, 'POST', mark, headers);
  return {
    bookmark_id: String(bookmark.json.bookmark_id),
    blob_id: filed?.blob_id ?? '',
    assistant_id: assistant.assistant_id,
    thread_id,
    run_id,
    checkpoint_id: checkpoint.checkpoint_id ?? '',
    delivery_id: String(told.json[0].delivery_id),
    cron_id,
  };
}
type Things = Awaited<ReturnType<typeof thingsOf>>;

/** Under whatever name an operation takes them. */
function valuesOf(things: Things): Record<string, unknown> {
  const { thread_id, run_id, assistant_id, checkpoint_id } = things;
  return {
    ...things,
    ids: [thread_id],
    thread_ids: [thread_id],
    run_ids: [run_id],
    namespace: 'child',
    graph_id: 'line',
    version: 1,
    checkpoint: { checkpoint_id },
    input: { log: [] },
    assistant_ids: [assistant_id],
    schedule: RARELY,
    timezone: 'UTC',
  };
}

function nothing(): Things {
  return {
    bookmark_id: uuidv7(),
    blob_id: uuidv7(),
    assistant_id: uuidv7(),
    thread_id: uuidv7(),
    run_id: uuidv7(),
    checkpoint_id: uuidv7(),
    cron_id: uuidv7(),
    delivery_id: uuidv7(),
  };
}

/** What can be told from an answer, whatever the ids are that it was asked about. */
function told({ status, text, headers }: Answer, things: Things) {
  const withoutIds = (all: string, [name, id]: [string, string]) => all.replaceAll(id, `<${name}>`);
  const type = headers.get('content-type');
  return {
    status,
    type,
    location: headers.has('content-location'),
    text: Object.entries(things).reduce(withoutIds, text),
  };
}

function isAbout({ path, body }: Operation, names: string[]): boolean {
  return names.some((name) => path.includes(`{${name}}`) || body?.properties?.[name] !== undefined);
}

async function everythingOf(headers: Record<string, string>, { assistant_id, thread_id }: Things) {
  const client = clientOf(headers);
  return {
    thread: await client.threads.get(thread_id),
    state: await client.threads.getState(thread_id),
    history: await client.threads.getHistory(thread_id, { limit: 100 }),
    runs: await client.runs.list(thread_id, { limit: 100 }),
    assistant: await client.assistants.get(assistant_id),
    versions: await client.assistants.getVersions(assistant_id),
    threads: await client.threads.count(),
    crons: await client.crons.search({ threadId: thread_id }),
    assistants: await client.assistants.count(),
  };
}

describe('without a login', () => {
  it.each([
    ['nothing', {}],
    ['something else', { authorization: 'Basic YTpi', 'x-api-key': 'alice' }],
    ['a claim to be Studio', { 'x-auth-scheme': 'langsmith' }],
  ])('%s opens nothing but what is open', async (_what, headers) => {
    const values = valuesOf(nothing());
    const statuses = new Map<string, number>();
    for (const operation of operations) {
      const { status } = await request(server.url, operation, { values, headers });
      statuses.set(operation.name, status);
    }
    const open = [...statuses].filter(([, status]) => status !== 401).map(([name]) => name);
    expect(open).toEqual(OPEN);
    expect(operations.filter(({ isOpen }) => isOpen).map(({ name }) => name)).toEqual(OPEN);
    expect(operations.length).toBeGreaterThan(40);
  });

  it('no WebSocket is opened', async () => {
    const url = `${server.url}/threads/${uuidv7()}/stream/events`;
    await expect(socketEar(url, {}, {})).rejects.toThrow('401');
    await expect(socketEar(url, { authorization: 'Bearer banned' }, {})).rejects.toThrow('451');
  });

  it('is refused before the body is read, with what the project says', async () => {
    const answer = await call(`${server.url}/threads`, 'POST', 'not { json');
    expect(answer).toMatchObject({ status: 401, text: 'Say Bearer and your name' });
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });
});

describe('what is somebody else’s', () => {
  it('is to every operation as if it did not exist, and stays as it was', async () => {
    const gateName = uuidv7();
    const things = await thingsOf(alice, gateName);
    const before = await everythingOf(alice, things);
    const differences: unknown[] = [];
    const about = operations.filter((operation) => isAbout(operation, Object.keys(things)));
    for (const operation of about) {
      const missing = nothing();
      const ofAlice = await request(server.url, operation, { values: valuesOf(things), headers: bob });
      const ofNobody = await request(server.url, operation, { values: valuesOf(missing), headers: bob });
      const [one, other] = [told(ofAlice, things), told(ofNobody, missing)];
      if (JSON.stringify(one) !== JSON.stringify(other)) differences.push({ operation: operation.name, one, other });
    }
    // An id is one for all, so whoever takes one that is taken must be told.
    expect(differences).toEqual([
      {
        operation: 'POST /assistants',
        one: expect.objectContaining({ status: 409 }),
        other: expect.objectContaining({ status: 200 }),
      },
      {
        operation: 'POST /threads',
        one: expect.objectContaining({ status: 409 }),
        other: expect.objectContaining({ status: 200 }),
      },
    ]);
    expect(about.length).toBeGreaterThan(35);
    expect(await everythingOf(alice, things)).toEqual(before);
    expect(before.runs[0]?.status).toBe('running');
    gate(gateName).open();
    expect(await clientOf(alice).runs.join(things.thread_id, things.run_id)).toMatchObject({
      log: [SECRET, 'a', 'b', 'c', SECRET, 'a', 'b', 'c'],
    });
  });

  it('is no more to be had by way of one’s own', async () => {
    const [things, own] = [await thingsOf(alice), await thingsOf(bob)];
    const before = await everythingOf(alice, things);
    const differences: unknown[] = [];
    const compared = { run_id: 0, assistant_id: 0, checkpoint_id: 0 };
    const fields = { run_id: ['run_ids'], assistant_id: [], checkpoint_id: ['checkpoint'] };
    for (const key of ['run_id', 'assistant_id', 'checkpoint_id'] as const) {
      for (const operation of operations) {
        if (!isAbout(operation, [key, ...fields[key]]) || operation.path === '/assistants') continue;
        const foreign = { ...own, [key]: things[key] };
        const missing = { ...own, [key]: uuidv7() };
        const ofAlice = await request(server.url, operation, { values: valuesOf(foreign), headers: bob });
        const ofNobody = await request(server.url, operation, { values: valuesOf(missing), headers: bob });
        const [one, other] = [told(ofAlice, foreign), told(ofNobody, missing)];
        compared[key] += 1;
        if (JSON.stringify(one) !== JSON.stringify(other)) {
          differences.push({ operation: operation.name, key, one, other });
        }
      }
    }
    expect(differences).toEqual([]);
    expect(compared.run_id).toBeGreaterThan(5);
    expect(compared.assistant_id).toBeGreaterThan(15);
    expect(compared.checkpoint_id).toBeGreaterThan(10);
    expect(await everythingOf(alice, things)).toEqual(before);
  });

  it('is in nothing that anybody else is answered', async () => {
    const things = await thingsOf(alice);
    const own = await thingsOf(bob);
    const told: string[] = [];
    for (const operation of operations) {
      const { text } = await request(server.url, operation, {
        values: { graph_id: 'line', ...own, namespace: 'child' },
        headers: { authorization: 'Bearer carol' },
      });
      told.push(`${operation.name}: ${text}`);
    }
    const all = told.join('\n');
    for (const known of [SECRET, ...Object.values(things)]) expect(all).not.toContain(known);
    const carol = clientOf({ authorization: 'Bearer carol' });
    const metadata = { secret: SECRET };
    expect(await carol.threads.search({ ids: [things.thread_id] })).toEqual([]);
    expect(await carol.threads.count({ metadata })).toBe(0);
    expect(await carol.assistants.search({ name: SECRET })).toEqual([]);
    expect(await carol.assistants.count({ metadata })).toBe(0);
    expect(await carol.crons.search({ metadata })).toEqual([]);
    expect(await carol.crons.count({ threadId: things.thread_id })).toBe(0);
    const search = await call(`${server.url}/threads/search`, 'POST', { metadata }, { authorization: 'Bearer carol' });
    expect(search.headers.get('x-pagination-total')).toBe('0');
  });

  it('is not stopped or removed with all that one has', async () => {
    const gateName = uuidv7();
    const things = await thingsOf(alice, gateName);
    for (const status of ['all', 'running', 'pending']) {
      const { thread_id } = things;
      for (const body of [{ status }, { status, thread_id }, { thread_id, run_ids: [things.run_id, uuidv7()] }]) {
        expect((await call(`${server.url}/runs/cancel`, 'POST', body, bob)).status).toBeLessThan(500);
      }
    }
    const prune = { thread_ids: [things.thread_id], strategy: 'delete' };
    expect(await call(`${server.url}/threads/prune`, 'POST', prune, bob)).toMatchObject({ json: { pruned_count: 0 } });
    await call(`${server.url}/assistants/${things.assistant_id}?delete_threads=true`, 'DELETE', undefined, bob);
    const mine = await clientOf(bob).assistants.create({ graphId: 'line' });
    await clientOf(alice).runs.create(things.thread_id, 'line', { input: { log: [] }, metadata: {} });
    await clientOf(bob).assistants.delete(mine.assistant_id, { deleteThreads: true });
    gate(gateName).open();
    expect(await clientOf(alice).runs.join(things.thread_id, things.run_id)).toHaveProperty('log');
  });

  it('cannot be made one’s own by making it once more', async () => {
    const things = await thingsOf(alice);
    const before = await everythingOf(alice, things);
    const { thread_id, assistant_id } = things;
    for (const if_exists of ['raise', 'do_nothing']) {
      const thread = await call(`${server.url}/threads`, 'POST', { thread_id, if_exists }, bob);
      expect(thread).toMatchObject({ status: 409 });
      const assistant = await call(
        `${server.url}/assistants`,
        'POST',
        { assistant_id, graph_id: 'line', if_exists },
        bob,
      );
      expect(assistant).toMatchObject({ status: 409 });
    }
    for (const path of ['runs', 'runs/stream', 'runs/wait']) {
      const body = { assistant_id: 'line', input: {}, if_not_exists: 'create' };
      expect(await call(`${server.url}/threads/${thread_id}/${path}`, 'POST', body, bob)).toMatchObject({
        status: 404,
      });
    }
    const deep = { assistant_id: 'line', input: {}, config: { configurable: { thread_id } } };
    expect(await call(`${server.url}/runs/wait`, 'POST', deep, bob)).toMatchObject({
      status: 200,
      json: { log: ['a', 'b', 'c'] },
    });
    await clientOf(bob)
      .assistants.delete('line')
      .catch(() => undefined);
    expect(await everythingOf(alice, things)).toEqual(before);
  });

  it('takes no longer or shorter to be missed than what does not exist', async () => {
    const { thread_id } = await thingsOf(alice);
    const ms: { foreign: number[]; missing: number[] } = { foreign: [], missing: [] };
    for (let round = 0; round < 60; round++) {
      for (const [kind, id] of [
        ['foreign', thread_id],
        ['missing', uuidv7()],
      ] as const) {
        const beganMs = performance.now();
        await call(`${server.url}/threads/${id}/state`, 'GET', undefined, bob);
        ms[kind].push(performance.now() - beganMs);
      }
    }
    const median = (values: number[]) => values.sort((left, right) => left - right)[values.length >> 1] ?? Number.NaN;
    const ratio = median(ms.foreign) / median(ms.missing);
    expect(ratio).toBeGreaterThan(1 / 2);
    expect(ratio).toBeLessThan(2);
  });
});

describe('the protocol of threads', () => {
  const command = async (threadId: string, headers: Record<string, string>, method: string, params: object) =>
    (await call(`${server.url}/threads/${threadId}/commands`, 'POST', { id: 1, method, params }, headers)).json;

  it('does nothing on what is somebody else’s, whatever it is told to', async () => {
    const things = await thingsOf(alice);
    const before = await everythingOf(alice, things);
    const { thread_id, run_id, checkpoint_id } = things;
    const started = await command(thread_id, bob, 'run.start', { assistant_id: 'line', input: { log: [] } });
    expect(started).toMatchObject({ type: 'error', message: `Thread ${thread_id} not found` });
    for (const [method, params] of [
      ['input.respond', { interrupt_id: 'x', response: 1 }],
      ['state.get', {}],
      ['state.listCheckpoints', {}],
      ['state.fork', { checkpoint_id }],
      ['agent.getTree', { run_id }],
    ] as const) {
      const missing = uuidv7();
      const one = JSON.stringify(await command(thread_id, bob, method, params));
      const other = JSON.stringify(await command(missing, bob, method, params));
      expect(one.replaceAll(thread_id, '')).toBe(other.replaceAll(missing, ''));
      expect(one).toContain('"type":"error"');
      expect(await command(thread_id, alice, method, params)).toMatchObject(
        method === 'input.respond' ? { error: 'invalid_argument' } : { type: 'success' },
      );
    }
    const after = await everythingOf(alice, things);
    expect({ ...after, runs: after.runs.length - 1 }).toMatchObject({
      assistant: before.assistant,
      runs: before.runs.length,
    });
  });

  it.each([
    ['POST', 'stream/events', { channels: ['values', 'lifecycle'] }],
    ['GET', 'stream', undefined],
    ['WebSocket', 'stream/events', { id: 1, method: 'subscription.subscribe', params: { channels: ['values'] } }],
  ])('%s %s lets nobody listen in', async (method, path, body) => {
    const { thread_id } = await clientOf(alice).threads.create();
    const url = `${server.url}/threads/${thread_id}/${path}`;
    const ears = await Promise.all(
      [alice, bob].map((headers) =>
        method === 'WebSocket' ? socketEar(url, headers, body) : sseEar(url, { method, headers, body }),
      ),
    );
    await clientOf(alice).runs.wait(thread_id, 'line', { input: { log: [SECRET] } });
    const [one, other] = ears;
    await one?.heard('values');
    // What is told to bob is told after a question of his own, which is asked after all that alice has heard.
    await clientOf(bob).threads.count();
    expect(one?.all()).toContain(SECRET);
    expect(other?.all().replaceAll(': heartbeat', '')).not.toMatch(/values|lifecycle|log/);
    for (const ear of ears) ear.close();
  });
});

describe('agents and tools', () => {
  it('know of nothing that is somebody else’s', async () => {
    const gateName = uuidv7();
    const things = await thingsOf(alice, gateName);
    const before = await everythingOf(alice, things);
    const rpc = async (path: string, headers: Record<string, string>, method: string, params: object) => {
      const accept = { accept: 'application/json, text/event-stream' };
      const body = { jsonrpc: '2.0', id: 1, method, params };
      return (await call(server.url + path, 'POST', body, { ...headers, ...accept })).text;
    };
    const message = (contextId: string, taskId?: string) => ({
      message: {
        kind: 'message',
        role: 'user',
        messageId: 'm',
        contextId,
        taskId,
        parts: [{ kind: 'text', text: 'x' }],
      },
    });
    const missing = nothing();
    const differences: unknown[] = [];
    for (const ask of [
      ({ thread_id, run_id }: Things) => rpc('/a2a/line', bob, 'tasks/get', { id: `${thread_id}:${run_id}` }),
      ({ thread_id, run_id }: Things) => rpc('/a2a/line', bob, 'tasks/cancel', { id: `${thread_id}:${run_id}` }),
      ({ thread_id, run_id }: Things) =>
        rpc('/a2a/line', bob, 'message/send', message(thread_id, `${thread_id}:${run_id}`)),
      ({ assistant_id }: Things) => rpc(`/a2a/${assistant_id}`, bob, 'message/send', message(uuidv7())),
      ({ assistant_id }: Things) => rpc('/mcp', bob, 'tools/call', { name: assistant_id, arguments: {} }),
    ]) {
      const told = async (asked: Things) =>
        Object.values(asked).reduce((text, id) => text.replaceAll(id, ''), await ask(asked));
      const [one, other] = [await told(things), await told(missing)];
      if (one !== other || !/error|not_found/i.test(one)) differences.push({ one, other });
    }
    expect(differences).toEqual([]);
    expect(await rpc('/a2a/line', bob, 'message/send', message(things.thread_id))).toMatch(/"error"/);
    const tools = await rpc('/mcp', bob, 'tools/list', {});
    expect(tools).not.toContain(SECRET);
    expect(await rpc('/mcp', alice, 'tools/list', {})).not.toBe(tools);
    expect(await everythingOf(alice, things)).toEqual(before);
    gate(gateName).open();
    await clientOf(alice).runs.join(things.thread_id, things.run_id);
  });
});

describe('what is one’s own', () => {
  it('can be reached by every operation', async () => {
    const refused: unknown[] = [];
    let things = await thingsOf(alice);
    for (const operation of operations) {
      const values = valuesOf(/^\/(threads|assistants)$/.test(operation.path) ? nothing() : things);
      if (!operation.path.includes('{thread_id}')) {
        delete values['checkpoint'];
        delete values['checkpoint_id'];
      }
      const { status, text } = await request(server.url, operation, { values, headers: alice });
      if ([401, 403, 404].includes(status) || status >= 500) refused.push([operation.name, status, text]);
      if (operation.method === 'DELETE' || operation.path === '/threads/prune') things = await thingsOf(alice);
    }
    expect(refused).toEqual([]);
    expect(COMMON.every((name) => operations.some((operation) => operation.name === name))).toBe(true);
  });
});
