import type { Logger } from 'pino';
import { InvalidInputError, messageOf } from '../../../core/errors.ts';
import { isConnectionLost } from '../../../core/connection-loss.ts';
import { type RedisConnection, refusal } from './redis-connection.ts';

const OLDEST = [6, 2] as const;

/**
 * Says what of a server's settings could lose state. It asks by INFO, which managed servers answer, too.
 * @throws InvalidInputError for a server that is too old, or that does not let us in.
 */
export async function inspectServers(connection: RedisConnection, name: string, log: Logger): Promise<void> {
  for (const send of await connection.servers()) {
    let text: string;
    try {
      text = String(await send(['INFO']));
    } catch (error) {
      if (isConnectionLost(error) || /^(NOAUTH|WRONGPASS)/.test(messageOf(error))) throw refusal(error, name);
      log.warn({ err: error }, `could not see how Redis at ${name} is set up: it needs 6.2, noeviction and appendonly`);
      continue;
    }
    inspect(fieldsOf(text), name, log);
  }
}

function inspect(info: ReadonlyMap<string, string>, name: string, log: Logger): void {
  const version = info.get('redis_version') ?? '';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (version !== '' && (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))) {
    throw new InvalidInputError(`Redis at ${name} is ${version}: state needs ${OLDEST.join('.')} or newer`);
  }
  const policy = info.get('maxmemory_policy');
  if (policy !== undefined && policy !== 'noeviction') {
    log.warn(
      `Redis at ${name} drops keys when its memory is full (maxmemory-policy ${policy}), and threads with them: ` +
        'set maxmemory-policy to noeviction',
    );
  }
  if (info.get('aof_enabled') === '0') {
    log.warn(
      `Redis at ${name} keeps no log (appendonly no): when it stops, what was saved since its last snapshot is lost: ` +
        'set appendonly to yes',
    );
  }
}

function fieldsOf(text: string): Map<string, string> {
  return new Map(
    text.split(/\r?\n/).flatMap((line) => {
      const [name, ...value] = line.split(':');
      return name && value.length > 0 ? [[name, value.join(':')]] : [];
    }),
  );
}
