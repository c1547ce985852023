import type { Client, ThreadStream } from '@langchain/langgraph-sdk/client';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemAssistantId, uuidv7 } from '../../src/core/ids.ts';
import { collect } from './fixtures/call.ts';
import { PROTOCOL_GRAPHS } from './fixtures/protocol.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

const projectDir = mkdtempSync(join(tmpdir(), 'baton-every-method-'));
const input = { log: [] };
const ALL = { log: ['a', 'b', 'c'] };

let server: TestServer;
let client: Client;
beforeAll(async () => {
  const file = join(projectDir, 'components.js');
  writeFileSync(file, 'export default { card: () => null };');
  const ui = { line: { file, projectDir, shared: [] } };
  server = await testServer({ stateUrl: 'memory:', graphs: PROTOCOL_GRAPHS, ui });
  ({ client } = server);
});
afterAll(async () => {
  await server.stop();
  rmSync(projectDir, { recursive: true });
});

const newThread = async () => (await client.threads.create()).thread_id;
/** A thread after a run of `a`, `b` and `c`. */
const usedThread = async () => {
  const threadId = await newThread();
  await client.runs.wait(threadId, 'line', { input });
  return threadId;
};
const newRun = async (options?: object) => client.runs.create(await newThread(), 'line', { input, ...options });
const newAssistant = async () => (await client.assistants.create({ graphId: 'line', name: 'mine' })).assistant_id;
/** Switched off, and labelled with something of its own. */
const newCron = () =>
  client.crons.create('line', { schedule: '0 0 29 2 *', input, metadata: { mark: uuidv7() }, enabled: false });
const failure = (promise: Promise<unknown>) => promise.then(() => 'no failure', String);

