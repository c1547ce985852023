import { type BlobKey, FILE_MARK } from '../core/blob.ts';
import { outliveConnections } from '../core/connection-loss.ts';
import type { Database } from './database.ts';

export interface BlobClaim extends BlobKey {
  /** It is there and need not be uploaded. */
  is_live: boolean;
}

/** What a thread uses: a value of its state, or a file. */
export interface BlobRef extends BlobKey {
  value_id: string;
  /** Of the last time that it was made: who releases it, names this one. */
  touch: number;
  bytes: number;
  /** Of a file: its name and type, as its thread's codec has them. */
  about: Uint8Array | null;
}

export interface NewBlobRef extends BlobKey {
  value_id: string;
  about?: Uint8Array | null;
}

export interface BlobTotals {
  count: number;
  bytes: number;
}

/**
 * The rows behind the objects of a blob store: which there are, and who uses them.
 *
 * The row of an object is locked by whoever makes a reference to it and by whoever condemns it, and its state is read under
 * that lock. So a reference is only ever made to an object that nobody deletes. Every method may be done twice.
 */
export class Blobs {
  readonly #db: Database;
  constructor(database: Database) {
    this.#db = database;
  }

  /** Whose objects these are: the same for every server on this database. */
  async ownerId(): Promise<string> {
    const [row] = await this.#query<{ owner_id: string }>('select owner_id from baton.blob_owner');
    return row?.owner_id ?? '';
  }

