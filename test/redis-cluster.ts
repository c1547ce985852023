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
      await redis.ask('CLUSTER', 'ADDSLOTSRANGE', String(SLOTS[n]), String(Number(SLOTS[n + 1]) - 1));
      for (const { port, bus } of nodes.slice(0, n)) {
        await redis.ask('CLUSTER', 'MEET', '127.0.0.1', String(port), String(bus));
      }
    }
    for (const { redis } of nodes) {
      const deadlineMs = performance.now() + 20_000;
      // They tell each other ten times a second.
      while (!/cluster_state:ok[^]*cluster_slots_ok:16384/.test(await redis.ask<string>('CLUSTER', 'INFO'))) {
        if (performance.now() > deadlineMs) throw new Error('the nodes of the cluster did not find each other');
        await delay(100);
      }
    }
    return new RedisCluster(nodes);
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) await node.stop();
  }
}

async function startNode(): Promise<Node> {
  const [port, bus] = [await freePort(), await freePort()];
  const ports = ['--port', String(port), '--cluster-enabled', 'yes', '--cluster-port', String(bus)];
  // One that is gone takes only its own slots with it.
  const rules = ['--cluster-node-timeout', '2000', '--cluster-require-full-coverage', 'no', '--appendfsync', 'always'];
  const redis = await RedisServer.start([...ports, ...rules]);
  if (redis === null) throw new Error('a cluster needs redis-server: install it');
  return { redis, port, bus };
}
