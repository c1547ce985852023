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
import type { PutCheckpoint, PutWrites } from '../../src/state/drivers/checkpoint-driver.ts';
import { PostgresDriver } from '../../src/state/drivers/postgres/postgres-driver.ts';
import { toKey } from '../../src/state/drivers/text-key.ts';
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
  const refused = noteRefused(driver);
  const saver = new DurableSaver({
    driver: offload.driver(driver),
    codec: offload.codec(plainCodec),
    inlineChars: 3,
  });
  const close = async (): Promise<void> => {
    await saver.close();
    try {
      await check({ database, blobs, store, refused });
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
  refused: ReadonlySet<string>;
}

/** The values of changes that the driver does not make, which fenced writers have uploaded before. */
function noteRefused(driver: PostgresDriver): ReadonlySet<string> {
  const refused = new Set<string>();
  const note = async (change: PutCheckpoint | PutWrites, made: Promise<void>): Promise<void> => {
    try {
      await made;
    } catch (error) {
      for (const id of change.values.keys()) refused.add(`${toKey(change.row.thread_id)} ${id}`);
      throw error;
    }
  };
  const [put, putWrites] = [driver.put.bind(driver), driver.putWrites.bind(driver)];
  driver.put = (change) => note(change, put(change));
  driver.putWrites = (change) => note(change, putWrites(change));
  return refused;
}

/** Each value that is stored has its object, with its content; once swept there are no others. */
async function check({ database, blobs, store, refused }: Offloaded): Promise<void> {
  // As BlobSweeper does, which knows of threads that are rows.
  const stale = await database.query<{ thread_id: string; value_id: string; touch: number }>(
    `select thread_id, value_id, touch from baton.blob_refs ref where not exists
     (select from baton_state.values where values.thread_id = ref.thread_id and values.id = ref.value_id)`,
  );
  for (const ref of stale) {
    const name = `${ref.thread_id} ${ref.value_id}`;
    assert(refused.has(name), `the value ${name} is gone, and its object was not released`);
    await blobs.release(ref.thread_id, [ref]);
  }
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
