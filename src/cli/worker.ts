import { loadConfig } from '../config/config.ts';
import { banner } from './banner.ts';
import { createLogger } from './logger.ts';
import type { CliOptions } from './options.ts';
import { serve } from './serve.ts';

export async function worker({ configPath, flags }: CliOptions): Promise<void> {
  // It does not listen, so an address that would be refused to an API does not matter.
  const config = loadConfig({ configPath, flags: { ...flags, host: '127.0.0.1' }, warn: console.error });
  await serve(config, {
    log: createLogger(config.logLevel),
    role: { api: false, worker: true },
    onReady: (ready) => console.log(banner(config, ready)),
  });
}
