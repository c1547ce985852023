import { loadConfig } from '../config/config.ts';
import type { BatonServer } from '../server.ts';
import { createLogger } from './logger.ts';
import type { CliOptions } from './options.ts';

/** For a command that needs what a server has open: one that runs nothing and answers nobody, closed when the work is done. */
export async function withIdleServer<T>(
  { configPath, flags }: Pick<CliOptions, 'configPath' | 'flags'>,
  work: (server: BatonServer) => Promise<T>,
): Promise<T> {
  const config = loadConfig({ configPath, flags: { ...flags, host: '127.0.0.1' }, warn: console.error });
  const { BatonServer: Server } = await import('../server.ts');
  const log = createLogger(config.logLevel);
  const server = await Server.create(config, { log, role: { api: false, worker: false } });
  try {
    return await work(server);
  } finally {
    await server.stop();
  }
}
