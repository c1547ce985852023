import { Counter, Gauge, type Registry } from 'prom-client';
import type { BlobCounts } from '../../engine/blobs/blob-sweeper.ts';

/** What there is in the blob store, what this process has put there and what it removed. */
export class BlobMetrics {
  readonly #gauges: Record<keyof typeof GAUGES, Gauge>;
  readonly #counters: Record<keyof typeof COUNTERS, Counter>;

  constructor(registry: Registry) {
    const registers = [registry];
    const gauges = Object.entries(GAUGES).map(([name, help]): [string, Gauge] => [
      name,
      new Gauge({ name, help, registers }),
    ]);
    const counters = Object.entries(COUNTERS).map(([name, help]) => [name, new Counter({ name, help, registers })]);
    // Not 0 until it is counted, which a watcher would take for a loss.
    for (const [, gauge] of gauges) gauge.remove();
    this.#gauges = Object.fromEntries(gauges) as Record<keyof typeof GAUGES, Gauge>;
    this.#counters = Object.fromEntries(counters) as Record<keyof typeof COUNTERS, Counter>;
  }

  show({ stored, put, swept, sweeps, failed }: BlobCounts): void {
    if (stored !== null) {
      this.#gauges.baton_blobs.set(stored.count);
      this.#gauges.baton_blob_bytes.set(stored.bytes);
    }
    this.#set('baton_blobs_put_total', put.count);
    this.#set('baton_blob_bytes_put_total', put.bytes);
    this.#set('baton_blobs_swept_total', swept.count);
    this.#set('baton_blob_bytes_swept_total', swept.bytes);
    this.#set('baton_blob_sweeps_total', sweeps);
    this.#set('baton_blob_sweeps_failed_total', failed);
  }

  #set(name: keyof typeof COUNTERS, total: number): void {
    this.#counters[name].reset();
    this.#counters[name].inc(total);
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
