import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { BlobCollector } from '../../../src/blobs/blob-collector.ts';
import { BlobVault } from '../../../src/blobs/blob-vault.ts';
import { DiskStore } from '../../../src/blobs/disk-store.ts';
import { type BlobTotals, Blobs } from '../../../src/database/blobs.ts';
import { Database } from '../../../src/database/database.ts';
import { migrate } from '../../../src/database/migrate.ts';
import { Threads } from '../../../src/database/threads.ts';
import { BlobSweeper } from '../../../src/engine/blobs/blob-sweeper.ts';
import { testDatabase } from '../../postgres.ts';
import { log } from '../../state/stores.ts';

/** Counts as slowly as the test likes. */
class SlowBlobs extends Blobs {
  readonly counts: { resolve: (totals: BlobTotals) => void; reject: (error: Error) => void }[] = [];
  override stored(): Promise<BlobTotals> {
    return new Promise((resolve, reject) => this.counts.push({ resolve, reject }));
  }
}

it('blobs are counted once for all who watch; when that takes long or fails, they see the last number', async () => {
  const testing = await testDatabase();
  const database = new Database({ url: testing.url, log, applicationName: 'test' });
  const folder = await mkdtemp(join(tmpdir(), 'baton-sweeper-'));
  onTestFinished(async () => {
    await database.close();
    await testing.drop();
    await rm(folder, { recursive: true });
  });
  await migrate(database);
  const blobs = new SlowBlobs(database);
  const store = new DiskStore(folder);
  const sweeper = new BlobSweeper({
    blobs,
    collector: new BlobCollector({ store, blobs }),
    vault: new BlobVault({ store, blobs }),
    threads: new Threads(database),
    stores: {
      of: (name) => {
        throw new Error(`there is no store ${name}`);
      },
    },
    log,
  });
  const stored = { count: 3, bytes: 5 };
  const watched = [sweeper.counts(), sweeper.counts()];
  blobs.counts[0]?.resolve(stored);
  expect(await Promise.all(watched)).toMatchObject([{ stored }, { stored }]);
  expect(blobs.counts).toHaveLength(1);

  await sweeper.sweep({ olderThanMs: 0 });
  expect(await sweeper.counts()).toMatchObject({ stored, sweeps: 1 });
  const last = sweeper.counts();
  blobs.counts[1]?.reject(new Error('canceling statement due to statement timeout'));
  expect(await last).toMatchObject({ stored });
  expect(blobs.counts).toHaveLength(2);
});
