import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DatabaseSync } from '@photostructure/sqlite';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SqliteDriver } from '../../src/state/drivers/sqlite/sqlite-driver.ts';
import { killed } from './processes.ts';

const WRITER = fileURLToPath(new URL('sqlite-writer.ts', import.meta.url));
/** Holds the file in the middle of a change. */
const HOLDER = `
  const { DatabaseSync } = require('@photostructure/sqlite');
  const database = new DatabaseSync(process.argv[1]);
  database.exec('begin immediate; delete from checkpoints');
  process.send('in the middle');
  setInterval(() => {}, 1000);
  process.once('disconnect', () => process.exit());`;

let folder: string;
let path: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'baton-sqlite-crash-'));
  path = join(folder, 'state.db');
});
afterAll(() => rm(folder, { recursive: true }));

/** Kills a writer when it has told of so many checkpoints; resolves to the last that it told of. */
async function killAfter(threadId: string, checkpoints: number): Promise<number> {
  const writer = fork(WRITER, [path, threadId], { execArgv: ['--import', 'tsx'] });
  let told = -1;
  await new Promise<void>((resolve, reject) => {
    writer.on('message', (step: number) => {
      told = step;
      if (step + 1 >= checkpoints) resolve();
    });
    writer.once('exit', (code) => reject(new Error(`the writer ended by itself with ${code}`)));
  });
  await killed(writer);
  return told;
}

it('two processes on one file are killed, and every checkpoint that they were told of is there, with what led to it', async () => {
  for (let round = 0; round < 3; round += 1) {
    const threads = [`a${round}`, `b${round}`];
    // The second is killed later, so that it meets what the first one left.
    const told = await Promise.all(threads.map((thread, index) => killAfter(thread, 20 + 7 * round + 30 * index)));
    const driver = await SqliteDriver.open({ url: `sqlite:${path}` });
    for (const [index, thread] of threads.entries()) {
      const line = (await driver.chain(thread, '', undefined, 10_000)).toReversed();
      expect(line.length).toBeGreaterThan(told[index] ?? 0);
      const values = await driver.values(
        thread,
        line.map((_, step) => `value ${step}`),
      );
      for (const [step, { row, writes }] of line.entries()) {
        const value = `value ${step}`;
        expect(row).toMatchObject({ checkpoint_id: String(step), parent_id: String(step - 1) });
        expect(Buffer.compare(row.body, Buffer.alloc(3000, value))).toBe(0);
        expect(Buffer.compare(values.get(value) ?? Buffer.of(), Buffer.alloc(20_000, value))).toBe(0);
        // Of the last one the next was perhaps not stored, and then neither what led to it.
        const led = step + 1 < line.length ? [`value ${step + 1}`] : [];
        expect(writes.map(({ body }) => Buffer.from(body).toString())).toEqual(led);
      }
    }
    await driver.close();
  }
  const database = new DatabaseSync(path);
  expect(database.prepare('pragma integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
  database.close();
});

it('a process that is killed in the middle of a change holds nobody up, and changes nothing', async () => {
  const driver = await SqliteDriver.open({ url: `sqlite:${path}` });
  await driver.fence('held up', 1);
  const holder = fork('-e', [HOLDER, path], { execArgv: [] });
  await once(holder, 'message');
  const waiting = driver.fence('held up', 2);
  await killed(holder);
  await waiting;
  expect(await driver.get('a0', '')).toBeDefined();
  await driver.close();
});
