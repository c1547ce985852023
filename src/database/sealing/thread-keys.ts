import { randomBytes } from 'node:crypto';
import { dataKey, type DataKey, type DataKeys, OF_NO_THREAD } from '../../core/data-key.ts';
import type { KeyContext, KeyRing } from '../../core/key-ring.ts';
import type { Queryable } from '../database.ts';

/**
 * How long a key is used without asking whether it is still there. A deleted thread's id is not given to another one before
 * that is over: see `Threads.forgetDeleted`.
 */
export const KEY_CACHE_MS = 20_000;
const MAX_CACHED = 20_000;

interface KeyRow {
  thread_id: string;
  key_id: string;
  kek_id: string;
  wrapped: Buffer;
}
interface CachedKey {
  key: DataKey;
  at: number;
}

const COLUMNS = 'thread_id, key_id, kek_id, wrapped';

/** The keys of threads, as table `thread_keys` keeps them: wrapped. In memory they are open. */
export class ThreadKeys implements DataKeys {
  readonly #db: Queryable;
  readonly #ring: KeyRing;
  readonly #now: () => number;
  readonly #ofThread = new Map<string, CachedKey>();
  readonly #byId = new Map<string, CachedKey>();
  readonly #loading = new Map<string, Promise<DataKey | null>>();

  /**
   * @param database With connections that nobody holds while he waits for a key.
   * @param now Milliseconds that never go back.
   */
  constructor(database: Queryable, ring: KeyRing, now = () => performance.now()) {
    this.#db = database;
    this.#ring = ring;
    this.#now = now;
  }

  /**
   * Makes none: the first key seals the control plane for good.
   * @throws ServiceError in one line when BATON_KEYS is not what the stored keys were wrapped by.
   */
  async check(): Promise<void> {
    await this.find(OF_NO_THREAD);
  }

  of(threadId: string): DataKey | Promise<DataKey> {
    return this.#cached(this.#ofThread, threadId) ?? this.#findOrMake(threadId);
  }

  find(threadId: string): DataKey | null | Promise<DataKey | null> {
    return this.#cached(this.#ofThread, threadId) ?? this.#load('thread_id', threadId);
  }

  byId(id: Buffer): DataKey | null | Promise<DataKey | null> {
    return this.#cached(this.#byId, id.toString('hex')) ?? this.#load('key_id', uuidOf(id));
  }

  async #findOrMake(threadId: string): Promise<DataKey> {
    return (await this.find(threadId)) ?? this.#make(threadId);
  }

  async #make(threadId: string): Promise<DataKey> {
    const secret = randomBytes(32);
    const context: KeyContext = { thread_id: threadId, key_id: uuidOf(randomBytes(16)) };
    const { kek_id, wrapped } = await this.#ring.wrap(secret, context);
    await this.#db.query(
      'insert into baton.thread_keys (thread_id, key_id, kek_id, wrapped) values ($1, $2, $3, $4) on conflict do nothing',
      [threadId, context.key_id, kek_id, wrapped],
    );
    // Whoever was first has made the thread's key. Not by a query that others wait for: it may have begun before the insert.
    const key = await this.#read('thread_id', threadId);
    if (key === null) throw new Error(`the key of thread ${threadId} was deleted as it was made`);
    return key;
  }

  /** Asked for many times at once, it is read once. */
  #load(column: 'thread_id' | 'key_id', value: string): Promise<DataKey | null> {
    const loading = this.#loading.get(`${column} ${value}`);
    if (loading !== undefined) return loading;
    const load = this.#read(column, value).finally(() => this.#loading.delete(`${column} ${value}`));
    this.#loading.set(`${column} ${value}`, load);
    return load;
  }

  async #read(column: 'thread_id' | 'key_id', value: string): Promise<DataKey | null> {
    const at = this.#now();
    const [row] = await this.#db.query<KeyRow>(`select ${COLUMNS} from baton.thread_keys where ${column} = $1`, [
      value,
    ]);
    if (row === undefined) return null;
    const id = idOf(row.key_id);
    // It stays what it is as long as it is there: a key service is not asked again and again.
    const known = this.#byId.get(id.toString('hex'))?.key;
    const key = known ?? dataKey(row.thread_id, id, await this.#ring.unwrap(row, row));
    const entry = { key, at };
    add(this.#ofThread, row.thread_id, entry);
    add(this.#byId, key.id.toString('hex'), entry);
    return key;
  }

  /**
   * Wraps all keys by the first of BATON_KEYS, the server's own last: a server that starts without an older one then knows that
   * it is not needed. May be broken off and done again. Returns how many it wrapped.
   */
  async rotate(): Promise<number> {
    for (let count = 0; ;) {
      const rows = await this.#db.query<KeyRow>(
        `select ${COLUMNS} from baton.thread_keys where kek_id <> $1 order by thread_id desc limit 500`,
        [this.#ring.writes],
      );
      if (rows.length === 0) return count;
      for (const row of rows) {
        const { kek_id, wrapped } = await this.#ring.wrap(await this.#ring.unwrap(row, row), row);
        await this.#db.query(
          'update baton.thread_keys set kek_id = $2, wrapped = $3 where key_id = $1 and kek_id = $4',
          [row.key_id, kek_id, wrapped, row.kek_id],
        );
      }
      count += rows.length;
    }
  }

  /** How many keys each of BATON_KEYS, or one that was there, has wrapped. */
  async wrappedBy(): Promise<Map<string, number>> {
    const rows = await this.#db.query<{ kek_id: string; count: number }>(
      'select kek_id, count(*) count from baton.thread_keys group by kek_id order by kek_id',
    );
    return new Map(rows.map(({ kek_id, count }) => [kek_id, count]));
  }

  #cached(cache: Map<string, CachedKey>, name: string): DataKey | undefined {
    const entry = cache.get(name);
    return entry !== undefined && this.#now() - entry.at < KEY_CACHE_MS ? entry.key : undefined;
  }
}

function add(cache: Map<string, CachedKey>, name: string, entry: CachedKey): void {
  cache.delete(name);
  cache.set(name, entry);
  if (cache.size <= MAX_CACHED) return;
  const [oldest] = cache.keys();
  if (oldest !== undefined) cache.delete(oldest);
}

function uuidOf(id: Buffer): string {
  return id.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function idOf(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}
