import { setTimeout } from 'node:timers/promises';

/** Long enough for a Postgres that restarts. */
const PATIENCE_MS = 10_000;
const PAUSE_MS = 100;
/** Shutdowns, "cannot connect now", and the class of connection exceptions. */
const LOSS = /^(57P0[1-3]|08...|ECONNRESET|ECONNREFUSED|EPIPE|ENOENT|ETIMEDOUT)$/;
/** node-postgres gives these no code. */
const LOSS_MESSAGE = /Connection terminated|connection error and is not queryable|Client was closed/;

/**
 * Runs an operation again while its connection is lost, so only one that may be done twice. When this gives up, its
 * outcome is unknown: it may have been committed.
 */
export async function outlivingConnections<T>(operation: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await operation();
    } catch (error) {
      if (!isConnectionLoss(error) || Date.now() > deadline) throw error;
      await setTimeout(PAUSE_MS);
    }
  }
}

export function isConnectionLoss(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof AggregateError) return error.errors.every(isConnectionLoss);
  return ('code' in error && LOSS.test(String(error.code))) || LOSS_MESSAGE.test(error.message);
}
