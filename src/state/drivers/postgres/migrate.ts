import { readdir, readFile } from 'node:fs/promises';
import type { Pool } from 'pg';
import { transaction } from './transaction.ts';

const FOLDER = new URL('./migrations/', import.meta.url);
/** Any fixed number: every Baton takes the same lock, so any number of them may start at once. */
const LOCK = 2024_0002;

/** Brings schema `baton_state` up to date. */
export async function migrate(pool: Pool): Promise<void> {
  const names = (await readdir(FOLDER)).sort();
  await transaction(pool, async (client) => {
    await client.query('select pg_advisory_xact_lock($1)', [LOCK]);
    await client.query('create schema if not exists baton_state');
    await client.query(
      'create table if not exists baton_state.migrations (name text primary key, applied_at timestamptz not null default now())',
    );
    const { rows } = await client.query<{ name: string }>('select name from baton_state.migrations');
    const done = new Set(rows.map(({ name }) => name));
    for (const name of names.filter((candidate) => !done.has(candidate))) {
      await client.query(await readFile(new URL(name, FOLDER), 'utf8'));
      await client.query('insert into baton_state.migrations (name) values ($1)', [name]);
    }
  });
}
