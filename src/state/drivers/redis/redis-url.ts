import { durationMs } from '../../../core/duration.ts';
import { InvalidInputError } from '../../../core/errors.ts';

/** What a `STATE_URL` of Redis says. */
export interface RedisAddress {
  /** One server, or some nodes of a cluster, from which the others are found. */
  nodes: readonly ({ host: string; port: number } | { path: string })[];
  cluster: boolean;
  tls: boolean;
  username: string | undefined;
  password: string | undefined;
  database: number;
  /** What every key begins with. */
  prefix: string;
  /** How long a thread is kept after its last change; null: until it is deleted. */
  ttlMs: number | null;
  /** How many replicas must have a change before it is acknowledged. */
  replicas: number;
}

const FORMS =
  'redis://[user:password@]host[:port][/database], rediss://… for TLS, redis+unix:///path/to.sock, or redis+cluster://host:port,host:port';
const SHAPE = /^(rediss?)(\+cluster|\+unix)?:\/\/(?:([^@/?]*)@)?([^/?]*)(\/[^?]*)?(?:\?(.*))?$/;
const SETTINGS = ['ttl', 'prefix', 'wait', 'db'];
/** Braces would choose the slot of a cluster, and the others mean something in a pattern. */
const PREFIX = /^[\w:.-]+$/;

/** @throws InvalidInputError for what is no address of Redis. */
export function parseRedisUrl(url: string): RedisAddress {
  const [, scheme, form, user = '', hosts = '', path = '', query = ''] = SHAPE.exec(url) ?? [];
  if (scheme === undefined) throw new InvalidInputError(`STATE_URL is no address of Redis: write ${FORMS}`);
  const [, username = '', password] = /^([^:]*)(?::(.*))?$/s.exec(user) ?? [];
  const { database, ...settings } = settingsOf(query);
  const isSocket = form === '+unix';
  const address: RedisAddress = {
    nodes: isSocket ? [{ path: decoded(path) }] : hosts.split(',').map(nodeOf),
    cluster: form === '+cluster',
    tls: scheme === 'rediss',
    username: username === '' ? undefined : decoded(username),
    password: password === undefined ? undefined : decoded(password),
    database: database ?? (isSocket ? 0 : wholeNumber('database', path.slice(1))),
    ...settings,
  };
  if (address.cluster && address.database !== 0) {
    throw new InvalidInputError('STATE_URL names a database, and a cluster has only one: leave the number out');
  }
  return address;
}

/** What stands after the question mark. */
function settingsOf(query: string): Pick<RedisAddress, 'prefix' | 'ttlMs' | 'replicas'> & { database: number | null } {
  const settings = new URLSearchParams(query);
  for (const name of settings.keys()) {
    if (SETTINGS.includes(name)) continue;
    throw new InvalidInputError(`STATE_URL has "?${name}=", which Redis does not know: use ${SETTINGS.join(', ')}`);
  }
  const [ttl, database, prefix = 'baton'] = ['ttl', 'db', 'prefix'].map((name) => settings.get(name) ?? undefined);
  if (!PREFIX.test(prefix)) throw new InvalidInputError('The prefix in STATE_URL may hold letters, digits and _ : . -');
  return {
    prefix,
    ttlMs: ttl === undefined ? null : durationMs(ttl as `${number}d`),
    replicas: wholeNumber('?wait=', settings.get('wait') ?? ''),
    database: database === undefined ? null : wholeNumber('?db=', database),
  };
}

function nodeOf(text: string): { host: string; port: number } {
  const [, host, port = '6379'] = /^(\[[\da-fA-F:.]+\]|[^:[\]]+)(?::(\d+))?$/.exec(text) ?? [];
  if (host === undefined) throw new InvalidInputError(`STATE_URL names no host that Redis could be on: write ${FORMS}`);
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
}

function wholeNumber(what: string, text: string): number {
  if (/^\d*$/.test(text)) return Number(text);
  throw new InvalidInputError(`The ${what} in STATE_URL must be a whole number`);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new InvalidInputError('STATE_URL holds a % that begins no escape: write it as %25');
  }
}
