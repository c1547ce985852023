import { loadConfig } from '../config/config.ts';
import { banner } from './banner.ts';
import { createLogger } from './logger.ts';
import type { CliOptions } from './options.ts';
import { serve } from './serve.ts';
import { assertSharedState } from './shared-state.ts';

export async function start({ configPath, flags, worker }: CliOptions): Promise<void> {
  const config = loadConfig({ configPath, flags, warn: console.error });
  if (!worker) assertSharedState(config);
  await serve(config, {
    log: createLogger(config.logLevel),
    role: { api: true, worker },
    onReady: (ready) => console.log(banner(config, ready)),
  });
}
