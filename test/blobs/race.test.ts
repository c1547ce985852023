import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BlobCollector } from '../../src/blobs/blob-collector.ts';
import { BlobVault } from '../../src/blobs/blob-vault.ts';
import { OffloadingDriver } from '../../src/blobs/offloading-driver.ts';
import { readStub } from '../../src/blobs/stub.ts';
import { blobName, type BlobStore } from '../../src/core/blob.ts';
import { ServiceError } from '../../src/core/errors.ts';
import { Blobs } from '../../src/database/blobs.ts';
import { Database } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { MemoryDriver } from '../../src/state/drivers/memory/memory-driver.ts';
import { type TestDatabase, testDatabase } from '../postgres.ts';
import { Random } from '../random.ts';
import { log } from '../state/stores.ts';
import { FaultyStore } from './faulty-store.ts';

const WORK_MS = 5000;
const SEED = Number(process.env.BATON_TEST_SEED ?? 7);

let testing: TestDatabase;
let database: Database;

beforeAll(async () => {
  testing = await testDatabase();
  database = new Database({ url: testing.url, log, applicationName: 'race test' });
  await migrate(database);
});

afterAll(async () => {
  await database.close();
  await testing.drop();
});

/** Few, so that threads share them all the time. */
const CONTENTS = Array.from({ length: 24 }, (_, n) => Buffer.from(`${n}:${'x'.repeat(300 + n)}`));
const idOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('base64url').slice(0, 22);

/** A thread is one actor's at a time, as by its turn. */
class Turns {
  readonly #last = new Map<string, Promise<void>>();

  take(thread: string, work: () => Promise<void>): Promise<void> {
    const turn = (this.#last.get(thread) ?? Promise.resolve()).then(work);
    this.#last.set(
      thread,
      turn.catch(() => undefined),
    );
    return turn;
  }
}

test(`writers, forks, prunes, deletes and two collectors lose nothing and leave nothing (seed ${SEED})`, async () => {
  const random = new Random(SEED);
  const store = new FaultyStore(random);
  const blobs = new Blobs(database);
  const driver = new MemoryDriver();
  // Hostile: most uploads take longer than the lease.
  const vaults = [0, 1, 5].map((leaseMs) => new BlobVault({ store, blobs, leaseMs }));
  const drivers = vaults.map((vault) => new OffloadingDriver({ driver, vault, limitBytes: 200 }));
  const collectors = [0, 1].map(() => new BlobCollector({ store, blobs }));
  const turns = new Turns();
  const threads = Array.from({ length: 5 }, (_, n) => `thread-${n}`);
  const counts = { puts: 0, copies: 0, prunes: 0, deletes: 0, checks: 0, refused: 0, collected: 0 };
  const runs = new Map<string, string[]>();
  const endMs = performance.now() + WORK_MS;

  const actor = async (step: () => Promise<void>): Promise<void> => {
    while (performance.now() < endMs) {
      await step().catch((error: unknown) => {
        if (!(error instanceof ServiceError)) throw error;
        counts.refused += 1;
      });
      await delay(random.int(0, 2));
    }
  };

  const write = async (): Promise<void> => {
    const thread = random.pick(threads);
    await turns.take(thread, async () => {
      const contents = [random.pick(CONTENTS), random.pick(CONTENTS)];
      const values = new Map(contents.map((bytes) => [idOf(bytes), bytes]));
      const run = `run-${counts.puts++}`;
      const row = {
        thread_id: thread,
        checkpoint_ns: '',
        checkpoint_id: `${counts.puts}`.padStart(8, '0'),
        parent_id: null,
        run_id: run,
        body: randomBytes(8),
      };
      await random.pick(drivers).put({ row, values, value_ids: [...values.keys()], search: '{}', deltas: false });
      runs.set(thread, [...(runs.get(thread) ?? []), run]);
    });
  };

  const prune = async (): Promise<void> => {
    const thread = random.pick(threads);
    await turns.take(thread, async () => {
      const gone = runs.get(thread)?.splice(0, random.int(0, 3)) ?? [];
      for (const run of gone) await random.pick(drivers).deleteRun(thread, run);
      counts.prunes += gone.length;
    });
  };

  const remove = async (): Promise<void> => {
    const thread = random.pick(threads);
    await turns.take(thread, () => random.pick(drivers).deleteThread(thread));
    runs.delete(thread);
    counts.deletes += 1;
  };

  /** Copies a thread while it is written: only the target is taken. */
  const copy = async (): Promise<void> => {
    const [from, to] = [random.pick(threads), random.pick(threads)];
    if (from === to) return;
    await turns.take(to, () => random.pick(drivers).copyThread(from, to));
    counts.copies += 1;
  };

  /** Every value that is stored has its object, with the right content. */
  const check = async (thread: string): Promise<void> => {
    for (const [id, stored] of await driver.values(thread)) {
      const stub = readStub(stored);
      expect(stub, 'a big value left for the blob store').toBeDefined();
      if (stub === undefined) continue;
      const bytes = await vaults[0]?.load(stub);
      expect(idOf(bytes ?? Buffer.alloc(0))).toBe(id);
      counts.checks += 1;
    }
  };
  const checkOne = async (): Promise<void> => {
    const thread = random.pick(threads);
    await turns.take(thread, async () => {
      await check(thread).catch((error: unknown) => {
        throw new Error(`a live object was lost: ${String(error)}`, { cause: error });
      });
    });
  };

  const collect = (collector: BlobCollector | undefined) => async (): Promise<void> => {
    counts.collected += (await collector?.collect())?.count ?? 0;
  };

  await Promise.all([
    ...Array.from({ length: 4 }, () => actor(write)),
    actor(prune),
    actor(prune),
    actor(prune),
    actor(remove),
    actor(copy),
    actor(checkOne),
    ...collectors.map((collector) => actor(collect(collector))),
  ]);
  await store.settled();
  store.faulty = false;
  for (const thread of threads) await check(thread);

  // What fenced and failed writers left is found; then every object that is there is one that a thread names.
  for (const thread of threads) {
    const stored = await driver.values(thread);
    await blobs.release(
      thread,
      (await blobs.refsOf(thread)).filter(({ value_id }) => !stored.has(value_id)),
    );
  }
  await delay(10);
  await collectors[0]?.sweep({ olderThanMs: 0 });
  const named = new Set<string>();
  for (const thread of threads) {
    for (const stored of (await driver.values(thread)).values()) {
      const stub = readStub(stored);
      if (stub) named.add(`${stub.hash}.${stub.gen}`);
    }
    await check(thread);
  }
  expect([...store.objects.keys()].toSorted()).toEqual([...named].toSorted());
  const [{ rows } = { rows: -1 }] = await database.query<{ rows: number }>('select count(*) as rows from baton.blobs');
  expect(rows).toBe(named.size);
  // The test would say nothing if hardly anything had happened.
  expect(counts.checks).toBeGreaterThan(20);
  expect(counts.collected).toBeGreaterThan(5);
  expect(counts.refused).toBeGreaterThan(5);
  if (process.env.BATON_TEST_TELL) console.log(counts);
});

