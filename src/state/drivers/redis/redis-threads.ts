import type { RedisArgument } from '@redis/client';
import { outliveConnections } from '../../../core/connection-loss.ts';
import { ServiceError } from '../../../core/errors.ts';
import type { RedisConnection } from './redis-connection.ts';
import type { Script, ScriptName } from './scripts.ts';
import { type KEY, keysOf, orderPattern, threadOfKey } from './thread-keys.ts';

interface RedisThreadsParts {
  connection: RedisConnection;
  scripts: Record<ScriptName, Script>;
  prefix: string;
  /** How many replicas must have what a script wrote before it counts as done. */
  replicas: number;
}

/** How long a replica may take to say that it has a change. */
const WAIT_MS = 2_000;
/** So often a change is waited for. */
const WAITS = 5;
const SCAN_COUNT = '1000';

/** Commands on the keys of threads. Whatever loses its connection is asked again. */
export class RedisThreads {
  readonly #parts: RedisThreadsParts;

  constructor(parts: RedisThreadsParts) {
    this.#parts = parts;
  }

  /** Runs a script on all keys of a thread. */
  async read(name: ScriptName, threadId: string, args: readonly RedisArgument[]): Promise<unknown> {
    return outliveConnections(() => this.#evaluate(name, threadId, args));
  }

  /** The same for one that writes: done when as many replicas have it as were asked for. */
  async write(name: ScriptName, threadId: string, args: readonly RedisArgument[]): Promise<unknown> {
    return outliveConnections(async () => {
      const answer = await this.#evaluate(name, threadId, args);
      await this.#replicated(threadId);
      return answer;
    });
  }

  /** One command on one key of a thread. */
  async ask(
    threadId: string,
    command: string,
    key: (typeof KEY)[keyof typeof KEY],
    ...args: readonly string[]
  ): Promise<unknown> {
    const { connection, prefix } = this.#parts;
    const name = keysOf(prefix, threadId)[key - 1] ?? '';
    return outliveConnections(() => connection.send(name, [command, name, ...args]));
  }

  /** The threads that have checkpoints, in no order. Reads the names of all keys. */
  async ids(): Promise<string[]> {
    const { connection, prefix } = this.#parts;
    return outliveConnections(async () => {
      const ids = new Set<string>();
      for (const send of await connection.servers()) {
        let cursor = '0';
        do {
          const args = ['SCAN', cursor, 'MATCH', orderPattern(prefix), 'COUNT', SCAN_COUNT];
          const [next, keys] = (await send(args)) as [Buffer, Buffer[]];
          for (const key of keys) ids.add(threadOfKey(prefix, key.toString()));
          cursor = next.toString();
        } while (cursor !== '0');
      }
      return [...ids];
    });
  }

  async #evaluate(name: ScriptName, threadId: string, args: readonly RedisArgument[]): Promise<unknown> {
    const { connection, scripts, prefix } = this.#parts;
    const { text, sha } = scripts[name];
    const keys = keysOf(prefix, threadId);
    const [key = ''] = keys;
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await connection.send(key, ['EVALSHA', sha, ...rest]);
    } catch (error) {
      // The server has forgotten it, or has never seen it.
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return connection.send(key, ['EVAL', text, ...rest]);
    }
  }

  /** The change is made: what is done again while replicas are missing is the waiting, and not the script. */
  async #replicated(threadId: string): Promise<void> {
    const { connection, prefix, replicas } = this.#parts;
    if (replicas === 0) return;
    const [key = ''] = keysOf(prefix, threadId);
    let have = 0;
    for (let waits = 0; waits < WAITS; waits++) {
      have = Number(await connection.send(key, ['WAIT', String(replicas), String(WAIT_MS)]));
      if (have >= replicas) return;
    }
    throw new ServiceError(
      'unavailable',
      `Redis has the change, but ${have} of the ${replicas} replicas that ?wait= asks for: see that they run, then try again`,
    );
  }
}
