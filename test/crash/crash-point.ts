interface Connection {
  query(text: string, values: unknown[]): Promise<unknown>;
}

/** Kills this process, as `kill -9` does, if the test has armed this point; one process of many falls for one arming. */
export async function crashPoint(connection: Connection, point: string): Promise<void> {
  const answer = await connection.query('delete from armed where point = $1 returning point', [point]);
  const rows = Array.isArray(answer) ? answer : (answer as { rows: unknown[] }).rows;
  if (rows.length === 0) return;
  process.kill(process.pid, 'SIGKILL');
  // The signal is on its way: nothing after this point may happen any more.
  await new Promise(() => {});
}

/** What the nodes write their executions into, and what a test arms points with. */
export async function createCrashTables(connection: Pick<Connection, 'query'>): Promise<void> {
  await connection.query('create table ledger (run_id uuid not null, node text not null)', []);
  await connection.query('create table armed (point text not null)', []);
}
