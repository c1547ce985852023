import type { Logger } from 'pino';
import type { RunQueue } from '../database/run-queue.ts';
import type { LongTermStore } from '../database/store/long-term-store.ts';
import type { Threads } from '../database/threads.ts';
import type { WebhookDeliveries } from '../database/webhook-deliveries.ts';
import type { BlobSweeper } from './blobs/blob-sweeper.ts';
import { StoreSweeper } from './store/store-sweeper.ts';
import { type StateRemoval, ThreadSweeper } from './retention/thread-sweeper.ts';
import { WebhookSweeper } from './webhooks/webhook-sweeper.ts';

/** What a worker tidies up beside its runs. */
export interface Sweeper {
  start(): void;
  stop(): void;
}

interface SweptParts {
  queue: RunQueue;
  threads: Threads;
  stores: StateRemoval;
  store: LongTermStore;
  deliveries: WebhookDeliveries;
  blobSweeper: BlobSweeper | null;
  log: Logger;
}

interface SweepSettings {
  store: { ttl: { sweepMinutes: number } };
  webhooks: { keepMs: number; keepDeadMs: number };
}

export function sweepersOf({ store, webhooks }: SweepSettings, parts: SweptParts): Sweeper[] {
  return [
    new ThreadSweeper(parts),
    new StoreSweeper({ ...parts, everyMs: store.ttl.sweepMinutes * 60_000 }),
    new WebhookSweeper({ ...parts, settings: webhooks }),
    ...(parts.blobSweeper ? [parts.blobSweeper] : []),
  ];
}
