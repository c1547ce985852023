import { Counter, type Registry } from 'prom-client';
import { TotalCounters } from './total-counters.ts';

/** What this process has removed, counted by whoever did it. */
export interface RetentionTotals {
  pruned: { threads: number; checkpoints: number; bytes: number; busy: number };
  swept: { sweeps: number; failed: number; removed: Readonly<Record<string, number>> };
}

/** What goes by itself, or is pruned. */
export class RetentionMetrics {
  readonly #counters: TotalCounters<keyof typeof COUNTERS>;
  readonly #removed: Counter<'what'>;

  constructor(registry: Registry) {
    this.#counters = new TotalCounters(COUNTERS, registry);
    this.#removed = new Counter({
      name: 'baton_swept_total',
      help: 'What this process removed since it was old: threads, histories, logs of runs, and so on',
      labelNames: ['what'],
      registers: [registry],
    });
  }

  show({ pruned, swept }: RetentionTotals): void {
    this.#counters.show({
      baton_threads_pruned_total: pruned.threads,
      baton_checkpoints_pruned_total: pruned.checkpoints,
      baton_pruned_bytes_total: pruned.bytes,
      baton_prunes_skipped_total: pruned.busy,
      baton_sweeps_total: swept.sweeps,
      baton_sweeps_failed_total: swept.failed,
    });
    this.#removed.reset();
    for (const [what, count] of Object.entries(swept.removed)) this.#removed.inc({ what }, count);
  }
}

const COUNTERS = {
  baton_threads_pruned_total: 'Threads of whose histories this process removed something',
  baton_checkpoints_pruned_total: 'Checkpoints that this process has pruned',
  baton_pruned_bytes_total: 'What was stored of these checkpoints and of nothing else',
  baton_prunes_skipped_total: 'Threads that were to be pruned here and were busy',
  baton_sweeps_total: 'How often this process looked for what is old',
  baton_sweeps_failed_total: 'How often that, or the turn of one thread in it, failed and will be tried again',
};
