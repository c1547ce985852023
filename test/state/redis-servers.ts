import { afterEach } from 'vitest';
import { RedisServer } from '../redis-server.ts';

/** For the tests of a suite: starts servers of their own. What is in `closing` is closed after each test, the last one first. */
export function redisServers() {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).toReversed()) await close();
  });

  async function server(...args: string[]): Promise<RedisServer> {
    const started = await RedisServer.start(args);
    if (started === null) throw new Error('this test starts servers of its own: install redis-server');
    closing.push(() => started.stop());
    return started;
  }
  return { closing, server };
}