test('a writer whose upload lands after its object was collected takes it back, and begins anew under another name', async () => {
  const blobs = new Blobs(database);
  const store = new FaultyStore(new Random(SEED));
  store.faulty = false;
  const collector = new BlobCollector({ store, blobs });
  const names: string[] = [];
  const late: BlobStore = {
    get: (name) => store.get(name),
    getSync: (name) => store.getSync(name),
    delete: (name) => store.delete(name),
    list: (after, limit) => store.list(after, limit),
    close: () => store.close(),
    put: async (name, bytes) => {
      names.push(name);
      // Its lease is over before it has begun; the second one is in time.
      if (names.length === 1) await collector.collect();
      await store.put(name, bytes);
    },
  };
  const vault = new BlobVault({ store: late, blobs, leaseMs: 0 });
  const key = await vault.keep('late', { value_id: 'v', hash: 'late', bytes: Buffer.from('x') });
  expect(names).toHaveLength(2);
  expect(new Set(names).size).toBe(2);
  expect([...store.objects.keys()]).toEqual([blobName(key)]);
});

test('a collection takes all that nobody uses, however much of what was released is in use elsewhere', async () => {
  const blobs = new Blobs(database);
  const store = new FaultyStore(new Random(SEED));
  store.faulty = false;
  const vault = new BlobVault({ store, blobs, leaseMs: 0 });
  const keep = (thread: string, value_id: string) =>
    vault.keep(thread, { value_id, hash: value_id, bytes: Buffer.from(value_id) });
  // More than one batch, and what may go comes last.
  const shared = Array.from({ length: 120 }, (_, n) => `shared-${n}`);
  for (const id of shared) await Promise.all([keep('releases', id), keep('uses', id)]);
  await keep('releases', 'unshared');
  await blobs.release('releases', await blobs.refsOf('releases'));
  expect(await new BlobCollector({ store, blobs }).collect()).toMatchObject({ count: 1 });
  expect(store.objects.size).toBe(shared.length);
});
