import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Pool } from 'pg';
import { pino } from 'pino';
import { startPostgres, type PostgresServer } from '../../src/database/embedded/start-postgres.ts';

/**
 * Without fsync, since no machine is lost here, only processes; what was committed has reached the system before it was
 * acknowledged.
 */
const SETTINGS = {
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'on',
  track_commit_timestamp: 'on',
  max_connections: '200',
};

/** A Postgres of the suite's own, that can be killed. */
export class Cluster {
  /** Past every proxy: for those who only look. */
  readonly pool: Pool;
  readonly directory: string;
  /** Each start is a use of its own, and the server goes with the last. */
  readonly #uses: PostgresServer[];

  private constructor(directory: string, server: PostgresServer) {
    this.directory = directory;
    this.#uses = [server];
    this.pool = new Pool({ connectionString: server.url, max: 10 });
    this.pool.on('error', () => undefined);
    this.pool.on('connect', (client) => client.on('error', () => undefined));
  }

  static async start(): Promise<Cluster> {
    const directory = await mkdtemp(join(tmpdir(), 'baton-chaos-'));
    await chmod(directory, 0o711); // as root the server runs as another user, who must get through
    return new Cluster(directory, await launch(directory));
  }

  get socketPath(): string {
    return join(new URL(this.#uses.at(-1)?.url ?? '').searchParams.get('host') ?? '', '.s.PGSQL.5432');
  }

  /** As `pg_ctl restart -m immediate` does: no connection is told, and the next start recovers from the log. */
  async restart(downMs: number): Promise<void> {
    const { rows } = await this.pool.query<{ path: string }>(`select current_setting('data_directory') path`);
    const pid = Number((await readFile(join(rows[0]?.path ?? '', 'postmaster.pid'), 'utf8')).split('\n')[0]);
    process.kill(pid, 'SIGQUIT');
    while (isAlive(pid)) await pause(10);
    await pause(downMs);
    this.#uses.push(await launch(this.directory));
  }

  async stop(): Promise<void> {
    await this.pool.end();
    for (const use of this.#uses) await use.stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}

function launch(directory: string): Promise<PostgresServer> {
  return startPostgres({ dataDir: join(directory, 'postgres'), log: pino({ level: 'error' }), settings: SETTINGS });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
