import {
  ClientClosedError,
  ClientOfflineError,
  createClient,
  createCluster,
  type RedisArgument,
  RESP_TYPES,
} from '@redis/client';
import { isIP } from 'node:net';
import type { Logger } from 'pino';
import { InvalidInputError, messageOf, ServiceError } from '../../../core/errors.ts';
import { shownStateUrl } from '../../../core/state-url.ts';
import { parseRedisUrl, type RedisAddress } from './redis-url.ts';

/** Answers as Redis gives them, with Buffers for texts. */
type Send = (args: RedisArgument[]) => Promise<unknown>;

/** A Redis or a cluster of them. While it is out of reach commands fail at once: none waits in a queue. */
export interface RedisConnection {
  /** To the server that has the key. */
  send(key: string, args: RedisArgument[]): Promise<unknown>;
  /** Every server that takes writes. */
  servers(): Promise<Send[]>;
  close(): void;
}

/** Beyond, whoever asks hears of it; the connection is tried on. */
const OPEN_MS = 10_000;
const PING_MS = 3_000;
/** A server that is silent for longer is taken for lost. */
const SILENCE_MS = 10_000;
const MAX_PAUSE_MS = 500;
/** After which the others of a cluster are asked who has the place of one that is out of reach. */
const REFRESH_MS = 1_000;

/** What OpenSSL says of a chain that ends at no known authority. */
const UNTRUSTED = /^(self-signed certificate|unable to (get (local )?issuer|verify the first) certificate)/;

const AS_BUFFERS = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } };

/** @throws ServiceError or InvalidInputError that says what is wrong with `STATE_URL`, when there is no way in. */
export async function connectRedis(url: string, log: Logger): Promise<RedisConnection> {
  const address = parseRedisUrl(url);
  const name = shownStateUrl(url);
  const state = { opened: false };
  const connection = address.cluster ? clusterOf(address, state) : singleOf(address, state);
  tellOutages(connection, state, log, name);
  try {
    await within(OPEN_MS, connection.connect());
    state.opened = true;
    return connection;
  } catch (error) {
    connection.close();
    throw refusal(error, name);
  }
}

/** What to do about an error at the first words with a server. */
export function refusal(error: unknown, name: string): Error {
  if (error instanceof ServiceError) return error;
  const said = messageOf(error instanceof Error && error.cause instanceof Error ? error.cause : error);
  if (/^(WRONGPASS|NOAUTH|ERR AUTH|ERR invalid password)/.test(said)) {
    return new InvalidInputError(`Redis at ${name} does not take the user and password in STATE_URL (${said})`);
  }
  if (UNTRUSTED.test(said)) {
    return new InvalidInputError(
      `Redis at ${name} has a certificate that nobody vouches for (${said}): name the file of who does in NODE_EXTRA_CA_CERTS`,
    );
  }
  return new ServiceError(
    'unavailable',
    `Redis at ${name} cannot be reached (${said}): see that it runs and that STATE_URL is right`,
    { cause: error },
  );
}

interface OpenedState {
  opened: boolean;
}

interface Opening extends RedisConnection {
  connect(): Promise<unknown>;
  on(event: string, listener: (error: Error) => void): unknown;
  events: { down: string[]; up: string[] };
}

function singleOf(address: RedisAddress, state: OpenedState): Opening {
  const client = createClient({ ...optionsOf(address, state), database: address.database });
  const send: Send = async (args) => {
    try {
      return await client.sendCommand(args, AS_BUFFERS);
    } catch (error) {
      // It was made a replica: the address may lead to its successor by now.
      if (messageOf(error).startsWith('READONLY') && client.isReady) {
        client.destroy();
        void client.connect().catch(() => undefined); // whoever asks next hears of it
      }
      throw error;
    }
  };
  return {
    send: (_key, args) => send(args),
    servers: async () => [send],
    close: () => client.destroy(),
    connect: () => client.connect(),
    on: (event, listener) => client.on(event, listener),
    events: { down: ['error'], up: ['ready'] },
  };
}

function clusterOf(address: RedisAddress, state: OpenedState): Opening {
  const { RESP, ...defaults } = optionsOf(address, state);
  const { tls } = address;
  const cluster = createCluster({
    rootNodes: address.nodes.flatMap((node) => ('host' in node ? [{ socket: { ...node, ...(tls && { tls }) } }] : [])),
    defaults,
    RESP,
    topologyRefreshOnReconnectionAttemptStrategy: REFRESH_MS,
  });
  return {
    send: async (key, args) => {
      try {
        return await cluster.sendCommand(key, false, args, AS_BUFFERS);
      } catch (error) {
        // Another server has taken the place of the one that was asked: not the end of all, but an outage.
        const isReplaced = error instanceof ClientClosedError && cluster.isOpen;
        throw isReplaced ? new ClientOfflineError() : error;
      }
    },
    servers: () =>
      Promise.all(
        cluster.masters.map(async (master): Promise<Send> => {
          const client = await cluster.nodeClient(master);
          return (args) => client.sendCommand(args, AS_BUFFERS);
        }),
      ),
    close: () => cluster.destroy(),
    connect: () => cluster.connect(),
    on: (event, listener) => cluster.on(event, listener),
    events: { down: ['error', 'node-error'], up: ['node-ready'] },
  };
}

function optionsOf({ nodes: [node], tls, username, password, cluster }: RedisAddress, state: OpenedState) {
  const socket = {
    ...(!cluster && node),
    ...(tls && { tls }),
    // Node itself does not tell it, and a gateway before several servers chooses by it.
    ...(tls && !cluster && node && 'host' in node && isIP(node.host) === 0 && { servername: node.host }),
    connectTimeout: 5_000,
    socketTimeout: SILENCE_MS,
    // A store that is not there at the start is an error in the settings; one that goes away comes back.
    reconnectStrategy: (retries: number, cause: Error) =>
      state.opened ? Math.min(20 * 2 ** retries, MAX_PAUSE_MS) * (1 - Math.random() / 2) : cause,
  };
  return {
    socket,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    name: 'baton',
    // The older protocol does all that is needed, and every proxy knows it.
    RESP: 2 as const,
    disableOfflineQueue: true,
    pingInterval: PING_MS,
    maintNotifications: 'disabled' as const,
  };
}

/** Once an outage, not once a try. */
function tellOutages(opening: Opening, state: OpenedState, log: Logger, name: string): void {
  let lost = false;
  const down = (error: Error): void => {
    if (state.opened && !lost) log.warn({ err: error }, `the connection to Redis at ${name} was lost: trying again`);
    lost = state.opened;
  };
  const up = (): void => {
    if (lost) log.info(`Redis at ${name} is back`);
    lost = false;
  };
  // Without a listener an error would end the process.
  for (const event of opening.events.down) opening.on(event, down);
  for (const event of opening.events.up) opening.on(event, up);
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
