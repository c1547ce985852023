// A thread of its own, plain JavaScript: it must run while the thread of the nodes does not. lease-keeper.ts says why.
import { parentPort, workerData } from 'node:worker_threads';
import { Client } from 'pg';

const { databaseUrl, statement, leaseMs, patienceMs, beat } = workerData;
const lastBeatMs = new BigInt64Array(beat);
let tokens = [];
let connection = null;

parentPort.on('message', (held) => {
  tokens = held;
});

setInterval(() => {
  const silentMs = Date.now() - Number(Atomics.load(lastBeatMs, 0));
  if (tokens.length > 0 && silentMs > leaseMs / 2 && silentMs < patienceMs) void extend();
}, leaseMs / 4);

async function extend() {
  try {
    connection ??= connect();
    await (await connection).query(statement, [tokens, leaseMs]);
  } catch {
    connection = null; // the next turn makes another
  }
}

async function connect() {
  const client = new Client({ connectionString: databaseUrl, connectionTimeoutMillis: leaseMs });
  client.on('error', () => {
    connection = null;
  });
  await client.connect();
  return client;
}
