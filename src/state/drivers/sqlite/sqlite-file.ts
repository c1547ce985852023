import { readdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync, type DatabaseSyncInstance, type StatementSyncInstance } from '@photostructure/sqlite';
import { messageOf, ServiceError } from '../../../core/errors.ts';
import { contains } from '../../../core/json-contains.ts';
import { makeFolder } from '../../../core/make-folder.ts';
import { failureOf, outlive } from './sqlite-failure.ts';

/** "BTON": tells a state file from another program's database. */
const APPLICATION_ID = 0x42544f4e;
const MIGRATIONS = new URL('./migrations/', import.meta.url);

/** So long the process stands still for a lock: another's commit takes less. Longer waits are made beside the event loop. */
const BUSY_TIMEOUT_MS = 20;

/** A database file, its statements prepared once, and its errors told as what they mean for the store. */
export class SqliteFile {
  readonly path: string;
  readonly #database: DatabaseSyncInstance;
  readonly #statements = new Map<string, StatementSyncInstance>();

  /** Of a database that is up to date. */
  constructor(path: string, database: DatabaseSyncInstance) {
    this.path = path;
    this.#database = database;
    database.function('metadata_contains', { deterministic: true }, (metadata: string, filter: string) =>
      Number(contains(JSON.parse(metadata), JSON.parse(filter))),
    );
  }

  /** Opens or makes the file, and its folder. @throws ServiceError that says what is wrong with it. */
  static async open(path: string): Promise<SqliteFile> {
    try {
      makeFolder(dirname(path));
    } catch (error) {
      throw new ServiceError('unavailable', `The folder of the state file ${path} cannot be made: ${messageOf(error)}`);
    }
    const migrations = await readMigrations();
    // Another process may be making it at this moment.
    return outlive(() => {
      try {
        return new SqliteFile(path, openDatabase(path, migrations));
      } catch (error) {
        throw failureOf(error, path);
      }
    });
  }

  rows<Row>(sql: string, ...parameters: Parameter[]): Row[] {
    return this.#prepared(sql).all(...parameters) as Row[];
  }

  run(sql: string, ...parameters: Parameter[]): void {
    this.#prepared(sql).run(...parameters);
  }

  /** All that `work` reads is of one moment. */
  read<T>(work: () => T): T {
    return this.#transaction('begin', work);
  }

  /** All that `work` changes is durable when this returns, or nothing is changed. */
  write<T>(work: () => T): T {
    return this.#transaction('begin immediate', work);
  }

  /** Within `write`: what throws leaves nothing behind. What ends the whole transaction is not caught. */
  attempt<T>(work: () => T): { value: T } | { error: unknown } {
    this.run('savepoint change');
    try {
      const value = work();
      this.run('release change');
      return { value };
    } catch (error) {
      if (!this.#database.isTransaction || failureOf(error, this.path) !== error) throw error;
      this.run('rollback to change');
      this.run('release change');
      return { error };
    }
  }

  /** Brings all that was committed into the one file, as far as nobody else is reading the rest. */
  close(): void {
    if (!this.#database.isOpen) return;
    try {
      this.rows('pragma wal_checkpoint(truncate)');
    } catch {
      // The next one to open the file does it.
    }
    // The package has no way to end a statement: a connection is closed for good when its statements are collected.
    this.#statements.clear();
    this.#database.close();
  }

  #transaction<T>(begin: string, work: () => T): T {
    try {
      this.run(begin);
      try {
        const result = work();
        this.run('commit');
        return result;
      } catch (error) {
        // A full disk, for one, has ended it already.
        if (this.#database.isTransaction) this.run('rollback');
        throw error;
      }
    } catch (error) {
      throw failureOf(error, this.path);
    }
  }

  #prepared(sql: string): StatementSyncInstance {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

export type Parameter = string | number | Uint8Array | null;

/** In their order: the first brings the file to version 1. */
async function readMigrations(): Promise<string[]> {
  const names = (await readdir(MIGRATIONS)).sort();
  return Promise.all(names.map((name) => readFile(new URL(name, MIGRATIONS), 'utf8')));
}

function openDatabase(path: string, migrations: readonly string[]): DatabaseSyncInstance {
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    // Before anything of it is changed.
    versionOf(database, path, migrations.length);
    // Only a file without tables takes it.
    database.exec('pragma auto_vacuum = incremental');
    database.exec('pragma journal_mode = wal; pragma journal_size_limit = 67108864');
    // A commit is on the disk when it returns.
    database.exec('pragma synchronous = full; pragma foreign_keys = on; pragma cache_size = -16384');
    // A file that cannot be written is refused here.
    database.exec('begin immediate');
    const version = versionOf(database, path, migrations.length);
    if (version < migrations.length) {
      for (const migration of migrations.slice(version)) database.exec(migration);
      database.exec(`pragma application_id = ${APPLICATION_ID}; pragma user_version = ${migrations.length}`);
    }
    database.exec('commit');
    return database;
  } catch (error) {
    // Closing would not, as long as a statement lives.
    if (database.isTransaction) database.exec('rollback');
    database.close();
    throw error;
  }
}

/** How many migrations it has had. @throws ServiceError when the file is not one of this Baton's. */
function versionOf(database: DatabaseSyncInstance, path: string, known: number): number {
  const number = (sql: string): number => Number(Object.values(database.prepare(sql).get() as object)[0]);
  const version = number('pragma user_version');
  const isEmpty = number('select count(*) from sqlite_schema') === 0;
  if (!isEmpty && number('pragma application_id') !== APPLICATION_ID) {
    const advice = 'name another file in STATE_URL';
    throw new ServiceError('unavailable', `The file ${path} is the database of another program: ${advice}`);
  }
  if (version > known) {
    throw new ServiceError('unavailable', `The state file ${path} was written by a newer Baton: use that one`);
  }
  return version;
}
