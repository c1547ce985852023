import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildInvoiceGraph } from '../../../graphs/invoice/build.ts';
import { openServices } from '../../../graphs/invoice/services/open-services.ts';
import { PostgresLedger } from '../../../graphs/invoice/services/postgres-ledger.ts';
import { testDatabase } from '../../postgres.ts';
import { INVOICE } from './fakes.ts';

const posting = {
  document: 'disk:a.pdf',
  invoice: INVOICE,
  lines: INVOICE.lines.map((line) => ({ ...line, account: '6400' })),
};

let database: Awaited<ReturnType<typeof testDatabase>>;
let reader: Client;
const ledgers: PostgresLedger[] = [];

function openLedger(): PostgresLedger {
  const ledger = new PostgresLedger(database.url);
  ledgers.push(ledger);
  return ledger;
}

async function countRows(number: string): Promise<{ invoices: number; lines: number }> {
  const { rows } = await reader.query<{ invoices: number; lines: number }>(
    `SELECT count(DISTINCT invoice_id)::int AS invoices, count(*)::int AS lines
     FROM accounting.invoices JOIN accounting.invoice_lines USING (invoice_id) WHERE number = $1`,
    [number],
  );
  return rows[0]!;
}

beforeAll(async () => {
  database = await testDatabase();
  reader = new Client({ connectionString: database.url });
  await reader.connect();
});

afterAll(async () => {
  await Promise.all(ledgers.map((ledger) => ledger.close()));
  await reader.end();
  await database.drop();
});

test('posting twice writes once', async () => {
  const ledger = openLedger();
  const first = await ledger.post(posting);
  expect(first.already_posted).toBe(false);
  expect(await ledger.post(posting)).toEqual({ invoice_id: first.invoice_id, already_posted: true });
  expect(await countRows('HP-2041')).toEqual({ invoices: 1, lines: 2 });
});

test('six processes that post the same invoice at once, tables and all, write it once', async () => {
  await reader.query('DROP SCHEMA IF EXISTS accounting CASCADE');
  const results = await Promise.all(Array.from({ length: 6 }, () => openLedger().post(posting)));
  expect(results.filter(({ already_posted }) => !already_posted)).toHaveLength(1);
  expect(new Set(results.map(({ invoice_id }) => invoice_id)).size).toBe(1);
  expect(await countRows('HP-2041')).toEqual({ invoices: 1, lines: 2 });
});

test('a posting that fails in its lines leaves no invoice behind', async () => {
  const ledger = openLedger();
  const invoice = { ...INVOICE, number: 'HALF' };
  const lines = [{ ...posting.lines[0]!, amount: 1e30 }];
  await expect(ledger.post({ ...posting, invoice, lines })).rejects.toThrow('numeric field overflow');
  expect(await countRows('HALF')).toEqual({ invoices: 0, lines: 0 });
});

test('money is kept to the cent', async () => {
  const lines = [{ description: 'A', quantity: 3, unit_price: 0.1, amount: 0.3, account: '6400' }];
  await openLedger().post({ ...posting, invoice: { ...INVOICE, number: 'CENT', total: 0.1 + 0.2 }, lines });
  const { rows } = await reader.query(`SELECT total::text FROM accounting.invoices WHERE number = 'CENT'`);
  expect(rows).toEqual([{ total: '0.30' }]);
});

test('without a database the error says which variable to set', async () => {
  await expect(openServices({}).post(posting)).rejects.toThrow('set INVOICE_DATABASE_URL');
});

test('by default it posts to the database that Baton runs on', async () => {
  const own = await openServices({
    BATON_DATABASE_URL_IN_USE: database.url,
    DATABASE_URL: 'postgres://unreachable.invalid/none',
  }).post({ ...posting, invoice: { ...INVOICE, number: 'OWN' } });
  expect(own.already_posted).toBe(false);
});

test('the same document run twice through the whole pipeline is in the tables once, line by line', async () => {
  const graph = buildInvoiceGraph(openServices({ DATABASE_URL: database.url })).compile();
  const runs = [1, 2].map(async () => (await graph.invoke({ document: 'disk:freight-charge.pdf' })).outcome);
  const outcomes = await Promise.all(runs);
  expect(outcomes.filter((outcome) => outcome?.already_posted)).toHaveLength(1);
  const { rows } = await reader.query(
    `SELECT supplier, total::text, description, amount::text, account
     FROM accounting.invoices JOIN accounting.invoice_lines USING (invoice_id)
     WHERE document = 'disk:freight-charge.pdf' ORDER BY position DESC`,
  );
  expect(rows).toHaveLength(4);
  expect(rows[0]).toMatchObject({
    total: '35233.73',
    description: 'Freight and insurance',
    amount: '48.50',
    account: '6700',
  });
});
