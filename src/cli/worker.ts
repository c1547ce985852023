import { loadConfig } from '../config/config.ts';
import { ROUTE_GROUPS } from '../config/http-settings.ts';
import { banner } from './banner.ts';
import { createLogger } from './logger.ts';
import type { CliOptions } from './options.ts';
import { serve } from './serve.ts';
import { assertSharedState } from './shared-state.ts';

/** Listens only with a port of its own on the command line, and then for `/ok`, `/info` and `/metrics` alone. */
export async function worker({ configPath, flags }: CliOptions): Promise<void> {
  const listens = flags.port !== undefined;
  // An address that would be refused to an API does not matter to a worker that does not listen.
  const host = listens ? flags.host : '127.0.0.1';
  const config = loadConfig({ configPath, flags: { ...flags, host }, warn: console.error });
  assertSharedState(config);
  const disabled = ROUTE_GROUPS.filter((group) => group !== 'meta');
  await serve(listens ? { ...config, http: { ...config.http, disabled, app: null } } : config, {
    log: createLogger(config.logLevel),
    role: { api: listens, worker: true },
    onReady: (ready) => console.log(banner(config, ready)),
  });
}
