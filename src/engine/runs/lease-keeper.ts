import { Worker as Thread } from 'node:worker_threads';
import { EXTEND_LEASES } from '../../database/run-queue.ts';

/** How long the nodes' thread may be silent. Beyond that it counts as hung, and others get its runs. */
const PATIENCE_MS = 60_000;

/**
 * Keeps the leases of a worker whose nodes block the event loop: a node that computes for longer than the lease is at
 * work, not dead, and heartbeats on its own thread cannot say so. While that thread is alive this one only watches.
 */
export class LeaseKeeper {
  readonly #thread: Thread;
  readonly #lastBeatMs: BigInt64Array;

  constructor({ databaseUrl, leaseMs }: { databaseUrl: string; leaseMs: number }) {
    const beat = new SharedArrayBuffer(8);
    this.#lastBeatMs = new BigInt64Array(beat);
    this.#thread = new Thread(new URL('./lease-keeper-thread.mjs', import.meta.url), {
      execArgv: [],
      workerData: {
        databaseUrl,
        statement: EXTEND_LEASES,
        leaseMs,
        patienceMs: Math.max(PATIENCE_MS, 4 * leaseMs),
        beat,
      },
    });
    this.#thread.unref();
    this.beat();
  }

  /** A sign of life of the nodes' thread. */
  beat(): void {
    Atomics.store(this.#lastBeatMs, 0, BigInt(Date.now()));
  }

  /** The tokens whose leases are to be kept. */
  hold(tokens: number[]): void {
    this.#thread.postMessage(tokens);
  }

  async stop(): Promise<void> {
    await this.#thread.terminate();
  }
}
