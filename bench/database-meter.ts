import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Pool, PoolClient } from 'pg';

/** What a pool has done to its Postgres so far. */
export interface DatabaseUse {
  statements: number;
  /** Sent to Postgres. */
  bytes: number;
  /** Of the pool's backends; NaN where /proc does not show them. */
  cpuMs: number;
}

/** Linux counts CPU time in hundredths of a second. */
const TICK_MS = 10;

/** Counts what goes through a pool, from the client's side. */
export class DatabaseMeter {
  readonly #clients: PoolClient[] = [];
  #statements = 0;

  constructor(pool: Pool) {
    pool.on('connect', (client) => {
      this.#clients.push(client);
      const query = client.query.bind(client) as (...parameters: unknown[]) => unknown;
      client.query = ((...parameters: unknown[]) => {
        this.#statements += 1;
        return query(...parameters);
      }) as typeof client.query;
    });
  }

  read(): DatabaseUse {
    let bytes = 0;
    let cpuMs = 0;
    for (const client of this.#clients) {
      const { connection, processID } = client as unknown as { connection: { stream: Socket }; processID: number };
      bytes += connection.stream.bytesWritten;
      cpuMs += cpuMsOf(processID);
    }
    return { statements: this.#statements, bytes, cpuMs };
  }
}

function cpuMsOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  } catch {
    return Number.NaN;
  }
}
