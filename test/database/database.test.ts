import { once, EventEmitter } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { Client } from 'pg';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isConnectionLost, outliveConnections } from '../../src/core/connection-loss.ts';
import { Database } from '../../src/database/database.ts';
import { Listener } from '../../src/database/listener.ts';
import { migrate } from '../../src/database/migrate.ts';
import { testDatabase } from '../postgres.ts';

const log = pino({ level: 'silent' });

let server: Awaited<ReturnType<typeof testDatabase>>;
let opened: Database[];

beforeEach(async () => {
  server = await testDatabase();
  opened = [];
});

afterEach(async () => {
  await Promise.all(opened.map((database) => database.close()));
  await server.drop();
});

function open(applicationName = 'test'): Database {
  const database = new Database({ url: server.url, log, applicationName });
  opened.push(database);
  return database;
}

/** Kills every other backend of the database, as a restart of Postgres does. */
async function killOthers(database: Database): Promise<void> {
  await database.query(
    'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
  );
}

describe('migrate', () => {
  it('is done once, however many start at the same time', async () => {
    const applied = await Promise.all(Array.from({ length: 6 }, () => migrate(open())));
    expect(applied.filter((names) => names.length > 0)).toHaveLength(1);
    expect(await migrate(open())).toEqual([]);
  });
});

it('a transaction that meets what only looks sealed needs no second connection', async () => {
  const database = new Database({ url: server.url, log, applicationName: 'test', maxConnections: 2 });
  opened.push(database);
  await migrate(database);
  const metadata = { '$sealed:x': 'y' };
  const read = () =>
    database.transaction(async (tx) => {
      await tx.query('select 1');
      return tx.query('select $1::jsonb metadata', [metadata]);
    });
  expect(await Promise.all([read(), read(), read()])).toEqual([[{ metadata }], [{ metadata }], [{ metadata }]]);
});

describe('a lost connection', () => {
  it('does not end the process, and the next query has a new one', async () => {
    const database = open();
    await Promise.all(Array.from({ length: 5 }, () => database.query('select 1')));
    await killOthers(open('killer'));
    expect(await outliveConnections(() => database.query('select 1 as one'))).toEqual([{ one: 1 }]);
  });

  it('fails the query under way with an error that says so, and breaks no later transaction', async () => {
    const database = open();
    const killer = open('killer');
    const failed = database
      .transaction(async (tx) => {
        await tx.query('select 1');
        await killOthers(killer);
        await tx.query('select 2');
      })
      .catch((error: unknown) => error);
    expect(isConnectionLost(await failed)).toBe(true);
    expect(await outliveConnections(() => database.transaction((tx) => tx.query('select 3 as n')))).toEqual([{ n: 3 }]);
  });

  it('of the listener is made again, and the listeners told that they may have missed something', async () => {
    const database = open();
    const heard = new EventEmitter();
    await database.listener.listen('baton_test', (payload) => void heard.emit('hint', payload));
    const killer = open('killer');
    const reconnected = once(heard, 'hint');
    await killOthers(killer);
    expect(await reconnected).toEqual([null]);
    const told = once(heard, 'hint');
    await killer.query(`select pg_notify('baton_test', 'again')`);
    expect(await told).toEqual(['again']);
  });

  it('of the listener of which nobody hears is noticed by asking', async () => {
    const { host, port, user, password, database } = new Client(server.url) as Client & { password: string };
    const joined: { client: Socket; upstream: Socket }[] = [];
    const proxy = createServer((client) => {
      const upstream = connect(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port });
      for (const socket of [client, upstream]) socket.on('error', () => undefined);
      client.pipe(upstream).pipe(client);
      joined.push({ client, upstream });
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const address = { host: '127.0.0.1', port: (proxy.address() as AddressInfo).port, user, password, database };
    const connecting = () => new Client({ ...address, pipeline: true, query_timeout: 500 });
    const listener = new Listener(connecting, log, () => undefined, 50);
    const heard = new EventEmitter();
    await listener.listen('baton_test', (payload) => void heard.emit('hint', payload));
    const reconnected = once(heard, 'hint');
    for (const { client, upstream } of joined) {
      client.unpipe(upstream);
      upstream.unpipe(client);
    }
    expect(await reconnected).toEqual([null]);
    await listener.close();
    for (const { client, upstream } of joined) for (const socket of [client, upstream]) socket.destroy();
    proxy.close();
  });
});
