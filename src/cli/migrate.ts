import { loadConfig } from '../config/config.ts';
import { createLogger } from './logger.ts';
import type { CliOptions } from './options.ts';

export async function migrate({ configPath, flags }: CliOptions): Promise<void> {
  const config = loadConfig({ configPath, flags: { ...flags, host: '127.0.0.1' }, warn: console.error });
  const { BatonServer } = await import('../server.ts');
  const log = createLogger(config.logLevel);
  const server = await BatonServer.create(config, { log, role: { api: false, worker: false } });
  await server.stop();
  console.log('The databases are up to date');
}
