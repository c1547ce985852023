import { randomUUID } from 'node:crypto';
import { emptyCheckpoint, uuid6 } from '@langchain/langgraph-checkpoint';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { FENCING_TOKEN_KEY } from '../../src/core/fencing.ts';
import type { CheckpointKey } from '../../src/state/drivers/checkpoint-driver.ts';
import type { DurableSaver } from '../../src/state/durable-saver.ts';
import { RedisDriver } from '../../src/state/drivers/redis/redis-driver.ts';
import { openState } from '../../src/state/open-state.ts';
import { CuttingProxy } from '../cutting-proxy.ts';
import { FIRST_SLOTS, RedisCluster } from '../redis-cluster.ts';
import { freePort } from '../redis-server.ts';
import { BIG, line } from './graphs.ts';
import { redisServers } from './redis-servers.ts';
import { log, REDIS_URL } from './stores.ts';

const META = { source: 'loop', step: 0, parents: {} } as const;

async function put(saver: DurableSaver, configurable: object, values: Record<string, unknown> = {}) {
  const versions = Object.fromEntries(Object.keys(values).map((channel) => [channel, saver.getNextVersion(undefined)]));
  const checkpoint = { ...emptyCheckpoint(), id: uuid6(0), channel_values: values, channel_versions: versions };
  const at = await saver.put({ configurable }, checkpoint, META, versions);
  return at.configurable as CheckpointKey;
}

/** A log, and what is said in it. */
function listening() {
  const said: string[] = [];
  const to = { write: (text: string) => said.push((JSON.parse(text) as { msg: string }).msg) };
  return { said, log: pino({ level: 'info' }, to) };
}

