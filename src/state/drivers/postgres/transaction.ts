import type { Pool, PoolClient } from 'pg';

/** All that `work` changes, or nothing. */
export async function transaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let failure: Error | undefined;
  // The pool listens only to clients that rest in it: one that is lost between two statements would end the process.
  const onLost = (error: Error): void => {
    failure = error;
  };
  client.on('error', onLost);
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (error) {
    failure = error as Error;
    throw error;
  } finally {
    client.off('error', onLost);
    client.release(failure); // a failed one is closed, which rolls back
  }
}
