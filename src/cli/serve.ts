import { createServer } from 'node:net';
import type { Logger } from 'pino';
import type { BatonConfig } from '../config/config.ts';
import { applyEnvironment } from '../config/env.ts';
import { InvalidInputError } from '../core/errors.ts';
import type { Ready } from './banner.ts';
import { stopRequest } from './stop-request.ts';

export interface ServeOptions {
  log: Logger;
  role: { api: boolean; worker: boolean };
  onReady: (ready: Ready) => void;
}

/** Runs a server until the process is told to stop; then hands its runs back. */
export async function serve(config: BatonConfig, { log, role, onReady }: ServeOptions): Promise<void> {
  const stopped = stopRequest();
  if (role.api) await assertPortFree(config.http);
  applyEnvironment(config.environment);
  // Imported late: a mistake on the command line is told at once, without LangGraph being loaded first.
  const { BatonServer } = await import('../server.ts');
  const server = await BatonServer.create(config, { log, role });
  try {
    applyEnvironment({ BATON_DATABASE_URL_IN_USE: server.databaseUrl });
    await server.start();
    onReady({ url: server.url, database: server.database });
    await stopped;
  } finally {
    await server.stop();
  }
}

/** @throws InvalidInputError before anything was started, so that a taken port costs no time and leaves nothing behind. */
export async function assertPortFree({ host, port }: BatonConfig['http']): Promise<void> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE';
      const reason = taken
        ? 'something else listens there. Stop it, or choose another port with --port'
        : error.message;
      reject(new InvalidInputError(`cannot listen on ${host}:${port}: ${reason}`));
    });
    probe.listen(port, host, () => probe.close(() => resolve()));
  });
}
