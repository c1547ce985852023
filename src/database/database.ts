import type { Logger } from 'pino';
import { Client, DatabaseError, Pool, types, type PoolClient, type PoolConfig } from 'pg';
import { whenThere } from '../core/data-key.ts';
import { isUnreadable } from '../core/errors.ts';
import { Listener } from './listener.ts';
import { type Cells, plainCells } from './sealing/cells.ts';
import { PlainGuard } from './sealing/plain-guard.ts';
import type { Sealing } from './sealing/sealing.ts';

/** What repositories ask of a database: the pool itself or one transaction on it. */
export interface Queryable {
  query<T>(text: string, values?: readonly unknown[]): Promise<T[]>;
}

export interface DatabaseOptions {
  url: string;
  log: Logger;
  applicationName: string;
  maxConnections?: number;
  /** Called while the database is out of reach: whoever runs it may start it again. */
  onLost?: () => void;
}

/** After which a listening connection that was asked is taken for lost. */
const SILENCE_MS = 10_000;

/** One pool and one listening connection to the control plane. Survives killed backends and restarts of the server. */
export class Database implements Queryable {
  readonly pool: Pool;
  readonly listener: Listener;
  readonly url: string;
  /** Seals what rows hold of users; null: nothing is, and a control plane that is sealed is refused. What is read is opened by itself. */
  sealing: Sealing | null = null;
  /** Statement text -> name: each text is parsed and planned once a connection. Only for texts from the source, never built ones. */
  readonly #names = new Map<string, string>();
  readonly #log: Logger;
  readonly #guard: PlainGuard;

  constructor({ url, log, applicationName, maxConnections = 20, onLost }: DatabaseOptions) {
    this.url = url;
    this.#log = log;
    const options: PoolConfig = {
      connectionString: url,
      application_name: applicationName,
      // On the pool within a transaction only: it gives a connection to one caller at a time.
      pipeline: true,
      keepAlive: true,
      connectionTimeoutMillis: 10_000,
      types: { getTypeParser: parserOf },
    };
    this.pool = new Pool({
      ...options,
      max: maxConnections,
      statement_timeout: 60_000,
      idle_in_transaction_session_timeout: 60_000,
    });
    // Without a listener a killed backend would end the process: the pool listens only to clients that rest in it, and whoever
    // takes one out can do so only a moment later. What is under way on a lost one fails by itself.
    this.pool.on('connect', (client) => client.on('error', () => {}));
    this.#guard = new PlainGuard(this.pool);
    this.pool.on('error', (error) => log.warn({ err: error }, 'an idle database connection was lost'));
    this.listener = new Listener(() => new Client({ ...options, query_timeout: SILENCE_MS }), log, onLost);
  }

  async query<T>(text: string, values: readonly unknown[] = []): Promise<T[]> {
    const { rows } = await this.pool.query({ text, values: [...values] });
    return this.#opened(rows as T[]);
  }

  /**
   * As `query`; but a row that can never be opened keeps no other from being shown: of it `spoilt` says what is. What may be
   * opened later, as its key cannot be had for now, is thrown: it is no answer that there is nothing.
   */
  async queryEach<T>(
    text: string,
    values: readonly unknown[],
    spoilt: (row: T, error: Error) => Partial<T>,
  ): Promise<T[]> {
    const { rows } = await this.pool.query({ text, values: [...values] });
    if (this.sealing === null) return this.#guard.shown(rows as T[], this.pool);
    await this.sealing.openEach(rows as T[], (row, error) => {
      if (!isUnreadable(error)) throw error;
      this.#log.warn({ err: error }, 'a row of a list cannot be opened');
      Object.assign(row as object, spoilt(row, error));
    });
    return rows as T[];
  }

  /** @throws ServiceError `unavailable` in one line when what is here is sealed, and this process does not seal. */
  async requireReadable(): Promise<void> {
    if (this.sealing === null) await this.#guard.check();
  }

  /** What writes the columns of a thread; '' = of no thread. Not within a transaction. */
  cells(threadId: string): Cells | Promise<Cells> {
    return this.sealing?.cells(threadId) ?? whenThere(this.#guard.check(), () => plainCells);
  }

  /** As `query`, planned once a connection: for the few statements that every run executes. */
  async prepared<T>(text: string, values: readonly unknown[] = []): Promise<T[]> {
    return this.#opened(await this.preparedAsStored<T>(text, values));
  }

  /** As `prepared`, for whoever opens the rows one by one, so that none suffers for another. */
  async preparedAsStored<T>(text: string, values: readonly unknown[]): Promise<T[]> {
    let name = this.#names.get(text);
    if (name === undefined) {
      name = `baton_${this.#names.size}`;
      this.#names.set(text, name);
    }
    const { rows } = await this.pool.query({ name, text, values: [...values] });
    return rows as T[];
  }

  /** Statements that are not awaited one by one go out together, and are executed in their order. */
  async transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T> {
    const client = await this.pool.connect();
    let broken: Error | undefined;
    // The pool listens only to clients that rest in it: one that is lost between two statements would end the process.
    const onLost = (error: Error) => {
      broken = error;
    };
    client.on('error', onLost);
    try {
      const begun = client.query('begin');
      begun.catch(() => undefined); // whoever queries is told
      const result = await work({
        query: async <R>(text: string, values: readonly unknown[] = []) => {
          const [{ rows }] = await Promise.all([client.query({ text, values: [...values] }), begun]);
          return this.#opened(rows as R[], client);
        },
      });
      await client.query('commit');
      return result;
    } catch (error) {
      await client.query('rollback').catch((rollbackError: Error) => {
        broken = rollbackError;
      });
      throw error;
    } finally {
      client.off('error', onLost);
      client.release(broken);
    }
  }

  /** @param by The connection that has them: within a transaction no other is to be had, since all may be waiting for one. */
  #opened<T>(rows: T[], by: Pool | PoolClient = this.pool): T[] | Promise<T[]> {
    return this.sealing === null ? this.#guard.shown(rows, by) : this.sealing.open(rows);
  }

  async close(): Promise<void> {
    await this.listener.close();
    await this.pool.end();
  }
}

const TIMESTAMPTZ = 1184;
const BIGINT = 20;

/** Instants become ISO text and bigints numbers: both are what the wire shows. */
function parserOf(oid: number, format?: 'text' | 'binary'): (value: string) => unknown {
  if (format !== 'binary' && oid === TIMESTAMPTZ) return (value) => new Date(value).toISOString();
  if (format !== 'binary' && oid === BIGINT) return Number;
  return types.getTypeParser(oid, format);
}

/** Whether a statement broke the unique constraint of that name. */
export function breaksUnique(error: unknown, constraint: string): boolean {
  return error instanceof DatabaseError && error.code === '23505' && error.constraint === constraint;
}

/** Whether a statement broke the foreign key of that name. */
export function breaksReference(error: unknown, constraint: string): boolean {
  return error instanceof DatabaseError && error.code === '23503' && error.constraint === constraint;
}
