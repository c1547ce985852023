import { loadConfig } from '../config/config.ts';
import { type Duration, durationMs } from '../core/duration.ts';
import { InvalidInputError } from '../core/errors.ts';
import { createLogger } from './logger.ts';
import type { CliOptions } from './options.ts';

/** `baton blobs sweep`: removes from the blob store what nobody uses. */
export async function blobs({ configPath, flags, dryRun, olderThan, words }: CliOptions): Promise<void> {
  if (words.join(' ') !== 'sweep') throw new InvalidInputError('what about the blobs? Write baton blobs sweep');
  const config = loadConfig({ configPath, flags: { ...flags, host: '127.0.0.1' }, warn: console.error });
  if (config.blobs.url === null) throw new InvalidInputError('BLOB_URL is not set: there is no blob store to sweep');
  const olderThanMs = durationMs(olderThan as Duration);
  const { BatonServer } = await import('../server.ts');
  const log = createLogger(config.logLevel);
  const server = await BatonServer.create(config, { log, role: { api: false, worker: false } });
  try {
    const report = await server.sweepBlobs({ dryRun, olderThanMs });
    if (report === null) return;
    const { stale, unused, unknown } = report;
    const done = dryRun ? 'would be' : 'were';
    console.log(`${stale} references to values that their threads no longer have ${done} released`);
    console.log(`${unused.count} objects that nobody uses ${done} deleted: ${unused.bytes} bytes`);
    console.log(`${unknown.count} objects that no row knows ${done} deleted: ${unknown.bytes} bytes`);
  } finally {
    await server.stop();
  }
}
