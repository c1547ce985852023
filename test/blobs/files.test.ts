import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, MemorySaver } from '@langchain/langgraph';
import { describe, expect, test } from 'vitest';
import type { BatonConfig } from '../../src/config/config.ts';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';
import { FakeS3 } from './fake-s3.ts';
import { filingWith } from './fixtures/filing-graph.ts';

const FILE = new URL('./fixtures/filing-graph.ts', import.meta.url).pathname;
const GRAPHS = { filing: { file: FILE, exportName: 'filing', description: null } };
const CONTENT = '<script>alert(1)</script> secret plan '.repeat(10);

interface Filed {
  file: { blob_id: string; bytes: number };
  link: string;
  read: string;
}

function blobsAt(url: string): Partial<BatonConfig> {
  return { blobs: { url, limitBytes: 65_536, credentials: {} } };
}

async function file({ client }: TestServer): Promise<{ threadId: string; values: Filed }> {
  const { thread_id: threadId } = await client.threads.create();
  const values = (await client.runs.wait(threadId, 'filing', { input: { content: CONTENT } })) as unknown as Filed;
  return { threadId, values };
}

async function resume({ client }: TestServer, threadId: string): Promise<Filed> {
  return (await client.runs.wait(threadId, 'filing', { command: { resume: 'yes' } })) as unknown as Filed;
}

describe.each(['postgres', 'encrypted'])('on a server with a folder, %s', (kind) => {
  test('a file is kept once, read by later nodes and by copies, downloaded, and gone with the last thread', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'baton-files-'));
    const sealed = kind === 'encrypted';
    const encryption = { keys: [{ id: 'k1', secret: randomBytes(32).toString('base64') }], clearMetadata: [] };
    const server = await testServer({
      graphs: GRAPHS,
      ...(sealed && { stateUrl: 'encrypted+memory:' }),
      settings: { ...blobsAt(`disk:${folder}`), ...(sealed && { encryption }) },
    });
    const contents = async () => {
      const names = await readdir(folder, { recursive: true });
      const kept = names.filter((name) => /\.\d+$/.test(name) && !name.includes('~owner'));
      return Promise.all(kept.map((name) => readFile(join(folder, name), 'utf8')));
    };
    const { threadId, values } = await file(server);
    expect(values.file).toMatchObject({ name: 'naïve "plan".html', type: 'text/html', bytes: CONTENT.length });
    const stored = await contents();
    expect(stored).toHaveLength(1);
    expect(stored.includes(CONTENT)).toBe(!sealed);
    expect(values.link).toBe(`/threads/${threadId}/blobs/${values.file.blob_id}`);

    const copy = (await server.client.threads.copy(threadId)) as unknown as { thread_id: string };
    await server.client.threads.delete(threadId);
    expect((await fetch(server.url + values.link)).status).toBe(404);
    expect(await resume(server, copy.thread_id)).toMatchObject({ read: CONTENT });
    const download = await fetch(`${server.url}/threads/${copy.thread_id}/blobs/${values.file.blob_id}`);
    expect(await download.text()).toBe(CONTENT);
    expect(Object.fromEntries(download.headers)).toMatchObject({
      'content-type': 'text/html',
      'content-disposition': expect.stringMatching(/^attachment; .*filename\*=UTF-8''na%C3%AFve/),
      'x-content-type-options': 'nosniff',
    });
    expect((await fetch(`${server.url}/threads/${copy.thread_id}/blobs/other`)).status).toBe(404);

    await server.client.threads.delete(copy.thread_id);
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });
});

test('a file that was put before anything was encrypted is read after it, where plain rows are', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'baton-files-'));
  const before = await testServer({ graphs: GRAPHS, settings: blobsAt(`disk:${folder}`) });
  const { client } = before;
  const { thread_id } = await client.threads.create();
  const content = JSON.stringify(CONTENT); // begins as every plain row does
  const { file } = (await client.runs.wait(thread_id, 'filing', { input: { content } })) as unknown as Filed;
  await before.baton.stop();
  const encryption = { keys: [{ id: 'k1', secret: randomBytes(32).toString('base64') }], clearMetadata: [] };
  const url = new URL(String(before.config.databaseUrl));
  url.searchParams.set('migrate', 'plain');
  const after = await before.restart({ settings: { encryption, stateUrl: `encrypted+${url.href}` } });
  const download = await fetch(`${after.url}/threads/${thread_id}/blobs/${file.blob_id}`);
  expect(await download.text()).toBe(content);
  expect(await resume(after, thread_id)).toMatchObject({ read: content });
  await after.stop();
  await rm(folder, { recursive: true, force: true });
});

test('a bucket signs addresses for anybody', async () => {
  const s3 = await new FakeS3().start();
  const server = await testServer({ graphs: GRAPHS, settings: blobsAt(`s3://k:s@bucket/p?endpoint=${s3.url}`) });
  const { values } = await file(server);
  expect(values.link).toContain('X-Amz-Expires=300');
  const response = await fetch(values.link);
  expect(await response.text()).toBe(CONTENT);
  expect(response.headers.get('content-disposition')).toMatch(/^attachment/);
  await server.stop();
  await s3.stop();
});

test('without a blob store a file is refused with what to set', async () => {
  const server = await testServer({ graphs: GRAPHS });
  const { thread_id } = await server.client.threads.create();
  const wait = server.client.runs.wait(thread_id, 'filing', { input: { content: 'x' } });
  await expect(wait).rejects.toThrow(/BLOB_URL/);
  await server.stop();
});

test('without a server files are kept in memory, beside the checkpointer', async () => {
  const graph = filingWith({ checkpointer: new MemorySaver() });
  const config = { configurable: { thread_id: '1' } };
  const asked = await graph.invoke({ content: CONTENT }, config);
  expect(asked.link).toMatch(/^data:text\/html;base64,/);
  expect(await graph.invoke(new Command({ resume: 'yes' }), config)).toMatchObject({ read: CONTENT });
});