/** What each method does, in one line: what it is asked for, and what its answer must contain. */
const METHODS: Record<string, [call: () => unknown, answer: unknown]> = {
  'assistants.get': [() => client.assistants.get('line'), { assistant_id: systemAssistantId('line') }],
  'assistants.getGraph': [() => client.assistants.getGraph('line'), { edges: expect.any(Array) }],
  'assistants.getSchemas': [() => client.assistants.getSchemas('line'), { graph_id: 'line' }],
  'assistants.getSubgraphs': [() => client.assistants.getSubgraphs('parent'), { child: {} }],
  'assistants.create': [() => client.assistants.create({ graphId: 'line', name: 'new' }), { name: 'new', version: 1 }],
  'assistants.update': [async () => client.assistants.update(await newAssistant(), { name: 'other' }), { version: 2 }],
  'assistants.delete': [
    async () => {
      const id = await newAssistant();
      await client.assistants.delete(id);
      return failure(client.assistants.get(id));
    },
    expect.stringContaining('404'),
  ],
  'assistants.search': [() => client.assistants.search({ graphId: 'chat' }), [{ graph_id: 'chat' }]],
  'assistants.count': [() => client.assistants.count({ graphId: 'chat' }), 1],
  'assistants.getVersions': [async () => client.assistants.getVersions(await newAssistant()), [{ version: 1 }]],
  'assistants.setLatest': [async () => client.assistants.setLatest(await newAssistant(), 1), { version: 1 }],

  'threads.get': [async () => client.threads.get(await newThread()), { status: 'idle' }],
  'threads.create': [() => client.threads.create({ metadata: { mark: 1 } }), { metadata: { mark: 1 } }],
  'threads.copy': [async () => client.threads.copy(await usedThread()), { values: ALL }],
  'threads.update': [
    async () => client.threads.update(await newThread(), { metadata: { mark: 2 } }),
    { metadata: { mark: 2 } },
  ],
  'threads.delete': [
    async () => {
      const threadId = await newThread();
      await client.threads.delete(threadId);
      return failure(client.threads.get(threadId));
    },
    expect.stringContaining('404'),
  ],
  'threads.prune': [async () => client.threads.prune([await usedThread()]), { pruned_count: 1 }],
  'threads.search': [async () => client.threads.search({ ids: [await newThread()] }), [{ status: 'idle' }]],
  'threads.count': [
    async () => {
      const { thread_id } = await client.threads.create({ metadata: { counted: uuidv7() } });
      return client.threads.count({ metadata: (await client.threads.get(thread_id)).metadata });
    },
    1,
  ],
  'threads.getState': [async () => client.threads.getState(await usedThread()), { values: ALL, next: [] }],
  'threads.updateState': [
    async () => {
      const threadId = await usedThread();
      await client.threads.updateState(threadId, { values: { log: ['by hand'] } });
      return client.threads.getState(threadId);
    },
    { values: { log: [...ALL.log, 'by hand'] } },
  ],
  // No server of the platform has it any more.
  'threads.patchState': [
    async () => failure(client.threads.patchState(await newThread(), {})),
    expect.stringMatching(/404|405/),
  ],
  'threads.getHistory': [
    async () => client.threads.getHistory(await usedThread(), { limit: 1 }),
    [{ values: ALL, parent_checkpoint: { checkpoint_id: expect.any(String) } }],
  ],
  'threads.joinStream': [
    async () => {
      const stream = client.threads.joinStream(await usedThread(), { lastEventId: '-' });
      for await (const { event } of stream) return event;
    },
    'metadata',
  ],
  'threads.stream': [() => streaming('line', ({ output }) => output), ALL],

  'runs.stream': [
    async () => collect(client.runs.stream(await newThread(), 'line', { input, streamMode: 'updates' })),
    [{ event: 'metadata' }, ...ALL.log.map((node) => ({ event: 'updates', data: { [node]: { log: [node] } } }))],
  ],
  'runs.create': [() => newRun(), { status: 'pending' }],
  'runs.createBatch': [
    () =>
      client.runs.createBatch([
        { assistantId: 'line', input },
        { assistantId: 'parent', input },
      ]),
    [{ assistant_id: systemAssistantId('line') }, { assistant_id: systemAssistantId('parent') }],
  ],
  'runs.wait': [() => client.runs.wait(null, 'line', { input }), ALL],
  'runs.list': [async () => client.runs.list(await usedThread()), [{ status: 'success' }]],
  'runs.get': [
    async () => {
      const { thread_id, run_id } = await newRun();
      return client.runs.get(thread_id, run_id);
    },
    { assistant_id: systemAssistantId('line') },
  ],
  'runs.cancel': [
    async () => {
      const { thread_id, run_id } = await newRun({ afterSeconds: 3600 });
      await client.runs.cancel(thread_id, run_id, true);
      return client.runs.get(thread_id, run_id);
    },
    { status: 'interrupted' },
  ],
  'runs.cancelMany': [
    async () => {
      const { thread_id, run_id } = await newRun({ afterSeconds: 3600 });
      await client.runs.cancelMany({ threadId: thread_id, runIds: [run_id] });
      return client.runs.get(thread_id, run_id);
    },
    { status: 'interrupted' },
  ],
  'runs.join': [
    async () => {
      const { thread_id, run_id } = await newRun();
      return client.runs.join(thread_id, run_id);
    },
    ALL,
  ],
  'runs.joinStream': [
    async () => {
      const { thread_id, run_id } = await newRun({ streamMode: 'values' });
      return (await collect(client.runs.joinStream(thread_id, run_id))).at(-1);
    },
    { event: 'values', data: ALL },
  ],
  'runs.delete': [
    async () => {
      const threadId = await usedThread();
      const [run] = await client.runs.list(threadId);
      await client.runs.delete(threadId, String(run?.run_id));
      return client.runs.list(threadId);
    },
    [],
  ],

  'crons.create': [() => newCron(), { schedule: '0 0 29 2 *', enabled: false }],
  'crons.createForThread': [
    async () => client.crons.createForThread(await newThread(), 'line', { schedule: '0 0 29 2 *', enabled: false }),
    { assistant_id: systemAssistantId('line'), thread_id: expect.any(String) },
  ],
  'crons.update': [
    async () => client.crons.update((await newCron()).cron_id, { schedule: '0 0 30 1 *' }),
    { schedule: '0 0 30 1 *' },
  ],
  'crons.delete': [
    async () => {
      const { cron_id } = await newCron();
      await client.crons.delete(cron_id);
      return failure(client.crons.delete(cron_id));
    },
    expect.stringContaining('404'),
  ],
  'crons.search': [
    async () => {
      const { metadata } = await newCron();
      return client.crons.search({ metadata });
    },
    [{ schedule: '0 0 29 2 *' }],
  ],
  'crons.count': [
    async () => {
      const { metadata } = await newCron();
      return client.crons.count({ metadata });
    },
    1,
  ],

  'store.putItem': [() => client.store.putItem(['every'], 'put', { n: 1 }), undefined],
  'store.getItem': [
    async () => {
      await client.store.putItem(['every'], 'got', { n: 2 });
      return client.store.getItem(['every'], 'got');
    },
    { key: 'got', value: { n: 2 } },
  ],
  'store.deleteItem': [
    async () => {
      await client.store.putItem(['every'], 'gone', {});
      await client.store.deleteItem(['every'], 'gone');
      return client.store.getItem(['every'], 'gone');
    },
    null,
  ],
  'store.searchItems': [
    async () => {
      await client.store.putItem(['searched'], 'one', {});
      return client.store.searchItems(['searched']);
    },
    { items: [{ key: 'one' }] },
  ],
  'store.listNamespaces': [
    async () => {
      await client.store.putItem(['listed', 'here'], 'one', {});
      return client.store.listNamespaces({ prefix: ['listed'] });
    },
    { namespaces: [['listed', 'here']] },
  ],

  '~ui.getComponent': [
    () => client['~ui'].getComponent('line', 'card'),
    expect.stringMatching(/<script src=".*entrypoint.js"/),
  ],
};

