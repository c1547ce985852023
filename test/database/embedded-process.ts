/**
 * A process that uses the embedded Postgres. It answers with a line of JSON once it has started and then one for each line it is sent:
 * `owned`, `query` (the server's pid), `stop` (and ends). On SIGINT it goes on with a query, as a draining server does, and ends.
 */
import { createInterface } from 'node:readline';
import { Client } from 'pg';
import { pino } from 'pino';
import type { StartOptions } from '../../src/database/embedded/start-postgres.ts';
import { startPostgres } from '../../src/database/embedded/start-postgres.ts';

const log: object[] = [];
const options = JSON.parse(process.argv[2] ?? '{}') as Omit<StartOptions, 'log'>;
const server = await startPostgres({
  ...options,
  log: pino({}, { write: (line: string) => log.push(JSON.parse(line) as object) }),
});
process.on('SIGINT', () => {
  void query('SELECT pg_sleep(0.5)')
    .then(() => 'drained', String)
    .then(async (result) => {
      await server.stop();
      answer(result);
      process.exit();
    });
});

answer({ url: server.url, owned: server.owned, origin: server.origin, log });

for await (const command of createInterface({ input: process.stdin })) {
  if (command === 'owned') answer(server.owned);
  if (command === 'query') answer(await query('SELECT pg_backend_pid() > 0 AS alive'));
  if (command === 'stop') {
    await server.stop();
    answer('stopped');
    break;
  }
}
process.exit();

async function query(statement: string): Promise<unknown[]> {
  const client = new Client({ connectionString: server.url });
  client.on('error', () => {}); // the rejected query says it
  await client.connect();
  try {
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}

function answer(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
