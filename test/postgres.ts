import { randomBytes } from 'node:crypto';
import { Client } from 'pg';

export interface TestDatabase {
  url: string;
  /** Ends every connection to it and removes it. */
  drop(): Promise<void>;
}

/** A new, empty database of its own on the server that `global-setup.ts` provides. */
export async function testDatabase(): Promise<TestDatabase> {
  const server = process.env.BATON_TEST_DATABASE_URL;
  if (server === undefined) throw new Error('BATON_TEST_DATABASE_URL is not set: run the tests with vitest');
  const name = `baton_test_${randomBytes(8).toString('hex')}`;
  await execute(server, `CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => drop(server, name) };
}

/** A session that is being closed ends by itself; forced out, it would tell a client that nobody listens to any more. */
async function drop(server: string, name: string): Promise<void> {
  await execute(
    server,
    `do $$ begin
      for i in 1..100 loop
        exit when not exists (select from pg_stat_activity where datname = '${name}');
        perform pg_sleep(0.01), pg_stat_clear_snapshot();
      end loop;
    end $$`,
  );
  await execute(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
}

async function execute(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
