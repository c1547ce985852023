import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { BlobCollector } from '../../src/blobs/blob-collector.ts';
import { BlobOffload } from '../../src/blobs/blob-offload.ts';
import { BlobVault } from '../../src/blobs/blob-vault.ts';
import { DiskStore } from '../../src/blobs/disk-store.ts';
import { readStub } from '../../src/blobs/stub.ts';
import { blobName, type BlobStore } from '../../src/core/blob.ts';
import { plainCodec } from '../../src/core/codec.ts';
import { Blobs } from '../../src/database/blobs.ts';
import { Database } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { PostgresDriver } from '../../src/state/drivers/postgres/postgres-driver.ts';
import { DurableSaver } from '../../src/state/durable-saver.ts';
import { testDatabase } from '../postgres.ts';
import type { TestStore } from './stores.ts';

/** Everything that can be taken apart is, and every piece lies in a folder. What is in the folder at the end is looked at. */
export async function offloadingStore(): Promise<TestStore> {
  const log = pino({ level: 'silent' });
  const testing = await testDatabase();
  const database = new Database({ url: testing.url, log, applicationName: 'test' });
  await migrate(database);
  const folder = await mkdtemp(join(tmpdir(), 'baton-offloading-'));
  const store = new DiskStore(folder);
  const blobs = new Blobs(database);
  const offload = new BlobOffload(new BlobVault({ store, blobs, leaseMs: 0 }), 0);
  const driver = await PostgresDriver.open({ url: testing.url, log });
  const saver = new DurableSaver({
    driver: offload.driver(driver),
    codec: offload.codec(plainCodec),
    inlineChars: 3,
  });
  const close = async (): Promise<void> => {
    await saver.close();
    try {
      await check({ database, blobs, store });
    } finally {
      await database.close();
      await testing.drop();
      await rm(folder, { recursive: true });
    }
  };
  return { saver, url: testing.url, close };
}

interface Offloaded {
  database: Database;
  blobs: Blobs;
  store: BlobStore;
}

/** Each value that is stored has its object, with its content; once swept there are no others. */
async function check({ database, blobs, store }: Offloaded): Promise<void> {
  // What fenced writers made before they were refused. As BlobSweeper does, which knows of threads that are rows.
  const stale = await database.query<{ thread_id: string; value_id: string; touch: number }>(
    `select thread_id, value_id, touch from baton.blob_refs ref where not exists
     (select from baton_state.values where values.thread_id = ref.thread_id and values.id = ref.value_id)`,
  );
  for (const ref of stale) await blobs.release(ref.thread_id, [ref]);
  await new BlobCollector({ store, blobs }).sweep({ olderThanMs: 0 });
  const stored = await database.query<{ id: string; body: Uint8Array }>('select id, body from baton_state.values');
  const named = new Set<string>();
  for (const { id, body } of stored) {
    const stub = readStub(body);
    assert(stub, `the value ${id} was not offloaded`);
    const name = blobName(stub);
    if (named.has(name)) continue;
    named.add(name);
    const object = await store.get(name);
    assert(object, `the value ${id} has lost its object ${name}`);
    assert.equal(plainCodec.idOf(Buffer.from(object).toString('utf8'), ''), id);
  }
  const objects = await store.list(undefined, Number.MAX_SAFE_INTEGER);
  assert.deepEqual(objects.map(({ name }) => name).toSorted(), [...named].toSorted());
  const [row] = await database.query<{ refs: number }>('select count(*) refs from baton.blob_refs');
  assert.equal(row?.refs, stored.length);
}