// Run when redis-server is installed or REDIS_URL is set, as the tests of every store on Redis are.
describe.skipIf(REDIS_URL === undefined)('the Redis driver', () => {
  const { closing, server } = redisServers();

  async function open(url: string, to = log): Promise<DurableSaver> {
    const saver = await openState({ url, log: to });
    closing.push(() => saver.close());
    return saver;
  }

  it('names at the start what of a server could lose state', async () => {
    const redis = await server('--maxmemory-policy', 'allkeys-lru', '--appendonly', 'no');
    const { said, log: to } = listening();
    await open(redis.url, to);
    expect(said).toEqual([expect.stringContaining('maxmemory-policy'), expect.stringContaining('appendonly')]);
    await redis.ask('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    await redis.ask('CONFIG', 'SET', 'appendonly', 'yes');
    await open(redis.url, to);
    expect(said).toHaveLength(2);
  });

  it('needs few rights, and not to see the settings', async () => {
    const rights = ['+@all', '-@admin', '-@dangerous', '+restore'];
    const { url } = await server('--user', 'baton', 'on', '>pw', '~baton:*', ...rights);
    const { said, log: to } = listening();
    const saver = await open(url.replace('//', '//baton:pw@'), to);
    await put(saver, { thread_id: 't' });
    await saver.copyThread('t', 'copy');
    await saver.deleteThread('t');
    expect(await saver.threads(9)).toEqual(['copy']);
    expect(said).toEqual([expect.stringContaining('could not see how Redis')]);
  });

  it('touches no key but those of its threads', async () => {
    const redis = await server();
    await redis.ask('SET', 'mine', '1');
    const saver = await open(redis.url);
    const thread_id = '}{thread*';
    const at = await put(saver, { thread_id }, { big: BIG });
    await saver.putWrites({ configurable: at }, [['v', 1]], 'task');
    await saver.fence(thread_id, 3);
    const keys = await redis.ask<string[]>('KEYS', '*');
    const others = keys.filter((key) => !key.startsWith('baton:{"\\u007d\\u007bthread*"}:'));
    expect([keys.length, others]).toEqual([8, ['mine']]);
    expect(await saver.threads(5)).toEqual([thread_id]);
    await saver.deleteThread(thread_id);
    expect(await redis.ask('KEYS', '*')).toEqual(['mine']);
  });

  it('sends scripts again to a server that has forgotten them', async () => {
    const redis = await server();
    const saver = await open(redis.url);
    const thread_id = randomUUID();
    await put(saver, { thread_id }, { v: 1 });
    await redis.ask('SCRIPT', 'FLUSH');
    await put(saver, { thread_id }, { v: 2 });
    expect((await saver.get({ configurable: { thread_id } }))?.channel_values).toEqual({ v: 2 });
  });

  it('begins the time to live again with each change, for all of a thread', async () => {
    const redis = await server();
    const saver = await open(`${redis.url}?ttl=1h`);
    const thread_id = randomUUID();
    const shorten = async (): Promise<void> => {
      for (const key of await redis.ask<string[]>('KEYS', '*')) await redis.ask('PEXPIRE', key, '60000');
    };
    const shortest = async (): Promise<number> => {
      const keys = await redis.ask<string[]>('KEYS', '*');
      return Math.min(...(await Promise.all(keys.map((key) => redis.ask<number>('PTTL', key)))));
    };
    const at = await put(saver, { thread_id }, { big: BIG });
    await saver.putWrites({ configurable: at }, [['v', 1]], 'task');
    const changes = [
      () => saver.fence(thread_id, 1),
      () => put(saver, { thread_id, [FENCING_TOKEN_KEY]: 1 }),
      () => saver.putWrites({ configurable: at }, [['v', 2]], 'task'),
    ];
    for (const change of changes) {
      await shorten();
      await change();
      expect(await shortest()).toBeGreaterThan(3_000_000);
    }
    await saver.copyThread(thread_id, 'copy');
    expect(await shortest()).toBeGreaterThan(3_000_000);
  });

  it('plans a removal anew when another process writes meanwhile, and loses nothing of that', async () => {
    const { url } = await server();
    const mine = await RedisDriver.open({ url, log });
    closing.push(() => mine.close());
    const theirs = await open(url);
    const thread_id = randomUUID();
    const old = await put(theirs, { thread_id }, { big: BIG });
    let at = await put(theirs, { thread_id }, { other: `${BIG}.` });
    const removing = mine.remove(thread_id, [old]);
    for (let n = 0; n < 30; n += 1) at = await put(theirs, at, { other: `${BIG}.`, n });
    await removing;
    const outline = await mine.outline(thread_id);
    expect([outline.checkpoints.length, outline.values.length]).toEqual([31, 1]);
    expect((await theirs.get({ configurable: { thread_id } }))?.id).toBe(at.checkpoint_id);
  });

  it('goes on with a run when Redis was killed in the middle of it and started again, and repeats nothing', async () => {
    const redis = await server('--appendfsync', 'always');
    const { said, log: to } = listening();
    const outages = () => said.filter((text) => text.includes('was lost')).length;
    const saver = await open(redis.url, to);
    const trace: string[] = [];
    const graph = line(saver, trace);
    const thread_id = randomUUID();
    await saver.fence(thread_id, 1);
    const configurable = { thread_id, [FENCING_TOKEN_KEY]: 1 };
    const stream = await graph.stream({ v: '1' }, { configurable, durability: 'sync', streamMode: 'updates' });
    let kills = 0;
    for await (const update of stream) {
      if ('c' in update) continue;
      kills += 1;
      await redis.kill();
      // The next step is saved while nobody is there.
      void vi.waitFor(() => expect(outages()).toBe(kills)).then(() => redis.startAgain());
    }
    expect(trace).toEqual(['a', 'b', 'c']);
    expect((await graph.getState({ configurable: { thread_id } })).values.log).toEqual(['a(1)', 'b(1)', 'c(1)']);
    expect(await saver.threads(9)).toEqual([thread_id]);
    expect([kills, outages(), said.filter((text) => text.includes('is back')).length]).toEqual([2, 2, 2]);
  });

  it('waits with a change while Redis is full, and then makes it whole', async () => {
    const redis = await server();
    const saver = await open(redis.url);
    const thread_id = randomUUID();
    await put(saver, { thread_id }, { v: 1 });
    await redis.ask('CONFIG', 'SET', 'maxmemory', '1');
    const waiting = put(saver, { thread_id }, { v: 2, big: BIG });
    await vi.waitFor(async () => expect(await redis.ask('INFO', 'errorstats')).toMatch(/errorstat_OOM:count=[2-9]/));
    expect((await saver.get({ configurable: { thread_id } }))?.channel_values).toEqual({ v: 1 });
    // What only removes is not refused.
    await saver.deleteThread('nobody');
    await redis.ask('CONFIG', 'SET', 'maxmemory', '0');
    await waiting;
    expect((await saver.get({ configurable: { thread_id } }))?.channel_values).toEqual({ v: 2, big: BIG });
  });

  it('acknowledges with ?wait=1 when a replica has the change', async () => {
    const port = String(await freePort());
    const redis = await server('--port', port, '--repl-diskless-sync-delay', '0');
    const saver = await open(`${redis.url}?wait=1`);
    let stored = false;
    const waiting = put(saver, { thread_id: 't' }, { v: 1 }).then(() => (stored = true));
    await vi.waitFor(async () => expect(await redis.ask('INFO', 'commandstats')).toContain('cmdstat_wait'));
    expect(stored).toBe(false);
    const replica = await server('--replicaof', '127.0.0.1', port);
    await waiting;
    expect(await replica.ask('HLEN', 'baton:{"t"}:index')).toBe(1);
  });

  it('waits again for a replica with ?wait=1, and does not make the change again', async () => {
    const port = String(await freePort());
    const redis = await server('--port', port, '--repl-diskless-sync-delay', '0');
    await put(await open(redis.url), { thread_id: 't' });
    const saver = await open(`${redis.url}?wait=1`);
    await redis.ask('CONFIG', 'RESETSTAT');
    const waiting = put(saver, { thread_id: 't' });
    const stats = () => redis.ask<string>('INFO', 'commandstats');
    await vi.waitFor(async () => expect(await stats()).toMatch(/cmdstat_wait:calls=[2-9]/), 4000);
    expect(await stats()).toMatch(/cmdstat_evalsha:calls=1,/);
    await server('--replicaof', '127.0.0.1', port);
    await waiting;
  });

  it('follows the address when another server takes over', async () => {
    const [first, second] = [String(await freePort()), String(await freePort())];
    const old = await server('--port', first);
    const next = await server('--port', second);
    const proxy = await CuttingProxy.listen({ target: `http://127.0.0.1:${first}`, seed: 1, fates: ['pass'] });
    closing.push(() => proxy.close());
    const saver = await open(proxy.url.replace('http', 'redis'));
    await put(saver, { thread_id: 'before' }, { v: 1 });
    // The connection stays where it is.
    await old.ask('REPLICAOF', '127.0.0.1', second);
    proxy.target = `http://127.0.0.1:${second}`;
    await Promise.all(['a', 'b', 'c'].map((thread_id) => put(saver, { thread_id }, { v: 2 })));
    expect(await next.ask('HLEN', 'baton:{"a"}:index')).toBe(1);
    expect(await saver.threads(9)).toEqual(['a', 'b', 'c']);
  });

  describe('in a cluster', () => {
    let cluster: RedisCluster;
    beforeAll(async () => {
      cluster = await RedisCluster.start();
    });
    afterAll(() => cluster.stop());

    it('keeps each thread on one server, whatever its name, and finds them all', async () => {
      const saver = await open(cluster.url);
      const odd = ['{a}', '{}', '}', '{', '}{x}', 'nul\0', 'lone\ud800', '😀'];
      const names = [...odd, ...Array.from({ length: 20 }, () => randomUUID())];
      for (const name of names) {
        const at = await put(saver, { thread_id: name }, { name, big: BIG + name });
        await saver.putWrites({ configurable: at }, [['v', name]], 'task');
        await saver.fence(name, 1);
        await saver.copyThread(name, `copy of ${name}`);
        const copy = await saver.getTuple({ configurable: { thread_id: `copy of ${name}` } });
        expect(copy?.checkpoint.channel_values).toEqual({ name, big: BIG + name });
        expect(copy?.pendingWrites).toEqual([['task', 'v', name]]);
      }
      expect(await saver.threads(1000)).toHaveLength(2 * names.length);
      const sizes = await Promise.all(cluster.nodes.map((node) => node.ask<number>('DBSIZE')));
      expect(Math.min(...sizes)).toBeGreaterThan(0);
    });

    it('outlives the loss of the server that has a thread, and lets others go on meanwhile', async () => {
      const saver = await open(cluster.url);
      const [lost] = cluster.nodes;
      const threadOn = async (isLost: boolean): Promise<string> => {
        for (;;) {
          const thread_id = randomUUID();
          const slot = await lost?.ask<number>('CLUSTER', 'KEYSLOT', `{"${thread_id}"}`);
          if (Number(slot) < FIRST_SLOTS === isLost) return thread_id;
        }
      };
      const [thread_id, other] = [await threadOn(true), await threadOn(false)];
      const trace: string[] = [];
      const graph = line(saver, trace);
      const config = { configurable: { thread_id }, durability: 'sync' as const, streamMode: 'updates' as const };
      for await (const update of await graph.stream({ v: '1' }, config)) {
        if (!('a' in update)) continue;
        await lost?.kill();
        await put(saver, { thread_id: other }, { v: 1 });
        await lost?.startAgain();
      }
      expect(trace).toEqual(['a', 'b', 'c']);
      expect((await graph.getState({ configurable: { thread_id } })).values.log).toEqual(['a(1)', 'b(1)', 'c(1)']);
    });

    it('goes on with the replica that takes the place of a server', async () => {
      const saver = await open(cluster.url);
      const [lost] = cluster.nodes;
      if (lost === undefined) throw new Error('no node');
      const replica = await cluster.replicaOf(lost);
      closing.push(() => replica.stop());
      const names = Array.from({ length: 20 }, () => randomUUID());
      await Promise.all(names.map((thread_id) => put(saver, { thread_id }, { v: 1 })));
      await lost.kill();
      const waiting = names.map((thread_id) => put(saver, { thread_id }, { v: 2 }));
      // As an election would end, without the time that it takes.
      await replica.ask('CLUSTER', 'FAILOVER', 'TAKEOVER');
      await Promise.all(waiting);
      expect(await replica.ask('ROLE')).toContain('master');
      const states = await Promise.all(names.map((thread_id) => saver.get({ configurable: { thread_id } })));
      expect(states.map((state) => state?.channel_values)).toEqual(names.map(() => ({ v: 2 })));
    });
  });
});
