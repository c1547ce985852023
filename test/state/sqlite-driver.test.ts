import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';
import { Annotation, END, START, StateGraph } from '@langchain/langgraph';
import { type BaseCheckpointSaver, emptyCheckpoint, uuid6 } from '@langchain/langgraph-checkpoint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FencedError } from '../../src/core/errors.ts';
import { FENCING_TOKEN_KEY } from '../../src/core/fencing.ts';
import type { PutCheckpoint } from '../../src/state/drivers/checkpoint-driver.ts';
import { SqliteDriver } from '../../src/state/drivers/sqlite/sqlite-driver.ts';
import { SqliteFile } from '../../src/state/drivers/sqlite/sqlite-file.ts';
import type { DurableSaver } from '../../src/state/durable-saver.ts';
import { openState } from '../../src/state/open-state.ts';
import { namingOutages } from '../../src/state/outages.ts';
import { log } from './stores.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'baton-sqlite-test-'));
});
afterAll(() => rm(folder, { recursive: true }));

const newPath = (): string => join(folder, `${randomUUID()}.db`);
const openAt = (path: string): Promise<DurableSaver> => openState({ url: `sqlite:${path}`, log });

const put = (on: DurableSaver, configurable: object, values: Record<string, unknown> = {}) => {
  const versions = Object.fromEntries(Object.keys(values).map((channel) => [channel, on.getNextVersion(undefined)]));
  const checkpoint = { ...emptyCheckpoint(), id: uuid6(0), channel_values: values, channel_versions: versions };
  return on.put({ configurable }, checkpoint, { source: 'loop', step: 0, parents: {} }, versions);
};

function change(thread_id: string = randomUUID(), body: Uint8Array = Buffer.from('{}')): PutCheckpoint {
  const row = { thread_id, checkpoint_ns: '', checkpoint_id: uuid6(0), parent_id: null, run_id: null, body };
  return { row, values: new Map(), value_ids: [], search: '{}', deltas: false };
}

/** Looks into a file beside its driver. */
function look(path: string, sql: string): Record<string, unknown>[] {
  const database = new DatabaseSync(path);
  const rows = database.prepare(sql).all() as Record<string, unknown>[];
  database.close();
  return rows;
}

/** A line of nodes that count, none of which ever waits. */
function counting(length: number, checkpointer: BaseCheckpointSaver) {
  const State = Annotation.Root({ n: Annotation<number>, big: Annotation<string> });
  const builder = new StateGraph(State);
  const names = Array.from({ length }, (_, index) => `node_${index}`);
  for (const name of names) builder.addNode(name, ({ n }: typeof State.State) => ({ n: n + 1 }));
  const path = [START, ...names, END];
  for (const [index, name] of path.slice(0, -1).entries())
    builder.addEdge(name as typeof START, path[index + 1] as typeof END);
  return builder.compile({ checkpointer });
}

