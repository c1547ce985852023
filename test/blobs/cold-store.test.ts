import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Database } from '../../src/database/database.ts';
import { call } from '../sdk/fixtures/call.ts';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';
import { log } from '../state/stores.ts';
import { bigText } from './fixtures/big-graph.ts';

const file = new URL('./fixtures/archive-graph.ts', import.meta.url).pathname;
const text = bigText('contract');

let folder: string;
let server: TestServer;
let database: Database;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'baton-cold-'));
  const blobs = { url: `disk:${folder}`, limitBytes: 65_536, credentials: {} };
  const graphs = { archiving: { file, exportName: 'archiving', description: null } };
  server = await testServer({ graphs, settings: { blobs } });
  database = new Database({ url: server.config.databaseUrl ?? '', log, applicationName: 'test' });
});

afterAll(async () => {
  await database.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const threads = (path: string) => `${server.url}/threads${path}`;

async function objects(): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return names.filter((name) => /\.\d+$/.test(name) && !name.includes('~owner'));
}

async function sweep(): Promise<void> {
  // The lease of what was just uploaded.
  await database.query('update baton.blobs set lease_until = now()');
  await server.baton.sweepBlobs({ olderThanMs: 0 });
}

async function blobMetrics(): Promise<Record<string, number>> {
  const { text: lines } = await call(`${server.url}/metrics`, 'GET');
  const found = [...lines.matchAll(/^baton_(blob\w+) (\S+)$/gm)];
  return Object.fromEntries(found.map(([, name, value]) => [name, Number(value)]));
}

describe('a text that compact() moves to the cold store', () => {
  test('leaves a reference in the state, is told of, and is read by a late node after all else of it is pruned', async () => {
    const { client } = server;
    const { thread_id } = await client.threads.create();
    const values = await client.runs.wait(thread_id, 'archiving', { input: { text } });
    const ref = { blob_id: expect.any(String), name: 'text.txt', type: 'text/plain; charset=utf-8', bytes: 200_000 };
    expect(values).toMatchObject({ words: expect.any(Number), text: ref });

    // The text as a value of earlier checkpoints, and as a file.
    const { json: size } = await call(threads(`/${thread_id}/size`), 'GET');
    const { json: storage } = await call(threads(`/${thread_id}/storage`), 'GET');
    expect(size).toMatchObject({
      channels: { text: { stored: 'inline' }, words: { stored: 'inline' } },
      history: { blobs: { count: 1, bytes: 200_002 } },
      files: { count: 1, bytes: 200_000 },
    });
    expect(size.channels.text.bytes).toBeLessThan(200);
    expect(size.prunable.bytes).toBeGreaterThan(200_002);
    expect(storage).toMatchObject({ blobs: size.history.blobs, files: size.files });
    expect(size.total_bytes).toBe(storage.total_bytes + size.events.bytes);
    expect(storage.total_bytes).toBeGreaterThan(400_002);

    const { json: pruned } = await call(threads('/prune'), 'POST', { thread_ids: [thread_id], keep_last: 1 });
    expect(pruned).toMatchObject({ bytes: size.prunable.bytes, checkpoints: size.prunable.checkpoints });
    const { json: after } = await call(threads(`/${thread_id}/size`), 'GET');
    expect(after).toMatchObject({ history: { blobs: { count: 0, bytes: 0 } }, files: { count: 1 } });
    expect(await objects()).toHaveLength(2);
    expect(await blobMetrics()).toMatchObject({ blobs: 2, blob_bytes: 400_002, blobs_swept_total: 0 });
    await sweep();
    expect(await objects()).toHaveLength(1);
    const metrics = await blobMetrics();
    expect(metrics.blobs_put_total).toBeGreaterThanOrEqual(2);
    expect(metrics.blob_bytes_put_total).toBeGreaterThanOrEqual(400_002);
    expect(metrics).toMatchObject({
      blobs: 1,
      blob_bytes: 200_000,
      blobs_swept_total: 1,
      blob_bytes_swept_total: 200_002,
      blob_sweeps_total: 1,
      blob_sweeps_failed_total: 0,
    });

    const done = await client.runs.wait(thread_id, 'archiving', { command: { resume: 'quote' } });
    expect(done).toMatchObject({ text: ref, quote: text.slice(0, 20) });
  });

  test('is told of when it cannot be swept', async () => {
    const { client } = server;
    const { thread_id } = await client.threads.create();
    await client.runs.wait(thread_id, 'archiving', { input: { text: bigText('other') } });
    await client.threads.delete(thread_id);
    for (const name of await objects()) {
      await rm(join(folder, name));
      await mkdir(join(folder, name));
    }
    await expect(sweep()).rejects.toThrow(/blob folder .* cannot be written/);
    expect(await blobMetrics()).toMatchObject({ blob_sweeps_total: 2, blob_sweeps_failed_total: 1 });
  });
});
