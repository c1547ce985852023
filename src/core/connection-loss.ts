import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, ServiceError } from './errors.ts';

/** Long enough for a Postgres that restarts. */
const PATIENCE_MS = 10_000;
const PAUSES_MS = [20, 50, 100];

/** Shutdowns, "cannot connect now", the class of connection exceptions, what sockets say, and a file in use or out of reach. */
const CODES = /^(57P0[1-3]|08...|ECONNRESET|ECONNREFUSED|EPIPE|ENOENT|ETIMEDOUT|SQLITE_(BUSY|IOERR))$/;
/** node-postgres gives these no code. */
const MESSAGES =
  /Connection terminated|connection error and is not queryable|Client has encountered a connection error|Client was closed|timeout exceeded when trying to connect/;

/** The client of Redis has no codes either, and Redis begins its answers with them: it restarts, fails over, or has no room. */
const REDIS =
  /^(Socket closed unexpectedly|Socket timeout|Connection timeout|The client is offline|Disconnects client|All the root nodes are unavailable|Too many Cluster redirections|Cannot find node|(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|OOM|NOREPLICAS|MISCONF) )/;

/** Whether something failed because a database went away, and may succeed when it is back. */
export function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof AggregateError) return error.errors.every(isConnectionLost);
  return (
    ('code' in error && CODES.test(String(error.code))) || MESSAGES.test(error.message) || REDIS.test(error.message)
  );
}

/**
 * Does again what lost its connection, so only work that may be done twice, until the database is back.
 * @throws ServiceError `unavailable` after ten seconds; then the outcome is unknown: it may have been committed.
 */
export async function outliveConnections<T>(work: () => Promise<T>): Promise<T> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  for (let tries = 0; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!isConnectionLost(error)) throw error;
      if (performance.now() > deadlineMs) {
        const reason = `The database is out of reach (${messageOf(error)}): see that it runs, then try again`;
        throw new ServiceError('unavailable', reason, { cause: error });
      }
      await delay(PAUSES_MS[tries] ?? 200);
    }
  }
}