/** Runs a graph on a new thread of the newer protocol; `read` begins to read before it begins. */
async function streaming<T>(assistantId: string, read: (thread: ThreadStream) => T): Promise<Awaited<T>> {
  const thread = client.threads.stream(uuidv7(), { assistantId });
  const result = read(thread);
  await thread.run.start({ input: assistantId === 'chat' ? { messages: [{ role: 'user', content: 'hi' }] } : input });
  try {
    return await result;
  } finally {
    await thread.close();
  }
}
const names = async (items: AsyncIterable<{ name: string | undefined }>) => [
  ...new Set((await collect(items)).map(({ name }) => name)), // a tool call is there when it begins and when it ends
];
const afterwards = <T>(read: (thread: ThreadStream) => T) =>
  streaming('line', async (thread) => {
    await thread.output;
    return read(thread);
  });
const finished = (listen: (thread: ThreadStream, tell: (what: unknown) => void) => void) =>
  streaming('line', (thread) => new Promise((resolve) => listen(thread, resolve)));

const STREAM_METHODS: typeof METHODS = {
  messages: [
    () =>
      streaming('chat', async ({ messages }) => {
        for await (const message of messages) return message.text;
      }),
    'one two',
  ],
  values: [() => streaming('line', ({ values }) => values), ALL],
  toolCalls: [() => streaming('tooling', ({ toolCalls }) => names(toolCalls)), ['double']],
  subgraphs: [() => streaming('parent', ({ subgraphs }) => names(subgraphs)), ['child']],
  subagents: [() => streaming('line', ({ subagents }) => names(subagents)), []],
  audio: [() => streaming('line', ({ audio }) => collect(audio)), []],
  images: [() => streaming('line', ({ images }) => collect(images)), []],
  video: [() => streaming('line', ({ video }) => collect(video)), []],
  files: [() => streaming('line', ({ files }) => collect(files)), []],
  output: [() => streaming('parent', ({ output }) => output), { log: ['inside', 'deeper', 'told'] }],
  extensions: [() => streaming('counting', ({ extensions }) => extensions['total'] as PromiseLike<unknown>), 2],
  submitRun: [
    async () => {
      const thread = client.threads.stream(uuidv7(), { assistantId: 'line' });
      await thread.submitRun({ input });
      const output = await thread.output;
      await thread.close();
      return output;
    },
    ALL,
  ],
  respondInput: [() => answered((thread, question) => thread.respondInput(question)), { log: ['answer: "yes"'] }],
  onEvent: [
    () => finished((thread, tell) => thread.onEvent(({ method, params }) => method === 'values' && tell(params.data))),
    input,
  ],
  onError: [
    async () => {
      const other = await server.restart();
      const options = { assistantId: 'line', maxReconnectAttempts: 0 };
      const thread = other.client.threads.stream(uuidv7(), options);
      const failure = new Promise((resolve) => thread.onError(resolve));
      await thread.subscribe('values');
      await thread.run.start({ input });
      await thread.output;
      await other.baton.stop();
      return failure;
    },
    expect.any(Error),
  ],
  startLifecycleWatcher: [
    () =>
      finished((thread, tell) => {
        thread.onEvent(({ method }) => method === 'lifecycle' && tell(method));
        thread.startLifecycleWatcher();
      }),
    'lifecycle',
  ],
  close: [() => afterwards((thread) => thread.close()), undefined],
  subscribe: [
    () => streaming('line', async (thread) => collect(await thread.subscribe('updates'))),
    ALL.log.map((node) => ({ params: { data: { node } } })),
  ],
  'run.start': [() => streaming('line', ({ output }) => output), ALL],
  'agent.getTree': [() => afterwards(({ agent }) => agent.getTree()), { tree: { status: 'completed' } }],
  'input.respond': [() => answered((thread, question) => thread.input.respond(question)), { log: ['answer: "yes"'] }],
  // The official server does not do it either.
  'input.inject': [
    () => afterwards(({ input }) => failure(input.inject({ namespace: [], message: { role: 'user', content: '' } }))),
    expect.stringContaining('takes no input while it runs'),
  ],
  'state.get': [() => afterwards(({ state }) => state.get({ namespace: [] })), { values: ALL }],
  'state.listCheckpoints': [
    () => afterwards(({ state }) => state.listCheckpoints({})),
    { checkpoints: expect.arrayContaining([expect.objectContaining({ step: -1 })]) },
  ],
  'state.fork': [
    () =>
      afterwards(async ({ state, threadId }) => {
        const { checkpoints } = await state.listCheckpoints({});
        const { run_id } = await state.fork({ checkpoint_id: checkpoints.find(({ step }) => step === 2)?.id ?? '' });
        return client.runs.join(threadId, run_id);
      }),
    ALL,
  ],
};