describe('opening', () => {
  it('works for six at once, in a folder that is not there yet', async () => {
    const path = join(folder, 'not', 'there', 'state.db');
    const savers = await Promise.all(Array.from({ length: 6 }, () => openAt(path)));
    const config = await put(savers[0] as DurableSaver, { thread_id: 't' }, { v: 1 });
    for (const other of savers) expect((await other.get(config))?.channel_values).toEqual({ v: 1 });
    await Promise.all(savers.map((other) => other.close()));
    // All that was committed is in the one file, which can be copied as it is.
    expect((await stat(`${path}-wal`)).size).toBe(0);
  });

  it.each([
    ['sqlite::memory:', 'invalid_input', /use memory:$/],
    ['sqlite:/state.db?mode=ro', 'invalid_input', /\?mode=ro.*it has no options/],
  ])('refuses %s', async (url, code, message) => {
    await expect(openState({ url, log })).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('refuses a folder, a file that is no database, that of another program, and that of a newer Baton', async () => {
    const [directory, text, foreign, newer] = [newPath(), newPath(), newPath(), newPath()];
    await mkdir(directory);
    await writeFile(text, 'x'.repeat(10_000));
    look(foreign, 'create table theirs (id integer)');
    await (await openAt(newer)).close();
    look(newer, 'pragma user_version = 1000');
    const below = join(text, 'state.db');
    const nowhere = '/proc/baton/below/state.db';
    const faults = {
      [below]: 'The folder of the state file',
      [nowhere]: 'The folder of the state file',
      [directory]: 'cannot be opened',
      [text]: 'is no SQLite database',
      [foreign]: 'another program',
    };
    for (const [path, fault] of Object.entries({ ...faults, [newer]: 'written by a newer Baton' })) {
      const refusal = { code: 'unavailable', message: expect.stringContaining(fault) };
      await expect(openAt(path)).rejects.toMatchObject(refusal);
      await expect(openAt(path)).rejects.toMatchObject({ message: expect.stringContaining(path) });
    }
    expect(look(foreign, 'select name from sqlite_schema')).toEqual([{ name: 'theirs' }]);
    expect(look(foreign, 'pragma journal_mode')).toEqual([{ journal_mode: 'delete' }]);
  });
});

describe('the changes of one turn', () => {
  it('are made each in its own right, and none that an earlier one of its thread led to', async () => {
    const driver = await SqliteDriver.open({ url: `sqlite:${newPath()}` });
    const [good, bad, last] = [change(), change(undefined, {} as Uint8Array), change()];
    const led = change(bad.row.thread_id);
    const outcomes = await Promise.allSettled([good, bad, led, last].map((each) => driver.put(each)));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
    expect(await driver.get(last.row.thread_id, '')).toMatchObject({ row: { checkpoint_id: last.row.checkpoint_id } });
    expect(await driver.get(bad.row.thread_id, '')).toBeUndefined();
    await driver.close();
  });

  it('are in one commit', async () => {
    const path = newPath();
    const driver = await SqliteDriver.open({ url: `sqlite:${path}` });
    const before = (await stat(`${path}-wal`)).size;
    await driver.put(change('together'));
    const one = (await stat(`${path}-wal`)).size - before;
    await Promise.all(Array.from({ length: 20 }, () => driver.put(change('together'))));
    // Each commit writes the pages that it changed once more.
    expect((await stat(`${path}-wal`)).size - before - one).toBeLessThan(4 * one);
    await driver.close();
  });

  it('that are waiting are made before it closes', async () => {
    const path = newPath();
    const driver = await SqliteDriver.open({ url: `sqlite:${path}` });
    const waiting = driver.put(change());
    await Promise.all([driver.close(), waiting]);
    expect(look(path, 'select count(*) as n from checkpoints')).toEqual([{ n: 1 }]);
  });
});

it('timers go on beside ten graphs whose nodes never wait', async () => {
  const saver = await openAt(newPath());
  let ticks = 0;
  const timer = setInterval(() => (ticks += 1), 1);
  const runs = Array.from({ length: 10 }, () =>
    counting(20, saver).invoke(
      { n: 0, big: '' },
      { configurable: { thread_id: randomUUID() }, durability: 'sync', recursionLimit: 50 },
    ),
  );
  const results = await Promise.all(runs);
  clearInterval(timer);
  expect(results.map(({ n }) => n)).toEqual(Array.from({ length: 10 }, () => 20));
  // One a commit, since each takes more than a millisecond with the steps it lets go on. With a MemorySaver there is none.
  expect(ticks).toBeGreaterThanOrEqual(15);
  await saver.close();
});

describe('the file', () => {
  it('holds a big value once, however many steps, writes and branches have it', async () => {
    const path = newPath();
    const saver = await openAt(path);
    const graph = counting(5, saver);
    const config = { configurable: { thread_id: randomUUID() } };
    const big = randomUUID().repeat(30_000);
    await graph.invoke({ n: 0, big }, config);
    const states = [];
    for await (const state of graph.getStateHistory(config)) states.push(state);
    await graph.invoke(null, states[2]?.config);
    await graph.updateState(config, { big });
    expect((await graph.getState(config)).values.big).toBe(big);
    await saver.close();
    expect((await stat(path)).size).toBeLessThan(1.1 * big.length);
  });

  it('gives back the space of what was deleted', async () => {
    const path = newPath();
    const saver = await openAt(path);
    await put(saver, { thread_id: 'small' }, { big: 'small '.repeat(1000) });
    for (const part of ['a', 'b', 'c']) await put(saver, { thread_id: 'big' }, { big: part.repeat(3_000_000) });
    await saver.deleteThread('big');
    expect(look(path, 'pragma freelist_count')).toEqual([{ freelist_count: 0 }]);
    await saver.close();
    expect((await stat(path)).size).toBeLessThan(200_000);
    for (const table of ['threads', 'checkpoints', 'big_values'])
      expect(look(path, `select count(*) as n from ${table}`)).toEqual([{ n: 1 }]);
  });

  it('that cannot give back space can be deleted in', async () => {
    const path = newPath();
    await (await openAt(path)).close();
    const database = new DatabaseSync(path);
    database.exec('pragma auto_vacuum = none; vacuum');
    database.close();
    const saver = await openAt(path);
    await put(saver, { thread_id: 'big' }, { big: 'a'.repeat(300_000) });
    await saver.deleteThread('big');
    expect(look(path, 'pragma freelist_count')).not.toEqual([{ freelist_count: 0 }]);
    await saver.close();
  });
});

describe('a file that cannot be written', () => {
  /** Of a connection that a test can change. */
  async function driverOf(path: string, options = {}): Promise<[SqliteDriver, DatabaseSyncInstance]> {
    const database = new DatabaseSync(path, options);
    return [namingOutages(new SqliteDriver(new SqliteFile(path, database)), path), database];
  }

  it('because the disk is full loses nothing that was acknowledged, and is written when there is space', async () => {
    const path = newPath();
    await (await openAt(path)).close();
    const [driver, database] = await driverOf(path);
    const [{ page_count }] = database.prepare('pragma page_count').all() as [{ page_count: number }];
    database.exec(`pragma max_page_count = ${page_count + 20}`);
    const [first, big] = [change(), change(undefined, Buffer.alloc(500_000))];
    await driver.put(first);
    const full = { code: 'unavailable', message: expect.stringMatching(/the disk is full: free some space/) };
    await expect(Promise.all([driver.put(big), driver.put(change())])).rejects.toMatchObject(full);
    expect(await driver.get(first.row.thread_id, '')).toMatchObject({
      row: { checkpoint_id: first.row.checkpoint_id },
    });
    expect(await driver.get(big.row.thread_id, '')).toBeUndefined();
    database.exec('pragma max_page_count = 1000000');
    await driver.put(big);
    expect(await driver.get(big.row.thread_id, '')).toBeDefined();
    await driver.close();
  });

  it('because it is read-only can be read', async () => {
    const path = newPath();
    const saver = await openAt(path);
    await put(saver, { thread_id: 't' }, { v: 1 });
    await saver.close();
    const [driver] = await driverOf(path, { readOnly: true });
    const refusal = { code: 'unavailable', message: expect.stringMatching(/is read-only: make the file/) };
    await expect(driver.put(change())).rejects.toMatchObject(refusal);
    expect(await driver.get('t', '')).toBeDefined();
    await driver.close();
  });

  it('because another process writes it is waited for, while timers go on and reads pass', async () => {
    const path = newPath();
    const saver = await openAt(path);
    await put(saver, { thread_id: 't' }, { v: 1 });
    const other = new DatabaseSync(path);
    other.exec('begin immediate');
    const waiting = put(saver, { thread_id: 't' }, { v: 2 });
    const ticks = await new Promise<number>((resolve) => {
      let count = 0;
      const timer = setInterval(() => {
        if ((count += 1) < 5) return;
        clearInterval(timer);
        resolve(count);
      }, 10);
    });
    expect(ticks).toBe(5);
    expect((await saver.get({ configurable: { thread_id: 't' } }))?.channel_values).toEqual({ v: 1 });
    other.exec('rollback');
    other.close();
    await waiting;
    expect((await saver.get({ configurable: { thread_id: 't' } }))?.channel_values).toEqual({ v: 2 });
    await saver.close();
  });
});

describe('a fence against a writer at full speed', () => {
  /** Puts one checkpoint after another until it is refused. */
  async function writeOn(on: DurableSaver, thread_id: string, token: number): Promise<number> {
    for (let made = 0; ; made += 1) {
      try {
        await put(on, { thread_id, [FENCING_TOKEN_KEY]: token }, { made });
      } catch (error) {
        if (error instanceof FencedError) return made;
        throw error;
      }
    }
  }

  it.each(['fenced', 'deleted'])('lets no write through that was not there when the thread was %s', async (how) => {
    const path = newPath();
    const [saver, other] = [await openAt(path), await openAt(path)];
    for (let round = 0; round < 10; round += 1) {
      const thread_id = randomUUID();
      await saver.fence(thread_id, 1);
      const writing = [writeOn(saver, thread_id, 1), writeOn(other, thread_id, 1)];
      await put(other, { thread_id: randomUUID() });
      await (how === 'fenced' ? other.fence(thread_id, 2) : other.deleteThread(thread_id));
      const stored = (): number =>
        look(path, `select seq from checkpoints join threads on number = thread where thread_id = '${thread_id}'`)
          .length;
      const then = stored();
      const made = (await Promise.all(writing)).reduce((a, b) => a + b);
      expect(stored()).toBe(then);
      expect(then).toBe(how === 'fenced' ? made : 0);
    }
    await Promise.all([saver.close(), other.close()]);
  });
});
