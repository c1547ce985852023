import { readdir, readFile } from 'node:fs/promises';
import type { Pool } from 'pg';

const FOLDER = new URL('./migrations/', import.meta.url);
/** Any fixed number: every Baton takes the same lock, so any number of them may start at once. */
const LOCK = 2024_0002;

/** Brings schema `baton_state` up to date. */
export async function migrate(pool: Pool): Promise<void> {
  const client = await pool.connect();
  let failure: Error | undefined;
  const onLost = (error: Error): void => {
    failure = error;
  };
  client.on('error', onLost);
  try {
    await client.query('begin');
    await client.query('select pg_advisory_xact_lock($1)', [LOCK]);
    await client.query('create schema if not exists baton_state');
    await client.query(
      'create table if not exists baton_state.migrations (name text primary key, applied_at timestamptz not null default now())',
    );
    const { rows } = await client.query<{ name: string }>('select name from baton_state.migrations');
    const done = new Set(rows.map(({ name }) => name));
    for (const name of (await readdir(FOLDER)).sort()) {
      if (done.has(name)) continue;
      await client.query(await readFile(new URL(name, FOLDER), 'utf8'));
      await client.query('insert into baton_state.migrations (name) values ($1)', [name]);
    }
    await client.query('commit');
  } catch (error) {
    failure = error as Error;
    throw error;
  } finally {
    client.off('error', onLost);
    client.release(failure); // a failed one is closed, which rolls back
  }
}
