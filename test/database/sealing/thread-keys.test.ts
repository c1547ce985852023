import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KeyRing, secretKey, serviceKey } from '../../../src/core/key-ring.ts';
import { nameOf, OF_NO_THREAD } from '../../../src/core/data-key.ts';
import { Database, type Queryable } from '../../../src/database/database.ts';
import { migrate } from '../../../src/database/migrate.ts';
import { KEY_CACHE_MS, ThreadKeys } from '../../../src/database/sealing/thread-keys.ts';
import { testDatabase, type TestDatabase } from '../../postgres.ts';
import { log } from '../../state/stores.ts';

let test: TestDatabase;
let database: Database;
beforeAll(async () => {
  test = await testDatabase();
  database = new Database({ url: test.url, log, applicationName: 'test' });
  await migrate(database);
});
afterAll(async () => {
  await database.close();
  await test.drop();
});

const one = secretKey('one', randomBytes(32));
const two = secretKey('two', randomBytes(32));

describe('the key of a thread', () => {
  it('is one, whoever asks for it first, and stays', async () => {
    const processes = [1, 2, 3].map(() => new ThreadKeys(database, new KeyRing([one])));
    const keys = await Promise.all([...processes, ...processes].map(async (keys) => keys.of('first')));
    expect(new Set(keys.map(({ secret }) => secret.toString('hex'))).size).toBe(1);
    const later = new ThreadKeys(database, new KeyRing([one]));
    const [key] = keys;
    expect((await later.find('first'))?.secret).toEqual(key?.secret);
    expect((await later.byId(key?.id ?? Buffer.alloc(16)))?.thread_id).toBe('first');
    expect(await later.find('another')).toBeNull();
  });

  it('stands nowhere in clear', async () => {
    const key = await new ThreadKeys(database, new KeyRing([one])).of('hidden');
    const [row] = await database.query<{ wrapped: Buffer }>(
      `select * from baton.thread_keys where thread_id = 'hidden'`,
    );
    expect(row?.wrapped.toString('hex')).not.toContain(key.secret.toString('hex').slice(0, 16));
    expect(nameOf(key, 'content', 'x')).not.toBe(nameOf(key, 'effect', 'x'));
  });

  it('is read by an older key of BATON_KEYS, and made by the first', async () => {
    const keys = new ThreadKeys(database, new KeyRing([two, one]));
    expect(await keys.find('hidden')).not.toBeNull();
    await keys.of('newer');
    const [row] = await database.query(`select kek_id from baton.thread_keys where thread_id = 'newer'`);
    expect(row).toEqual({ kek_id: 'two' });
  });

  it('cannot be taken for that of another thread', async () => {
    await new ThreadKeys(database, new KeyRing([one])).of('swapped');
    await database.query(
      `update baton.thread_keys set wrapped = (select wrapped from baton.thread_keys where thread_id = 'hidden') where thread_id = 'swapped'`,
    );
    const ring = new KeyRing([one]);
    await expect(new ThreadKeys(database, ring).of('swapped')).rejects.toMatchObject({ code: 'unreadable_value' });
  });

  it('is not used for longer than a deleted thread’s id rests', async () => {
    let now = 0;
    const keys = new ThreadKeys(database, new KeyRing([one]), () => now);
    await keys.of('short');
    await database.query(`delete from baton.thread_keys where thread_id = 'short'`);
    now = KEY_CACHE_MS - 1;
    expect(keys.find('short')).not.toBeInstanceOf(Promise);
    now = KEY_CACHE_MS;
    expect(await keys.find('short')).toBeNull();
  });

  it('is found by its maker though somebody looked for it just before', async () => {
    let made = () => {};
    const insert = new Promise<void>((resolve) => {
      made = resolve;
    });
    let selects = 0;
    let looked: unknown;
    const slow: Queryable = {
      async query<T>(sql: string, values?: readonly unknown[]): Promise<T[]> {
        if (sql.startsWith('select')) {
          selects += 1;
          if (selects !== 2) return database.query<T>(sql, values);
          // It sees the table as it was before the insert, and says so after it.
          await insert;
          return [];
        }
        looked = keys.find('raced');
        const rows = await database.query<T>(sql, values);
        setImmediate(made);
        return rows;
      },
    };
    const keys = new ThreadKeys(slow, new KeyRing([one]));
    expect((await keys.of('raced')).thread_id).toBe('raced');
    expect(await looked).toBeNull();
  });

  it('goes with its thread', async () => {
    const id = '00000000-0000-4000-8000-000000000001';
    await database.query('insert into baton.threads (thread_id) values ($1)', [id]);
    await new ThreadKeys(database, new KeyRing([one])).of(id);
    await database.query('delete from baton.threads where thread_id = $1', [id]);
    expect(await new ThreadKeys(database, new KeyRing([one])).find(id)).toBeNull();
  });
});

describe('rotation', () => {
  it('wraps every key anew, so that the old one can go', async () => {
    const { id } = one;
    await database.query(`delete from baton.thread_keys where kek_id <> $1 or thread_id = 'swapped'`, [id]);
    const before = await new ThreadKeys(database, new KeyRing([one])).of('kept');
    await new ThreadKeys(database, new KeyRing([one])).check();
    expect(await new ThreadKeys(database, new KeyRing([two, one])).rotate()).toBeGreaterThan(1);
    expect(await new ThreadKeys(database, new KeyRing([two, one])).rotate()).toBe(0);
    const after = new ThreadKeys(database, new KeyRing([two]));
    await after.check();
    expect((await after.of('kept')).secret).toEqual(before.secret);
    expect(await new ThreadKeys(database, new KeyRing([one, two])).rotate()).toBeGreaterThan(1);
  });
});

describe('BATON_KEYS', () => {
  it('is refused in one line when it is not what the stored keys were wrapped by', async () => {
    await new ThreadKeys(database, new KeyRing([one])).of(OF_NO_THREAD);
    await expect(new ThreadKeys(database, new KeyRing([two])).check()).rejects.toThrow(
      /^BATON_KEYS has no key "one".*$/,
    );
    const wrong = new KeyRing([secretKey('one', randomBytes(32))]);
    await expect(new ThreadKeys(database, wrong).check()).rejects.toThrow(
      /^The key "one" of BATON_KEYS does not open.*$/,
    );
    expect(() => new KeyRing([])).toThrow('baton key --encryption');
    expect(() => new KeyRing([one, two, one])).toThrow('two keys of the id "one"');
  });

  it('may be a service that keeps its key to itself', async () => {
    const asked: unknown[] = [];
    class Service {
      id = 'vault';
      readonly #pad = 0x5a;
      wrap(bytes: Uint8Array, context: unknown): Promise<Uint8Array> {
        asked.push(context);
        return Promise.resolve(bytes.map((byte) => byte ^ this.#pad));
      }
      unwrap(bytes: Uint8Array): Promise<Uint8Array> {
        return Promise.resolve(bytes.map((byte) => byte ^ this.#pad));
      }
    }
    const ring = new KeyRing([serviceKey(new Service(), 'kms.ts'), one]);
    const key = await new ThreadKeys(database, ring).of('served');
    expect(asked).toEqual([{ thread_id: 'served', key_id: expect.any(String) as string }]);
    expect((await new ThreadKeys(database, ring).of('served')).secret).toEqual(key.secret);
    expect(() => serviceKey({ wrap: 1 }, 'kms.ts')).toThrow('export { id, wrap');
  });
});
