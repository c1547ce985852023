import { loadConfig } from '../config/config.ts';
import { InvalidInputError } from '../core/errors.ts';
import { createLogger } from './logger.ts';
import type { CliOptions } from './options.ts';

/** `baton state copy`: threads from one state store to another. Both may be in use; the source is only read. */
export async function state({ configPath, flags, words, from, to, threads, graph, dryRun }: CliOptions): Promise<void> {
  if (words.join(' ') !== 'copy') throw new InvalidInputError('what about the state? Write baton state copy');
  const config = loadConfig({ configPath, flags: { ...flags, host: '127.0.0.1' }, warn: console.error });
  const { BatonServer } = await import('../server.ts');
  const log = createLogger(config.logLevel);
  const server = await BatonServer.create(config, { log, role: { api: false, worker: false } });
  try {
    const request = { from, to, threads: threads ?? undefined, graphId: graph ?? undefined, dryRun };
    const sum = await server.copyState(request, (line) => console.log(line));
    const did = dryRun ? 'would be copied' : 'copied and verified';
    console.log(
      `${sum.threads} threads ${did}: ${sum.checkpoints} checkpoints (${sum.added} new), ${sum.bytes} bytes; ${sum.left} left`,
    );
    if (sum.left > 0) process.exitCode = 1;
  } finally {
    await server.stop();
  }
}
