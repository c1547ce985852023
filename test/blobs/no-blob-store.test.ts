import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { call } from '../sdk/fixtures/call.ts';
import { testServer } from '../sdk/fixtures/test-server.ts';
import { bigText } from './fixtures/big-graph.ts';

const file = new URL('./fixtures/big-graph.ts', import.meta.url).pathname;
const graphs = { big: { file, exportName: 'big', description: null } };
const keys = [{ id: 'k1', secret: randomBytes(32).toString('base64') }];

test.each(['', 'encrypted+'])('a server without BLOB_URL on %ssqlite says where its big values are', async (prefix) => {
  const folder = await mkdtemp(join(tmpdir(), 'baton-noblobs-'));
  const stateUrl = `${prefix}sqlite:${join(folder, 'state.db')}`;
  const blobs = { url: `disk:${join(folder, 'blobs')}`, limitBytes: 4096, credentials: {} };
  const settings = { blobs, encryption: { keys: prefix === '' ? [] : keys, clearMetadata: [] } };
  const server = await testServer({ graphs, stateUrl, settings });
  const { thread_id } = await server.client.threads.create();
  await server.client.runs.wait(thread_id, 'big', { input: {} });
  await server.baton.stop();

  const without = await server.restart({ worker: false, settings: { blobs: { ...blobs, url: null } } });
  const thread = `${without.url}/threads/${thread_id}`;
  const told = {
    status: 503,
    text: expect.stringMatching(/^A value of this thread lies in a blob store, and BLOB_URL is not set: set it/),
  };
  expect(await call(`${thread}/state`, 'GET')).toMatchObject(told);
  expect(await call(`${thread}/history`, 'GET')).toMatchObject(told);
  const copied = await call(`${thread}/copy`, 'POST');
  await without.baton.stop();

  const again = await server.restart();
  const done = again.client.runs.wait(thread_id, 'big', { command: { resume: 'look' } });
  expect(await done).toMatchObject({ size: 200_000 });
  // What was copied meanwhile has the value, too, when the original is gone.
  await again.client.threads.delete(thread_id);
  await again.baton.sweepBlobs({ olderThanMs: 0 });
  const state = await call(`${again.url}/threads/${copied.json?.thread_id}/state`, 'GET');
  const isRead = state.json?.values.raw === bigText('raw');
  // Under a key of its own it would have to be read.
  expect([copied.status, isRead]).toEqual(prefix === '' ? [200, true] : [503, false]);
  await again.stop();
  await rm(folder, { recursive: true });
});
