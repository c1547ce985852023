import { Gauge, type Registry } from 'prom-client';
import type { BlobCounts } from '../../engine/blobs/blob-sweeper.ts';
import { TotalCounters } from './total-counters.ts';

/** What there is in the blob store, what this process has put there and what it removed. */
export class BlobMetrics {
  readonly #gauges: Record<keyof typeof GAUGES, Gauge>;
  readonly #counters: TotalCounters<keyof typeof COUNTERS>;

  constructor(registry: Registry) {
    const registers = [registry];
    const gauges = Object.entries(GAUGES).map(([name, help]): [string, Gauge] => [
      name,
      new Gauge({ name, help, registers }),
    ]);
    // Not 0 until it is counted, which a watcher would take for a loss.
    for (const [, gauge] of gauges) gauge.remove();
    this.#gauges = Object.fromEntries(gauges) as Record<keyof typeof GAUGES, Gauge>;
    this.#counters = new TotalCounters(COUNTERS, registry);
  }

  show({ stored, put, swept, sweeps, failed }: BlobCounts): void {
    if (stored !== null) {
      this.#gauges.baton_blobs.set(stored.count);
      this.#gauges.baton_blob_bytes.set(stored.bytes);
    }
    this.#counters.show({
      baton_blobs_put_total: put.count,
      baton_blob_bytes_put_total: put.bytes,
      baton_blobs_swept_total: swept.count,
      baton_blob_bytes_swept_total: swept.bytes,
      baton_blob_sweeps_total: sweeps,
      baton_blob_sweeps_failed_total: failed,
    });
  }
}

const GAUGES = {
  baton_blobs: 'Objects in the blob store that something refers to or did, of the whole deployment',
  baton_blob_bytes: 'What they weigh',
};

const COUNTERS = {
  baton_blobs_put_total:
    'Objects that this process has put into the blob store: big values and files; one that two put at once counts twice',
  baton_blob_bytes_put_total: 'What they weighed',
  baton_blobs_swept_total: 'Objects that this process has removed, since nothing referred to them any more',
  baton_blob_bytes_swept_total: 'What they weighed',
  baton_blob_sweeps_total: 'How often this process looked for objects to remove',
  baton_blob_sweeps_failed_total: 'How often it could not, and will try again',
};
