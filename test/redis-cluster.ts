import { setTimeout as delay } from 'node:timers/promises';
import { freePort, RedisServer } from './redis-server.ts';

interface Node {
  redis: RedisServer;
  port: number;
  bus: number;
}

/** The first node has the slots below this one. */
export const FIRST_SLOTS = 5461;
const SLOTS = [0, FIRST_SLOTS, 10_923, 16_384];

/** Three servers that share the slots. */
export class RedisCluster {
  readonly nodes: readonly RedisServer[];
  readonly url: string;

  private constructor(nodes: readonly Node[]) {
    this.nodes = nodes.map(({ redis }) => redis);
    this.url = `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`;
  }

  static async start(): Promise<RedisCluster> {
    const nodes = await Promise.all([startNode(), startNode(), startNode()]);
    for (const [n, { redis }] of nodes.entries()) {
      // Else they would settle it among themselves, some time.
      await redis.ask('CLUSTER', 'SET-CONFIG-EPOCH', String(n + 1));
      await redis.ask('CLUSTER', 'ADDSLOTSRANGE', String(SLOTS[n]), String(Number(SLOTS[n + 1]) - 1));
      for (const { port, bus } of nodes.slice(0, n)) {
        await redis.ask('CLUSTER', 'MEET', '127.0.0.1', String(port), String(bus));
      }
    }
    for (const { redis } of nodes) {
      await until('the nodes of the cluster did not find each other', async () =>
        /cluster_state:ok[^]*cluster_slots_ok:16384/.test(await redis.ask<string>('CLUSTER', 'INFO')),
      );
    }
    return new RedisCluster(nodes);
  }

  /** A server that has what a node has, and takes its place when it is told to. To be stopped by itself. */
  async replicaOf(node: RedisServer): Promise<RedisServer> {
    const { redis, port, bus } = await startNode();
    for (const other of this.nodes) await other.ask('CLUSTER', 'MEET', '127.0.0.1', String(port), String(bus));
    const id = await node.ask<string>('CLUSTER', 'MYID');
    await until('the replica did not hear of the slots', async () =>
      /cluster_slots_assigned:16384/.test(await redis.ask<string>('CLUSTER', 'INFO')),
    );
    await redis.ask('CLUSTER', 'REPLICATE', id);
    await until('the replica did not catch up', async () =>
      (await node.ask<string>('INFO', 'replication')).includes('state=online'),
    );
    return redis;
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) await node.stop();
  }
}

async function startNode(): Promise<Node> {
  const [port, bus] = [await freePort(), await freePort()];
  const ports = ['--port', String(port), '--cluster-enabled', 'yes', '--cluster-port', String(bus)];
  // One that is gone takes only its own slots with it.
  const rules = ['--cluster-node-timeout', '5000', '--cluster-require-full-coverage', 'no'];
  const disk = ['--appendfsync', 'always', '--repl-diskless-sync-delay', '0'];
  const redis = await RedisServer.start([...ports, ...rules, ...disk]);
  if (redis === null) throw new Error('a cluster needs redis-server: install it');
  return { redis, port, bus };
}

/** They tell each other ten times a second. */
async function until(otherwise: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 20_000;
  while (!(await isSo())) {
    if (performance.now() > deadlineMs) throw new Error(otherwise);
    await delay(100);
  }
}
