import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseRedisUrl } from '../../src/state/drivers/redis/redis-url.ts';
import { openState } from '../../src/state/open-state.ts';
import { freePort } from '../redis-server.ts';
import { redisServers } from './redis-servers.ts';
import { log, REDIS_URL } from './stores.ts';

const run = promisify(execFile);

describe('the address of a Redis', () => {
  it.each([
    ['redis://localhost', { nodes: [{ host: 'localhost', port: 6379 }], tls: false, database: 0, ttlMs: null }],
    [
      'rediss://u:p%40ss:x@h:1/3',
      { nodes: [{ host: 'h', port: 1 }], tls: true, username: 'u', password: 'p@ss:x', database: 3 },
    ],
    [
      'redis://:pass@[::1]:7/0?ttl=7d&prefix=a:b',
      { nodes: [{ host: '::1', port: 7 }], username: undefined, password: 'pass', ttlMs: 604_800_000, prefix: 'a:b' },
    ],
    [
      'redis+unix:///run/redis%20x.sock?db=2&wait=1',
      { nodes: [{ path: '/run/redis x.sock' }], database: 2, replicas: 1 },
    ],
    [
      'redis+cluster://p:w@a:1,b:2',
      {
        nodes: [
          { host: 'a', port: 1 },
          { host: 'b', port: 2 },
        ],
        cluster: true,
        password: 'w',
      },
    ],
  ])('%s', (url, meant) => {
    expect(parseRedisUrl(url)).toMatchObject(meant);
  });

  it.each([
    ['redis:localhost', 'no address of Redis'],
    ['redis://', 'names no host'],
    ['redis://h:1:2', 'names no host'],
    ['redis://h/zero', 'database in STATE_URL'],
    ['redis://h?ttl=often', 'no duration'],
    ['redis://h?prefix={x}', 'prefix'],
    ['redis://h?tttl=7d', 'which Redis does not know'],
    ['redis://h?wait=all', 'whole number'],
    ['redis://:%@h', 'write it as %25'],
    ['redis+cluster://a:1,b:2/1', 'a cluster has only one'],
  ])('is refused: %s', (url, message) => {
    expect(() => parseRedisUrl(url)).toThrow(message);
  });

  it('is told without its password when nobody is there', async () => {
    const opening = openState({ url: `redis://me:secret@127.0.0.1:${await freePort()}/0`, log });
    await expect(opening).rejects.toMatchObject({ code: 'unavailable' });
    await expect(opening).rejects.toThrow(/^Redis at redis:\/\/127\.0\.0\.1:\d+\/0 cannot be reached \(.*ECONNREFUSED/);
    await expect(opening).rejects.not.toThrow('secret');
  });
});

describe.skipIf(REDIS_URL === undefined)('a Redis', () => {
  const { closing, server } = redisServers();

  /** Opens the store and writes to it. */
  async function use(url: string): Promise<void> {
    const saver = await openState({ url, log });
    closing.push(() => saver.close());
    await saver.fence('thread', 1);
  }

  it('that asks for a password is told it, or says clearly that it is wrong or missing', async () => {
    const { url } = await server('--requirepass', 'right');
    for (const user of ['', ':wrong@']) {
      const opening = openState({ url: url.replace('//', `//${user}`), log });
      await expect(opening).rejects.toThrow(/does not take the user and password in STATE_URL \((NOAUTH|WRONGPASS)/);
    }
    await use(url.replace('//', '//:right@'));
  });

  it('is used as the user and in the database that the address names', async () => {
    const port = await freePort();
    const redis = await server('--port', String(port), '--user', 'baton', 'on', '>p@ss/:%', '~*', '+@all');
    const address = `127.0.0.1:${port}/3`;
    await expect(openState({ url: `redis://baton:other@${address}`, log })).rejects.toThrow('WRONGPASS');
    await use(`redis://baton:${encodeURIComponent('p@ss/:%')}@${address}`);
    expect(await redis.ask('INFO', 'keyspace')).toMatch(/^# Keyspace\s+db3:keys=1,\S*\s*$/);
    expect(await redis.ask('CLIENT', 'LIST')).toContain('user=baton');
  });

  describe.skipIf(spawnSync('openssl', ['version']).error !== undefined)('over TLS (needs openssl)', () => {
    let folder: string;
    let cert: string;
    let key: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'baton-tls-'));
      [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
      const made = [
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-keyout',
        key,
        '-out',
        cert,
      ];
      const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
      await run('openssl', ['req', '-x509', '-days', '1', ...made, ...names]);
    });
    afterAll(() => rm(folder, { recursive: true }));

    it('is used when its certificate is trusted, and is refused with advice when it is not', async () => {
      const port = await freePort();
      const files = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert];
      const redis = await server('--tls-port', String(port), '--tls-auth-clients', 'no', ...files);
      const url = `rediss://localhost:${port}/0`;
      await expect(openState({ url, log })).rejects.toThrow(/self-signed certificate.*NODE_EXTRA_CA_CERTS/);
      expect(await redis.ask('DBSIZE')).toBe(0);
      const openStateFile = new URL('../../src/state/open-state.ts', import.meta.url).href;
      const script = `
        const { openState } = await import(${JSON.stringify(openStateFile)});
        const { pino } = await import('pino');
        const saver = await openState({ url: ${JSON.stringify(url)}, log: pino({ level: 'silent' }) });
        await saver.fence('thread', 1);
        await saver.close();`;
      // Node reads it once, at its start.
      const env = { ...process.env, NODE_EXTRA_CA_CERTS: cert };
      await run(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { env });
      expect(await redis.ask('DBSIZE')).toBe(1);
    });
  });
});

it('a Redis over TLS is asked for by its name, which a gateway may need', async () => {
  const listening = createServer().listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const greeted = once(listening, 'connection').then(async ([socket]: Socket[]) => {
    const [hello] = (await once(socket as Socket, 'data')) as [Buffer];
    socket?.destroy();
    return hello.toString('latin1');
  });
  const { port } = listening.address() as AddressInfo;
  await expect(openState({ url: `rediss://localhost:${port}`, log })).rejects.toMatchObject({ code: 'unavailable' });
  expect(await greeted).toContain('localhost');
  listening.close();
});
