import { readdir, readFile } from 'node:fs/promises';
import type { Database } from './database.ts';

const FOLDER = new URL('./migrations/', import.meta.url);
/** Any fixed number: every Baton takes the same lock, so any number of them may start at once. */
const LOCK = 2024_0001;

/** Brings schema `baton` up to date and returns the names of the migrations that this call applied. */
export async function migrate(database: Database): Promise<string[]> {
  const names = (await readdir(FOLDER)).filter((name) => name.endsWith('.sql')).sort();
  return database.transaction(async (tx) => {
    await tx.query('select pg_advisory_xact_lock($1)', [LOCK]);
    await tx.query('create schema if not exists baton');
    await tx.query(
      'create table if not exists baton.migrations (name text primary key, applied_at timestamptz not null default now())',
    );
    const done = new Set(
      (await tx.query<{ name: string }>('select name from baton.migrations')).map((row) => row.name),
    );
    const applied: string[] = [];
    for (const name of names.filter((candidate) => !done.has(candidate))) {
      await tx.query(await readFile(new URL(name, FOLDER), 'utf8'));
      await tx.query('insert into baton.migrations (name) values ($1)', [name]);
      applied.push(name);
    }
    return applied;
  });
}
