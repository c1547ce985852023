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
  const { url, drop } = await testDatabase();
  const database = new Database({ url, log: pino({ level: 'silent' }), applicationName: 'test' });
  await migrate(database);
  await createCrashTables(database);
  const processes = new Processes(url);
  return {
    url,
    database,
    processes,
    drop: async () => {
      processes.killAll();
      await database.close();
      await drop();
    },
  };
}
