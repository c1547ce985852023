import { type Duration, durationMs } from '../core/duration.ts';
import { InvalidInputError } from '../core/errors.ts';
import { withIdleServer } from './idle-server.ts';
import type { CliOptions } from './options.ts';

/** `baton blobs sweep`: removes from the blob store what nobody uses. */
export async function blobs({ dryRun, olderThan, words, ...options }: CliOptions): Promise<void> {
  if (words.join(' ') !== 'sweep') throw new InvalidInputError('what about the blobs? Write baton blobs sweep');
  const olderThanMs = durationMs(olderThan as Duration);
  await withIdleServer(options, async (server) => {
    const report = await server.sweepBlobs({ dryRun, olderThanMs });
    if (report === null) throw new InvalidInputError('BLOB_URL is not set: there is no blob store to sweep');
    const { stale, unused, unknown } = report;
    const done = dryRun ? 'would be' : 'were';
    const then = dryRun ? ', and then what nothing else refers to deleted' : '';
    console.log(`${stale} references to values that their threads no longer have ${done} released${then}`);
    console.log(`${unused.count} objects that nobody uses ${done} deleted: ${unused.bytes} bytes`);
    console.log(`${unknown.count} objects that no row knows ${done} deleted: ${unknown.bytes} bytes`);
  });
}