  /** Announces an upload of `hash`, or finds the object that has it; nobody collects it for `leaseMs`. */
  async claim(hash: string, bytes: number, leaseMs: number): Promise<BlobClaim> {
    const [row] = await this.#query<BlobClaim>(
      `insert into baton.blobs as blob (hash, bytes, lease_until) values ($1, $2, now() + $3 * interval '1 millisecond')
       on conflict (hash) where state <> 'deleting'
       do update set lease_until = greatest(blob.lease_until, excluded.lease_until)
       returning hash, gen, state = 'live' as is_live`,
      [hash, bytes, leaseMs],
    );
    if (row === undefined) throw new TypeError('an upsert returned nothing');
    return row;
  }

  /** Makes a reference to an object that was uploaded. False when it is being deleted, or is gone. */
  async refer(threadId: string, { value_id, hash, gen, about = null }: NewBlobRef): Promise<boolean> {
    const rows = await this.#query(
      `with held as (
         update baton.blobs set state = 'live', loose = false where hash = $3 and gen = $4 and state <> 'deleting' returning hash, gen
       )
       insert into baton.blob_refs as ref (thread_id, value_id, hash, gen, about)
       select $1, $2, hash, gen, $5 from held
       on conflict (thread_id, value_id) do update set hash = excluded.hash, gen = excluded.gen,
         touch = excluded.touch, seen_at = excluded.seen_at,
         about = coalesce(excluded.about, ref.about)
       returning 1`,
      [threadId, value_id, hash, gen, about],
    );
    return rows.length > 0;
  }

  /** Gives a thread all references of another one. */
  async copy(fromThreadId: string, toThreadId: string): Promise<void> {
    await this.#query(
      `with held as (
         select ref.value_id, ref.hash, ref.gen, ref.about
         from baton.blob_refs ref join baton.blobs blob using (hash, gen)
         where ref.thread_id = $1 and blob.state <> 'deleting' order by ref.hash for share of blob
       )
       insert into baton.blob_refs (thread_id, value_id, hash, gen, about)
       select $2, value_id, hash, gen, about from held on conflict do nothing`,
      [fromThreadId, toThreadId],
    );
  }

  /** Whether any thread has something in a blob store. */
  async isReferredTo(): Promise<boolean> {
    return (await this.#query('select from baton.blob_refs limit 1')).length > 0;
  }

  async refsOf(threadId: string): Promise<BlobRef[]> {
    return this.#query(`${SELECT_REF} where thread_id = $1 order by value_id`, [threadId]);
  }

  async ref(threadId: string, valueId: string): Promise<BlobRef | null> {
    const [ref] = await this.#query<BlobRef>(`${SELECT_REF} where thread_id = $1 and value_id = $2`, [
      threadId,
      valueId,
    ]);
    return ref ?? null;
  }

  /** What a thread's references weigh: to values of its state, and to files. */
  async totals(threadId: string): Promise<{ values: BlobTotals; files: BlobTotals }> {
    const rows = await this.#query<BlobTotals & { is_file: boolean }>(
      `select starts_with(value_id, '${FILE_MARK}') is_file, count(*) count, sum(bytes)::float8 bytes
       from baton.blob_refs join baton.blobs using (hash, gen) where thread_id = $1 group by 1`,
      [threadId],
    );
    const of = (isFile: boolean): BlobTotals => {
      const { count = 0, bytes = 0 } = rows.find(({ is_file }) => is_file === isFile) ?? {};
      return { count, bytes };
    };
    return { values: of(false), files: of(true) };
  }

  /** Takes references back, but not those that were made again since they were read. Returns how many. */
  async release(threadId: string, refs: readonly Pick<BlobRef, 'value_id' | 'touch'>[]): Promise<number> {
    if (refs.length === 0) return 0;
    const [row] = await this.#query<{ released: number }>(
      // The object's row is locked first, as by whoever makes a reference.
      `with held as (
         select blob.hash, blob.gen, value_id, touch
         from baton.blob_refs ref join baton.blobs blob using (hash, gen)
           join unnest($2::text[], $3::bigint[]) as asked (value_id, touch) using (value_id, touch)
         where thread_id = $1 order by blob.hash for no key update of blob
       ),
       gone as (
         delete from baton.blob_refs ref using held
         where ref.thread_id = $1 and ref.value_id = held.value_id and ref.touch = held.touch
         returning ref.hash, ref.gen
       ),
       loosened as (
         update baton.blobs blob set loose = true from (select distinct hash, gen from gone) freed
         where blob.hash = freed.hash and blob.gen = freed.gen
       )
       select count(*) released from gone`,
      [threadId, refs.map(({ value_id }) => value_id), refs.map(({ touch }) => touch)],
    );
    return row?.released ?? 0;
  }

  /** Threads with references that nobody has looked at for that long, by their ids; `after` goes on. */
  async unseen(olderThanMs: number, limit: number, after = ''): Promise<string[]> {
    const rows = await this.#query<{ thread_id: string }>(
      `select distinct thread_id from baton.blob_refs
       where seen_at <= now() - $1 * interval '1 millisecond' and thread_id > $3 order by thread_id limit $2`,
      [olderThanMs, limit, after],
    );
    return rows.map(({ thread_id }) => thread_id);
  }

  /** Somebody has looked at the references of a thread. */
  async seen(threadId: string): Promise<void> {
    await this.#query('update baton.blob_refs set seen_at = now() where thread_id = $1', [threadId]);
  }

  /** All that is there. Reads the whole table. */
  async stored(): Promise<BlobTotals> {
    const [row] = await this.#query<BlobTotals>(
      `select count(*) count, coalesce(sum(bytes), 0)::float8 bytes from baton.blobs where state = 'live'`,
    );
    return row ?? { count: 0, bytes: 0 };
  }

  /** Objects that nobody uses or is about to use: how many the next collection would take. */
  async unused(): Promise<BlobTotals> {
    const [row] = await this.#query<BlobTotals>(
      `select count(*) count, coalesce(sum(bytes), 0)::float8 bytes
       from baton.blobs blob where loose and lease_until <= now() and not ${IS_USED}`,
    );
    return row ?? { count: 0, bytes: 0 };
  }

  /**
   * Looks at `limit` of those that were released, condemns those of them that nobody uses, and returns them with those that
   * were condemned before: their objects are to be deleted, then `forget` is to be told. `isAll`: there are no more.
   */
  async condemn(limit: number): Promise<{ condemned: BlobKey[]; isAll: boolean }> {
    return outliveConnections(() =>
      this.#db.transaction(async (tx) => {
        const locked = await tx.query<BlobKey>(
          `select hash, gen from baton.blobs
           where loose and state <> 'deleting' and lease_until <= now()
           order by lease_until limit $1 for update skip locked`,
          [limit],
        );
        // References are looked for in a statement of its own: it sees all that were made before the lock was given.
        await tx.query(
          `update baton.blobs blob set state = case when ${IS_USED} then state else 'deleting' end, loose = not ${IS_USED}
           from unnest($1::text[], $2::bigint[]) as found (hash, gen)
           where blob.hash = found.hash and blob.gen = found.gen and blob.lease_until <= now()`,
          columnsOf(locked),
        );
        const condemned = await tx.query<BlobKey>(
          `select hash, gen from baton.blobs where loose and state = 'deleting' order by lease_until limit $1`,
          [limit],
        );
        return { condemned, isAll: Math.max(locked.length, condemned.length) < limit };
      }),
    );
  }

  /** Their objects are deleted. Returns how many this call was the first to say. */
  async forget(keys: readonly BlobKey[]): Promise<BlobTotals> {
    const [row] = await this.#query<BlobTotals>(
      `with gone as (
         delete from baton.blobs blob using unnest($1::text[], $2::bigint[]) as deleted (hash, gen)
         where blob.hash = deleted.hash and blob.gen = deleted.gen and blob.state = 'deleting' returning bytes
       ) select count(*) count, coalesce(sum(bytes), 0)::float8 bytes from gone`,
      columnsOf(keys),
    );
    return row ?? { count: 0, bytes: 0 };
  }

  /** Those of the keys that have a row. A key without one never gets one again. */
  async known(keys: readonly BlobKey[]): Promise<BlobKey[]> {
    return this.#query<BlobKey>(
      `select hash, gen from baton.blobs join unnest($1::text[], $2::bigint[]) as asked (hash, gen) using (hash, gen)`,
      columnsOf(keys),
    );
  }

  #query<T>(text: string, values: readonly unknown[] = []): Promise<T[]> {
    return outliveConnections(() => this.#db.query<T>(text, values));
  }
}

const SELECT_REF = `select value_id, hash, gen, touch, bytes, about
  from baton.blob_refs join baton.blobs using (hash, gen)`;

/** Of a row `blob`. */
const IS_USED = `exists (select from baton.blob_refs ref where ref.hash = blob.hash and ref.gen = blob.gen)`;

function columnsOf(keys: readonly BlobKey[]): [string[], number[]] {
  return [keys.map(({ hash }) => hash), keys.map(({ gen }) => gen)];
}
