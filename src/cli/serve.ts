import { createServer } from 'node:net';
import type { Logger } from 'pino';
import type { BatonConfig } from '../config/config.ts';
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
  outliveGraphs(log);
  if (role.api) await assertPortFree(config.http);
  // Imported late: a mistake on the command line is told at once, without LangGraph being loaded first.
  const { BatonServer } = await import('../server.ts');
  const server = await BatonServer.create(config, { log, role });
  try {
    await server.start();
    onReady({ url: server.url, database: server.database });
    await stopped;
  } finally {
    await server.stop();
  }
}

/** What a node throws where nobody waits for it must not end the runs of others, nor those of the next process again. */
function outliveGraphs(log: Logger): void {
  const tell = (reason: unknown, message: string): void =>
    log.error({ err: reason instanceof Error ? reason : new Error(String(reason)) }, message);
  process.on('uncaughtException', (error) => tell(error, 'an error was thrown where nobody catches it; going on'));
  process.on('unhandledRejection', (reason) => tell(reason, 'a promise was rejected and nobody awaits it; going on'));
  // Such as a pipe whose reader has gone: to log that would fail in the same way, for ever.
  process.stdout.on('error', () => undefined);
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
