import { DatabaseError } from 'pg';
import { InvalidInputError } from '../../core/errors.ts';
import type { Database, Queryable } from '../database.ts';

/** Any fixed number: every Baton takes the same lock, so any number of them may start at once. */
const LOCK = 2024_0003;
const LIMIT_EXCEEDED = '54000';

/**
 * Brings the tables of PostgresStore up to date, and adds to them. `createTables` is its own set-up, which six servers that start
 * at once do not survive without the lock.
 * @throws InvalidInputError when vectors of `dims` numbers cannot be kept.
 */
export async function prepareTables(
  database: Database,
  { dims, createTables }: { dims: number | null; createTables: () => Promise<void> },
): Promise<void> {
  await database.transaction(async (tx) => {
    await tx.query('select pg_advisory_xact_lock($1)', [LOCK]);
    if (dims !== null) await requireVectors(tx, dims);
    try {
      await createTables();
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.code !== LIMIT_EXCEEDED) throw error;
      // The index over the vectors, the last of its steps: pgvector has none for so many dimensions. No search of ours needs it.
      await tx.query(
        'insert into baton_store.store_migrations (v) select max(v) + 1 from baton_store.store_migrations',
      );
    }
    if (!(await isExtended(tx))) await extend(tx);
  });
}

/** Asked first: a change of the table waits for everybody who uses it, and holds up everybody else meanwhile. */
async function isExtended(tx: Queryable): Promise<boolean> {
  const found = await tx.query(
    `select 1 from pg_attribute where attrelid = 'baton_store.store'::regclass and attname = 'ttl_minutes'`,
  );
  return found.length > 0;
}

async function extend(tx: Queryable): Promise<void> {
  await tx.query('alter table baton_store.store add column ttl_minutes double precision');
  // It would call reading an item, which prolongs its life, a change of it; every put sets the column by itself.
  await tx.query('drop trigger update_store_updated_at on baton_store.store');
  await tx.query('create index store_namespace_prefix on baton_store.store (namespace_path text_pattern_ops)');
}

async function requireVectors(tx: Queryable, dims: number): Promise<void> {
  const [found] = await tx.query<{ available: boolean; dims: number | null }>(
    `select exists (select 1 from pg_available_extensions where name = 'vector') available,
            (select atttypmod from pg_attribute
             where attrelid = to_regclass('baton_store.store_vectors') and attname = 'embedding') dims`,
  );
  if (!found?.available) {
    throw new InvalidInputError(
      'store.index in langgraph.json needs the Postgres extension "vector" (pgvector), which this database does not have ' +
        '(the embedded one has none): set DATABASE_URL to a Postgres with pgvector, or take "index" out',
    );
  }
  if (found.dims !== null && found.dims !== dims) {
    throw new InvalidInputError(
      `store.index in langgraph.json says "dims": ${dims}, and the store holds vectors of ${found.dims} numbers: put the old ` +
        'model back; or drop table baton_store.store_vectors, delete from baton_store.store_migrations where v > 3, and put the items again',
    );
  }
}
