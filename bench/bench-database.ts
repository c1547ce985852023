import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'pg';
import type { Logger } from 'pino';
import { startPostgres } from '../src/database/embedded/start-postgres.ts';

interface BenchDatabase {
  url: string;
  close(): Promise<void>;
}

/** A database of this run alone, on the server of DATABASE_URL or on one that ends with it. */
export async function benchDatabase(log: Logger): Promise<BenchDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'baton-bench-'));
  const server = process.env['DATABASE_URL']
    ? { url: process.env['DATABASE_URL'], stop: async () => undefined }
    : await startPostgres({ dataDir: join(folder, 'postgres'), log });
  const admin = new Pool({ connectionString: server.url, max: 1 });
  const name = `baton_bench_${Date.now()}`;
  await admin.query(`create database ${name}`);
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  const close = async (): Promise<void> => {
    await admin.query(`drop database ${name} with (force)`);
    await admin.end();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  };
  return { url: url.href, close };
}