/** What a graph comes to that asks, and is answered "yes". */
async function answered(
  respond: (
    thread: ThreadStream,
    answer: { interrupt_id: string; namespace: string[]; response: string },
  ) => Promise<unknown>,
): Promise<unknown> {
  return streaming('asking', async (thread) => {
    await thread.output;
    const [question] = thread.interrupts;
    const { interruptId = '', namespace = [] } = question ?? {};
    await respond(thread, { interrupt_id: interruptId, namespace, response: 'yes' });
    const [latest] = await client.runs.list(thread.threadId);
    return client.runs.join(thread.threadId, latest?.run_id ?? '');
  });
}

const OF_EVERY_CLIENT = new Set(['constructor', 'prepareFetchOptions', 'fetch', 'streamWithRetry']);

function methodsOf(object: object): string[] {
  const found: string[] = [];
  for (
    let at = Object.getPrototypeOf(object) as object;
    at !== Object.prototype;
    at = Object.getPrototypeOf(at) as object
  ) {
    found.push(...Object.getOwnPropertyNames(at));
  }
  return [...new Set(found)].filter((name) => !OF_EVERY_CLIENT.has(name));
}

describe('the client of the SDK', () => {
  it('has no method that is not called here', () => {
    const parts = ['assistants', 'threads', 'runs', 'crons', 'store', '~ui'] as const;
    const methods = parts.flatMap((part) => methodsOf(client[part]).map((name) => `${part}.${name}`));
    expect(methods.toSorted()).toEqual(Object.keys(METHODS).toSorted());
  });

  it.each(Object.entries(METHODS))('%s', async (_name, [call, answer]) => {
    expect({ answer: await call() }).toMatchObject({ answer });
  });
});

describe('the stream of a thread', () => {
  it('has no method that is not called here', () => {
    const thread = client.threads.stream(uuidv7(), { assistantId: 'line' });
    const modules = ['run', 'agent', 'input', 'state'] as const;
    const methods = modules.flatMap((module) => Object.keys(thread[module]).map((name) => `${module}.${name}`));
    expect([...methodsOf(thread), ...methods].toSorted()).toEqual(Object.keys(STREAM_METHODS).toSorted());
  });

  it.each(Object.entries(STREAM_METHODS))('%s', async (_name, [call, answer]) => {
    expect({ answer: await call() }).toMatchObject({ answer });
  });
});
