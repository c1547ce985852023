import { loadConfig } from '../config/config.ts';
import { createLogger } from './logger.ts';
import type { CliOptions } from './options.ts';
import { serve } from './serve.ts';

/** A reload should not wait for a long node: its run is handed back and goes on in the next process. */
const RELOAD_GRACE_MS = 1000;

/** The server below `baton dev`: ends when its parent says so or is gone. */
export async function devServer({ configPath, flags }: CliOptions): Promise<void> {
  const config = loadConfig({ configPath, flags, warn: console.error });
  const graceMs = Math.min(config.worker.graceMs, RELOAD_GRACE_MS);
  await serve(
    { ...config, worker: { ...config.worker, graceMs } },
    {
      log: createLogger(config.logLevel, { plain: true }),
      role: { api: true, worker: true },
      // A parent that has gone meanwhile need not be told.
      onReady: (ready) => void process.send?.(ready, () => undefined),
    },
  );
}
