import type { Pool } from 'pg';
import type { Logger } from 'pino';
import { InvalidInputError } from '../core/errors.ts';
import { shownStateUrl } from '../core/state-url.ts';
import { type Codec, plainCodec } from '../core/codec.ts';
import type { CheckpointDriver } from './drivers/checkpoint-driver.ts';
import { bareUrl } from '../core/sealed-url.ts';
import { DurableSaver } from './durable-saver.ts';
import { namingOutages } from './outages.ts';

export interface OpenStateOptions {
  /** `memory:`, `sqlite:/absolute/path/state.db`, `redis://…` or `postgres://…`, as `stateUrl` of core writes it; also after `encrypted+`. */
  url: string;
  log: Logger;
  /** Connections to share, when the state lives in the database that the process uses anyway. */
  pool?: Pool;
  /** What seals the rows of an encrypted store. */
  sealing?: Codec | undefined;
  /** Puts its big values elsewhere: wraps the driver, and the codec that reads them back. */
  offload?: { driver(driver: CheckpointDriver): CheckpointDriver; codec(codec: Codec): Codec } | null;
}

/** Opens the state store that a URL names, brought up to date, and the saver over it. */
export async function openState(options: OpenStateOptions): Promise<DurableSaver> {
  const url = bareUrl(options.url);
  const codec = url === options.url ? plainCodec : options.sealing;
  if (codec === undefined) {
    throw new InvalidInputError(
      `${shownStateUrl(options.url)} is encrypted, and its keys are in the control plane of the project whose store it is: BATON_KEYS is read only where STATE_URL, or the state of a graph, begins with "encrypted+". Set that one to it, and leave it out here`,
    );
  }
  const driver = namingOutages(await openDriver({ ...options, url }), shownStateUrl(options.url));
  const { offload } = options;
  // Sealed first, then offloaded: what leaves for elsewhere is sealed.
  return new DurableSaver(
    offload ? { driver: offload.driver(driver), codec: offload.codec(codec) } : { driver, codec },
  );
}

/** Each driver is loaded only when it is used. */
async function openDriver(options: OpenStateOptions): Promise<CheckpointDriver> {
  const scheme = options.url.slice(0, options.url.indexOf(':'));
  switch (scheme) {
    case 'memory': {
      const { MemoryDriver } = await import('./drivers/memory/memory-driver.ts');
      return new MemoryDriver();
    }
    case 'sqlite': {
      const { SqliteDriver } = await import('./drivers/sqlite/sqlite-driver.ts');
      return SqliteDriver.open(options);
    }
    case 'postgres':
    case 'postgresql': {
      const { PostgresDriver } = await import('./drivers/postgres/postgres-driver.ts');
      return PostgresDriver.open(options);
    }
    case 'redis':
    case 'rediss':
    case 'redis+unix':
    case 'redis+cluster':
    case 'rediss+cluster': {
      const { RedisDriver } = await import('./drivers/redis/redis-driver.ts');
      return RedisDriver.open(options);
    }
    default:
      throw new InvalidInputError(
        `STATE_URL begins with "${scheme}:", which no driver takes: use memory:, sqlite:./state.db, redis:// or postgres://`,
      );
  }
}
