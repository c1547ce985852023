import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { RedisServer } from './redis-server.ts';
import { startPostgres } from '../src/database/embedded/start-postgres.ts';

const ends: (() => Promise<void>)[] = [];

/**
 * Gives the tests the servers that they need: those of DATABASE_URL and REDIS_URL, else of their own that end with them.
 * Without a Redis its tests are skipped.
 */
export async function setup(): Promise<void> {
  await Promise.all([providePostgres(), provideRedis()]);
}

export async function teardown(): Promise<void> {
  await Promise.all(ends.map((end) => end()));
}

async function providePostgres(): Promise<void> {
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
  ends.push(async () => {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  });
}

async function provideRedis(): Promise<void> {
  const given = process.env.REDIS_URL;
  if (given !== undefined && given !== '') {
    process.env.BATON_TEST_REDIS_URL = given;
    return;
  }
  const server = await RedisServer.start(['--appendfsync', 'no']);
  if (server === null) return;
  process.env.BATON_TEST_REDIS_URL = server.url;
  ends.push(() => server.stop());
}
