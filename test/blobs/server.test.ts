import { mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Database } from '../../src/database/database.ts';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';
import { log } from '../state/stores.ts';
import { bigText } from './fixtures/big-graph.ts';

const FILE = new URL('./fixtures/big-graph.ts', import.meta.url).pathname;
const GRAPHS = { big: { file: FILE, exportName: 'big', description: null } };

let folder: string;
let server: TestServer;
let database: Database;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'baton-blobs-'));
  const blobs = { url: `disk:${folder}`, limitBytes: 65_536, credentials: {} };
  server = await testServer({ graphs: GRAPHS, settings: { blobs } });
  database = new Database({ url: server.config.databaseUrl ?? '', log, applicationName: 'test' });
});

afterAll(async () => {
  await database.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

async function objects(): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return names.filter((name) => /\.\d+$/.test(name) && !name.includes('~owner'));
}

async function sweep() {
  // The lease of what was just uploaded.
  await database.query(`update baton.blobs set lease_until = now()`);
  return server.baton.sweepBlobs({ olderThanMs: 0 });
}

describe('a thread with a big value', () => {
  test('keeps it in the blob store once, and shows it as ever', async () => {
    const { client } = server;
    const thread = await client.threads.create();
    await client.runs.wait(thread.thread_id, 'big', { input: { steps: ['begun'] } });
    expect(await objects()).toHaveLength(1);
    const [name = ''] = await objects();
    expect(await readFile(join(folder, name), 'utf8')).toBe(JSON.stringify(bigText('raw')));
    const rows = await database.query<{ n: number }>(
      'select coalesce(max(length(body)), 0) n from baton_state.values where thread_id = $1',
      [thread.thread_id],
    );
    expect(rows[0]?.n).toBeLessThan(128);

    const state = await client.threads.getState<{ raw: string }>(thread.thread_id);
    expect(state.values.raw).toBe(bigText('raw'));
    const history = await client.threads.getHistory<{ raw?: string }>(thread.thread_id);
    expect(history.filter(({ values }) => values.raw === bigText('raw')).length).toBeGreaterThan(1);
    const values = await client.runs.wait(thread.thread_id, 'big', { command: { resume: 'look' } });
    expect(values).toMatchObject({ size: 200_000, raw: bigText('raw') });
  });

  test('shares it with copies and other threads; the last one that goes takes it along', async () => {
    const { client } = server;
    await sweep();
    const before = await client.threads.search();
    for (const { thread_id } of before) await client.threads.delete(thread_id);
    const first = await client.threads.create();
    const second = await client.threads.create();
    for (const { thread_id } of [first, second]) await client.runs.wait(thread_id, 'big', { input: {} });
    const copy = (await client.threads.copy(first.thread_id)) as unknown as { thread_id: string };
    expect(await objects()).toHaveLength(1);
    await client.threads.delete(first.thread_id);
    await client.threads.delete(second.thread_id);
    expect(await sweep()).toMatchObject({ unused: { count: 0 }, unknown: { count: 0 }, stale: 0 });
    const values = await client.runs.wait(copy.thread_id, 'big', { command: { resume: 'look' } });
    expect(values).toMatchObject({ size: 200_000 });

    await client.threads.delete(copy.thread_id);
    expect(await server.baton.sweepBlobs({ olderThanMs: 0, dryRun: true })).toMatchObject({ unused: { count: 1 } });
    expect(await objects()).toHaveLength(1);
    expect(await sweep()).toEqual({ stale: 0, unused: { count: 1, bytes: 200_002 }, unknown: { count: 0, bytes: 0 } });
    expect(await objects()).toEqual([]);
  });

  test('is freed of references that a lost writer left, under its turn', async () => {
    const { client } = server;
    const thread = await client.threads.create();
    await client.runs.wait(thread.thread_id, 'big', { input: {} });
    // As if a worker had died between the reference and the checkpoint.
    await database.query(
      `insert into baton.blob_refs (thread_id, value_id, hash, gen) select thread_id, 'lost', hash, gen from baton.blob_refs`,
    );
    expect(await server.baton.sweepBlobs({ olderThanMs: 60_000, dryRun: true })).toMatchObject({ stale: 0 });
    expect(await server.baton.sweepBlobs({ olderThanMs: 0, dryRun: true })).toMatchObject({ stale: 1 });
    expect(await sweep()).toMatchObject({ stale: 1, unused: { count: 0 } });
    const values = await client.runs.wait(thread.thread_id, 'big', { command: { resume: 'look' } });
    expect(values).toMatchObject({ size: 200_000 });
  });

  test('whose object is gone says so, and can be deleted', async () => {
    const { client } = server;
    const thread = await client.threads.create();
    await client.runs.wait(thread.thread_id, 'big', { input: {} });
    await rename(folder, `${folder}-away`);
    await expect(client.threads.getState(thread.thread_id)).rejects.toThrow(/503.*is mounted/);
    await rename(`${folder}-away`, folder);
    for (const name of await objects()) await rm(join(folder, name));
    await expect(client.threads.getState(thread.thread_id)).rejects.toThrow(/blob .* is not in the store/);
    await client.threads.delete(thread.thread_id);
    await sweep().catch(() => undefined);
  });
});
