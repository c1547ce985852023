import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import type { Client } from '@langchain/langgraph-sdk';

/** Of May 2025, before 1.0. It is installed with the reference server; its methods have the types of today's client. */
const VERSION = '0.0.57';
const input = { log: [] };
const done = { log: ['a', 'b', 'c'] };

type Check = (client: Client) => Promise<void>;

/** What applications that never updated their client do with it. */
const CHECKS: Record<string, Check> = {
  threads: async ({ threads }) => {
    const made = await threads.create({ metadata: { old: 1 } });
    assert.deepEqual((await threads.get(made.thread_id)).metadata, { old: 1 });
    await threads.update(made.thread_id, { metadata: { more: 2 } });
    const [found] = await threads.search({ metadata: { more: 2 }, limit: 1 });
    assert.equal(found?.thread_id, made.thread_id);
    const copy = await threads.copy(made.thread_id);
    assert.notEqual(copy.thread_id, made.thread_id);
    await threads.delete(made.thread_id);
    await assert.rejects(threads.get(made.thread_id), /404/);
  },
  'runs: wait, list, get, delete': async ({ threads, runs }) => {
    const { thread_id } = await threads.create();
    assert.deepEqual(await runs.wait(thread_id, 'line', { input }), done);
    const [run] = await runs.list(thread_id);
    assert.ok(run);
    assert.equal((await runs.get(thread_id, run.run_id)).status, 'success');
    await runs.delete(thread_id, run.run_id);
    await assert.rejects(runs.get(thread_id, run.run_id), /404/);
  },
  'runs: create, join, join the stream': async ({ threads, runs }) => {
    const { thread_id } = await threads.create();
    const { run_id } = await runs.create(thread_id, 'line', { input, streamMode: ['updates'] });
    assert.deepEqual(await runs.join(thread_id, run_id), done);
    assert.deepEqual(await named(runs.joinStream(thread_id, run_id)), ['metadata', 'updates', 'updates', 'updates']);
  },
  'runs: without a thread': async ({ runs }) => {
    assert.deepEqual(await runs.wait(null, 'line', { input }), done);
    assert.deepEqual(await named(runs.stream(null, 'line', { input })), ['metadata', ...Array(4).fill('values')]);
    assert.equal((await runs.createBatch([{ assistantId: 'line', input }])).length, 1);
  },
  'streams of every mode': async ({ threads, runs }) => {
    const modes = ['values', 'updates', 'messages', 'messages-tuple', 'custom', 'debug', 'events'] as const;
    for (const streamMode of modes) {
      const { thread_id } = await threads.create();
      const names = await named(
        runs.stream(thread_id, 'chat', { input: { messages: [{ role: 'user', content: 'hi' }] }, streamMode }),
      );
      const wanted = streamMode === 'messages-tuple' ? 'messages' : streamMode;
      assert.ok(
        streamMode === 'custom' || names.some((name) => name.startsWith(wanted)),
        `${streamMode}: ${names.join(' ')}`,
      );
    }
  },
  'a failure': async ({ threads, runs }) => {
    const { thread_id } = await threads.create();
    await assert.rejects(runs.wait(thread_id, 'failing', { input }), /too far/);
    assert.ok((await named(runs.stream(thread_id, 'failing', { input }))).includes('error'));
  },
  'a question and its answer': async ({ threads, runs }) => {
    const { thread_id } = await threads.create();
    await runs.wait(thread_id, 'asking', { input });
    const { status, interrupts } = await threads.get(thread_id);
    assert.equal(status, 'interrupted');
    assert.equal(Object.keys(interrupts).length, 1);
    const answered = await runs.wait(thread_id, 'asking', { command: { resume: 'yes' } });
    assert.deepEqual(answered, { log: ['answer: "yes"'] });
  },
  'state, edits and forks': async ({ threads, runs }) => {
    const { thread_id } = await threads.create();
    await runs.wait(thread_id, 'line', { input, interruptBefore: ['b'] });
    const { next, values } = await threads.getState<{ log: string[] }>(thread_id);
    assert.deepEqual([next, values], [['b'], { log: ['a'] }]);
    const { checkpoint } = (await threads.updateState(thread_id, {
      values: { log: ['edited'] },
      asNode: 'b',
    })) as unknown as { checkpoint: { checkpoint_id: string } };
    assert.deepEqual(await runs.wait(thread_id, 'line', { input: null }), { log: ['a', 'edited', 'c'] });
    const at = await threads.getState(thread_id, checkpoint.checkpoint_id);
    assert.deepEqual(at.next, ['c']);
    const history = await threads.getHistory(thread_id, { limit: 10 });
    assert.equal(history.length, 5);
    const first = history.find((state) => state.next[0] === 'b');
    const forked = await runs.wait(thread_id, 'line', {
      input: null,
      checkpointId: first?.checkpoint.checkpoint_id ?? '',
    });
    assert.deepEqual(forked, done);
  },
  'a run that is stopped': async ({ threads, runs }) => {
    const { thread_id } = await threads.create();
    const { run_id } = await runs.create(thread_id, 'line', { input, afterSeconds: 3600 });
    await runs.cancel(thread_id, run_id, true);
    assert.equal((await runs.get(thread_id, run_id)).status, 'interrupted');
  },
  assistants: async ({ assistants }) => {
    const { assistant_id } = await assistants.create({ graphId: 'line', metadata: { old: 1 }, name: 'Old' });
    const updated = await assistants.update(assistant_id, { graphId: 'line', metadata: { old: 2 } });
    assert.equal(updated.version, 2);
    assert.equal((await assistants.getVersions(assistant_id)).length, 2);
    assert.equal((await assistants.setLatest(assistant_id, 1)).version, 1);
    assert.equal((await assistants.search({ metadata: { old: 1 } })).length, 1);
    assert.ok((await assistants.getGraph('parent', { xray: true })).nodes.length > 4);
    assert.deepEqual(Object.keys(await assistants.getSubgraphs('parent')), ['child']);
    assert.equal((await assistants.getSchemas('typed')).graph_id, 'typed');
    await assistants.delete(assistant_id);
    await assert.rejects(assistants.get(assistant_id), /404/);
  },
  store: async ({ store }) => {
    await store.putItem(['old', 'client'], 'k', { n: 1 });
    assert.deepEqual((await store.getItem(['old', 'client'], 'k'))?.value, { n: 1 });
    assert.equal((await store.searchItems(['old'], { filter: { n: 1 } })).items.length, 1);
    assert.deepEqual((await store.listNamespaces({ prefix: ['old'] })).namespaces, [['old', 'client']]);
    await store.deleteItem(['old', 'client'], 'k');
    assert.equal(await store.getItem(['old', 'client'], 'k'), null);
  },
};

/** Puts Baton through what an old official client does. Returns what went wrong, a line each. */
export async function checkOldClient(url: string): Promise<string[]> {
  const require = createRequire(new URL('reference/package.json', import.meta.url));
  const old = require(`langgraph-sdk-${VERSION}`) as { Client: typeof Client };
  const client = new old.Client({ apiUrl: url, callerOptions: { maxRetries: 0 } });
  const failures: string[] = [];
  for (const [name, check] of Object.entries(CHECKS)) {
    await check(client).catch((error: unknown) => {
      failures.push(`client ${VERSION}: ${name}: ${error instanceof Error ? error.message : String(error)}`);
    });
  }
  console.log(
    `client ${VERSION}: ${Object.keys(CHECKS).length - failures.length} of ${Object.keys(CHECKS).length} parts work`,
  );
  return failures;
}

async function named(events: AsyncIterable<{ event: string }>): Promise<string[]> {
  const names: string[] = [];
  for await (const { event } of events) names.push(event);
  return names;
}
