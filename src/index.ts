import { pino, type Logger } from 'pino';
import { loadConfig, type ConfigFlags } from './config/config.ts';
import { BatonServer } from './server.ts';

export type { BatonConfig, ConfigFlags } from './config/config.ts';
export type { BatonServer } from './server.ts';

export interface CreateServerOptions {
  /** Path of langgraph.json. Default: the one in the current folder. */
  configPath?: string;
  /** What the command line would say: `port`, `host`, `workers`, `insecure`. */
  flags?: ConfigFlags;
  log?: Logger;
  /** False: this process answers and queues; workers elsewhere execute. Default true. */
  worker?: boolean;
}

/**
 * Opens a Baton for the graphs of a langgraph.json. Mount its `router` in an Express app, or let it listen by itself:
 *
 *     const baton = await createServer();
 *     app.use('/agents', baton.router);
 *     await baton.start({ listen: false });
 *
 * `stop()` hands running runs back and closes what was opened. Throws InvalidInputError when the configuration is wrong,
 * ServiceError `unavailable` when there is no database.
 */
export async function createServer({
  configPath = 'langgraph.json',
  flags = {},
  log = pino(),
  worker = true,
}: CreateServerOptions = {}): Promise<BatonServer> {
  const config = loadConfig({ configPath, flags, warn: (line) => log.warn(line) });
  return BatonServer.create(config, { log, role: { api: true, worker } });
}
