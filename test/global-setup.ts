import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { startPostgres } from '../src/database/embedded/start-postgres.ts';

let end = async (): Promise<void> => {};

/** Gives the tests a Postgres server: the one of DATABASE_URL, else one of their own that ends with them. */
export async function setup(): Promise<void> {
  const given = process.env.DATABASE_URL;
  if (given !== undefined && given !== '') {
    process.env.BATON_TEST_DATABASE_URL = given;
    return;
  }
  const directory = await mkdtemp(join(tmpdir(), 'baton-test-'));
  await chmod(directory, 0o711); // as root the server runs as another user, who must get through
  const server = await startPostgres({
    dataDir: join(directory, 'postgres'),
    log: pino({ level: 'warn' }),
    settings: { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off', max_connections: '200' },
  });
  process.env.BATON_TEST_DATABASE_URL = server.url;
  end = async () => {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  };
}

export async function teardown(): Promise<void> {
  await end();
}
