import { pino } from 'pino';
import { Database } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { testDatabase } from '../postgres.ts';
import { createCrashTables } from './crash-point.ts';
import { Processes } from './processes.ts';

export interface CrashDatabase {
  url: string;
  database: Database;
  /** Those that work on it. */
  processes: Processes;
  /** Kills them and removes it. */
  drop(): Promise<void>;
}

/** A database whose processes are to be killed. */
export async function crashDatabase(): Promise<CrashDatabase> {
  const server = await testDatabase();
  const database = new Database({ url: server.url, log: pino({ level: 'silent' }), applicationName: 'test' });
  await migrate(database);
  await createCrashTables(database);
  const processes = new Processes(server.url);
  return {
    url: server.url,
    database,
    processes,
    drop: async () => {
      processes.killAll();
      await database.close();
      await server.drop();
    },
  };
}
