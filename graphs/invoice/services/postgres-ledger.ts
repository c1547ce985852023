import { Pool, type PoolClient } from 'pg';
import type { Posting, PostResult } from '../services.ts';

/** Any fixed number; it keeps two processes from creating the tables at once. */
const SETUP_LOCK = 7_310_226;

const TABLES = `
  CREATE SCHEMA IF NOT EXISTS accounting;
  CREATE TABLE IF NOT EXISTS accounting.invoices (
    invoice_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    supplier text NOT NULL,
    number text NOT NULL,
    issue_date date NOT NULL,
    due_date date,
    currency text NOT NULL,
    subtotal numeric(14, 2) NOT NULL,
    tax numeric(14, 2) NOT NULL,
    total numeric(14, 2) NOT NULL,
    document text NOT NULL,
    posted_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (supplier, number)
  );
  CREATE TABLE IF NOT EXISTS accounting.invoice_lines (
    invoice_id integer NOT NULL REFERENCES accounting.invoices ON DELETE CASCADE,
    position integer NOT NULL,
    description text NOT NULL,
    quantity numeric NOT NULL,
    unit_price numeric(14, 2) NOT NULL,
    amount numeric(14, 2) NOT NULL,
    account text NOT NULL,
    PRIMARY KEY (invoice_id, position)
  );`;

/**
 * The accounting tables. An invoice is known by supplier and number: posting it a second time writes nothing, also
 * when both postings run at the same moment or the first one's answer was lost.
 */
export class PostgresLedger {
  readonly #url: string | undefined;
  #opened: Promise<Pool> | undefined;

  /** @param url may be missing as long as nothing is posted. */
  constructor(url: string | undefined) {
    this.#url = url;
  }

  async post(posting: Posting): Promise<PostResult> {
    return transaction(await this.#pool(), async (client) => {
      const written = await insertInvoice(client, posting);
      if (written === null) return { invoice_id: await findInvoice(client, posting), already_posted: true };
      await insertLines(client, written, posting);
      return { invoice_id: written, already_posted: false };
    });
  }

  async close(): Promise<void> {
    const pool = await this.#opened?.catch(() => undefined);
    this.#opened = undefined;
    await pool?.end();
  }

  #pool(): Promise<Pool> {
    this.#opened ??= open(this.#url).catch((error: unknown) => {
      // The next posting tries again: the database may only have been away.
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }
}

async function open(url: string | undefined): Promise<Pool> {
  if (!url) {
    throw new Error('There is no database to post to: set INVOICE_DATABASE_URL to the address of a Postgres.');
  }
  const pool = new Pool({ connectionString: url, max: 4, allowExitOnIdle: true });
  // A lost idle connection is replaced at the next query; without a listener it would end the process.
  pool.on('error', () => undefined);
  try {
    await transaction(pool, async (client) => {
      await client.query('SELECT pg_advisory_xact_lock($1)', [SETUP_LOCK]);
      await client.query(TABLES);
    });
    return pool;
  } catch (error) {
    await pool.end();
    throw error;
  }
}

async function transaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken = false;
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {
      broken = true;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}

/** Null when the invoice is there already; waits for another posting of it that has not ended yet. */
async function insertInvoice(client: PoolClient, { document, invoice }: Posting): Promise<number | null> {
  const { supplier, number, issue_date, due_date, currency, subtotal, tax, total } = invoice;
  const { rows } = await client.query<{ invoice_id: number }>(
    `INSERT INTO accounting.invoices (supplier, number, issue_date, due_date, currency, subtotal, tax, total, document)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT (supplier, number) DO NOTHING
     RETURNING invoice_id`,
    [supplier, number, issue_date, due_date, currency, subtotal, tax, total, document],
  );
  return rows[0]?.invoice_id ?? null;
}

async function findInvoice(client: PoolClient, { invoice: { supplier, number } }: Posting): Promise<number> {
  const { rows } = await client.query<{ invoice_id: number }>(
    'SELECT invoice_id FROM accounting.invoices WHERE supplier = $1 AND number = $2',
    [supplier, number],
  );
  const found = rows[0];
  if (!found) throw new Error(`Invoice ${number} was deleted while it was posted: run the step again.`);
  return found.invoice_id;
}

async function insertLines(client: PoolClient, invoiceId: number, { lines }: Posting): Promise<void> {
  await client.query(
    `INSERT INTO accounting.invoice_lines (invoice_id, position, description, quantity, unit_price, amount, account)
     SELECT $1, line.*
     FROM unnest($2::int[], $3::text[], $4::numeric[], $5::numeric[], $6::numeric[], $7::text[]) AS line`,
    [
      invoiceId,
      lines.map((_, index) => index + 1),
      lines.map(({ description }) => description),
      lines.map(({ quantity }) => quantity),
      lines.map(({ unit_price }) => unit_price),
      lines.map(({ amount }) => amount),
      lines.map(({ account }) => account),
    ],
  );
}
