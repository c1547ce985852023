import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { loadConfig } from '../../src/config/config.ts';
import type { Database, Queryable } from '../../src/database/database.ts';
import { BatonServer } from '../../src/server.ts';
import type { StateSaver } from '../../src/state/state-saver.ts';
import { crashPoint } from './crash-point.ts';

/** Statements of the queue and the outbox, told apart by words that stand in no other. */
const CLAIM = /for update skip locked/;
const FINISH = /ended as \(\s*update baton\.runs set status = \$3/;
const RELEASE = /freed as/;
const APPEND = /added as/;
const WEBHOOK_CLAIM = /busy as/;

/** What a prepared statement is to the tests; null: nothing. */
function preparedPoint(text: string): string | null {
  if (WEBHOOK_CLAIM.test(text)) return 'webhook claim';
  if (CLAIM.test(text)) return 'claim';
  return APPEND.test(text) ? 'append' : null;
}

/** A database in which this process can die before or after the statements that matter. */
function withCrashPoints(database: Database): Database {
  const at = (point: string) => crashPoint({ query: (text, values) => database.pool.query(text, values) }, point);
  const around = async (name: string, work: () => Promise<unknown[]>) => {
    await at(`before ${name}`);
    const rows = await work();
    if (!name.endsWith('claim') || rows.length > 0) await at(`after ${name}`);
    return rows;
  };
  const prepared = database.preparedAsStored.bind(database);
  const query = database.query.bind(database);
  const transaction = database.transaction.bind(database);
  // Every prepared statement goes this way.
  database.preparedAsStored = async <T>(text: string, values: readonly unknown[]) => {
    const name = preparedPoint(text);
    return (name ? around(name, () => prepared(text, values)) : prepared(text, values)) as Promise<T[]>;
  };
  database.query = async <T>(text: string, values?: readonly unknown[]) => {
    const name = RELEASE.test(text) ? 'release' : null;
    return (name ? around(name, () => query(text, values)) : query(text, values)) as Promise<T[]>;
  };
  database.transaction = (work) =>
    transaction((tx) => {
      const watched: Queryable = {
        query: async <T>(text: string, values?: readonly unknown[]) =>
          (FINISH.test(text) ? around('finish', () => tx.query(text, values)) : tx.query(text, values)) as Promise<T[]>,
      };
      return work(watched);
    });
  return database;
}

/** A saver in which this process can die before a node's writes are kept, and between them and the checkpoint. */
function withSaverCrashPoints(saver: StateSaver, database: () => Database): StateSaver {
  const at = (point: string) => crashPoint({ query: (text, values) => database().pool.query(text, values) }, point);
  const kept = new Set<Promise<void>>();
  const putWrites = saver.putWrites.bind(saver);
  const put = saver.put.bind(saver);
  const fence = saver.fence.bind(saver);
  saver.putWrites = (...args) => {
    const write = at('before writes').then(() => putWrites(...args));
    kept.add(write);
    return write;
  };
  saver.put = async (...args) => {
    await Promise.all(kept);
    if (kept.size > 0) await at('between writes and checkpoint');
    const result = await put(...args);
    await at('after checkpoint');
    return result;
  };
  saver.fence = async (...args) => {
    await fence(...args);
    await at('after fence');
  };
  return saver;
}

const config = loadConfig({ configPath: fileURLToPath(new URL('langgraph.json', import.meta.url)) });
const role = process.env['ROLE'];
let opened: Database;
const server = await BatonServer.create(
  { ...config, worker: { ...config.worker, leaseMs: 1000, pollMs: 200, graceMs: 5000 } },
  {
    log: pino({ level: process.env['BATON_LOG_LEVEL'] ?? 'silent' }, pino.destination(2)),
    role: { api: role === 'api', worker: role === 'worker' },
    decorate: {
      database: (database) => (opened = withCrashPoints(database)),
      saver: (saver) => withSaverCrashPoints(saver, () => opened),
    },
  },
);
await server.start();
process.once('SIGTERM', () => void server.stop());
process.send?.({ url: server.url });
// The channel to the test keeps the process up no longer than the test.
process.once('disconnect', () => process.exit(0));
