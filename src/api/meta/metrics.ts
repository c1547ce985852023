import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Pool } from 'pg';
import type { Json, JsonObject } from '../../core/json.ts';
import { PARK_REASONS, type ParkReason } from '../../core/effect.ts';
import type { ActiveCounts } from '../../database/run-queue.ts';
import type { BlobCounts } from '../../engine/blobs/blob-sweeper.ts';
import type { CronObserver } from '../../engine/crons/cron-scheduler.ts';
import type { ModelUse, NodeEnd, RunObserver } from '../../engine/runs/run-observer.ts';
import type { AttemptEnd, WebhookObserver } from '../../engine/webhooks/webhook-sender.ts';
import type { RequestMeasure } from '../../http/measure-requests.ts';
import { BlobMetrics } from './blob-metrics.ts';
import { ModelMetrics } from './model-metrics.ts';
import { RetentionMetrics, type RetentionTotals } from './retention-metrics.ts';

export interface MetricsSources {
  /** Runs of the whole deployment, not only of this process. */
  activeRuns: () => Promise<ActiveCounts>;
  workers: () => { max: number; active: number };
  checkpointsWritten: () => number;
  retention: () => RetentionTotals;
  /** Null without a blob store. */
  blobs: () => Promise<BlobCounts> | null;
  /** Of the whole deployment, too. */
  webhooks: () => Promise<{ pending: number; oldest_seconds: number }>;
  pool: Pick<Pool, 'options' | 'totalCount' | 'idleCount' | 'waitingCount'>;
}

interface Snapshot {
  queue: { n_pending: number; n_running: number; n_parked: Record<ParkReason, number> };
  workers: { max: number; active: number; available: number };
}

const REQUEST_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const WAIT_SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800];
const NODE_SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/**
 * What this process has done, for Prometheus. Names that begin with `lg_api_` are the LangGraph platform's, so that its
 * dashboards and alerts go on working; the others are Baton's own.
 */
export class Metrics implements RunObserver, CronObserver, WebhookObserver {
  readonly #registry = new Registry();
  readonly #requests: Counter<'method' | 'path' | 'status'>;
  readonly #latency: Histogram<'method' | 'path' | 'status'>;
  readonly #wait: Histogram;
  readonly #ended: Counter<'graph' | 'status'>;
  readonly #leasesLost: Counter;
  readonly #nodes: Histogram<'graph' | 'node' | 'status'>;
  readonly #models: ModelMetrics;
  readonly #retention: RetentionMetrics;
  readonly #blobs: BlobMetrics;
  readonly #checkpoints: Counter;
  readonly #webhooks: Counter<'outcome'>;
  readonly #cronDelay: Histogram;
  readonly #cronsRefused: Counter;
  readonly #parked: Gauge<'reason'>;
  readonly #gauges: Record<keyof typeof GAUGES, Gauge>;
  readonly #sources: MetricsSources;

  constructor(sources: MetricsSources) {
    this.#sources = sources;
    const registers = [this.#registry];
    const labelNames = ['method', 'path', 'status'] as const;
    this.#requests = new Counter({ name: 'lg_api_http_requests_total', help: 'HTTP requests', labelNames, registers });
    this.#latency = new Histogram({
      name: 'lg_api_http_requests_latency_seconds',
      help: 'From a request to the end of its answer; a stream ends with its run',
      labelNames,
      buckets: REQUEST_SECONDS,
      registers,
    });
    this.#wait = new Histogram({
      name: 'lg_api_run_queue_wait_time_1st_attempt_seconds',
      help: 'How long runs waited for a worker of this process',
      buckets: WAIT_SECONDS,
      registers,
    });
    this.#ended = new Counter({
      name: 'baton_runs_ended_total',
      help: 'Runs that ended here',
      labelNames: ['graph', 'status'],
      registers,
    });
    this.#leasesLost = new Counter({
      name: 'baton_leases_lost_total',
      help: 'Runs that this process had to give up since its lease on them ran out',
      registers,
    });
    this.#nodes = new Histogram({
      name: 'baton_node_duration_seconds',
      help: 'Executions of nodes; a node that asks somebody is interrupted and executed again',
      labelNames: ['graph', 'node', 'status'],
      buckets: NODE_SECONDS,
      registers,
    });
    this.#models = new ModelMetrics(this.#registry);
    this.#retention = new RetentionMetrics(this.#registry);
    this.#blobs = new BlobMetrics(this.#registry);
    this.#checkpoints = new Counter({
      name: 'baton_checkpoints_written_total',
      help: 'Checkpoints that this process has stored',
      registers,
    });
    this.#webhooks = new Counter({
      name: 'baton_webhook_attempts_total',
      help: 'Webhooks that this process has sent or tried to send; a failed one is tried again, a dead one is not',
      labelNames: ['outcome'],
      registers,
    });
    this.#cronDelay = new Histogram({
      name: 'baton_cron_delay_seconds',
      help: 'How long after their time the runs of crons were queued',
      buckets: WAIT_SECONDS,
      registers,
    });
    this.#cronsRefused = new Counter({
      name: 'baton_crons_refused_total',
      help: 'Times at which a cron was due and its run was refused, as it would have been to its maker',
      registers,
    });
    this.#parked = new Gauge({
      name: 'baton_runs_parked',
      help: 'Runs that have given up their worker to sleep, to try again later, or until an event; they are pending, too',
      labelNames: ['reason'],
      registers,
    });
    this.#gauges = gaugesOf(this.#registry);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** In the text format of Prometheus. */
  async text(): Promise<string> {
    await this.#refresh();
    return this.#registry.metrics();
  }

  async json(): Promise<JsonObject> {
    const snapshot = await this.#refresh();
    return { ...snapshot, metrics: (await this.#registry.getMetricsAsJSON()) as unknown as Json };
  }

  answered({ method, path, status, ms }: RequestMeasure): void {
    const labels = { method, path, status };
    this.#requests.inc(labels);
    this.#latency.observe(labels, ms / 1000);
  }

  firstClaimed(waitedMs: number): void {
    this.#wait.observe(waitedMs / 1000);
  }

  ended(graph: string, status: string): void {
    this.#ended.inc({ graph, status });
  }

  leaseLost(): void {
    this.#leasesLost.inc();
  }

  modelCalled(graph: string, use: ModelUse): void {
    this.#models.called(graph, use);
  }

  nodeEnded(graph: string, node: string, status: NodeEnd, ms: number): void {
    this.#nodes.observe({ graph, node, status }, ms / 1000);
  }

  webhookAttempted(outcome: AttemptEnd): void {
    this.#webhooks.inc({ outcome });
  }

  cronRun(lateMs: number): void {
    this.#cronDelay.observe(lateMs / 1000);
  }

  cronRefused(): void {
    this.#cronsRefused.inc();
  }

  /** What others count anyway is asked for when somebody wants to know. */
  async #refresh(): Promise<Snapshot> {
    const { activeRuns, workers, checkpointsWritten, retention, blobs, webhooks, pool } = this.#sources;
    const [{ pending, running, parked }, backlog, stored] = await Promise.all([activeRuns(), webhooks(), blobs()]);
    const { max, active } = workers();
    this.#gauges.lg_api_num_pending_runs.set(pending);
    this.#gauges.lg_api_num_running_runs.set(running);
    this.#gauges.lg_api_workers_max.set(max);
    this.#gauges.lg_api_workers_active.set(active);
    this.#gauges.lg_api_workers_available.set(max - active);
    this.#gauges.lg_api_pg_pool_max.set(pool.options.max);
    this.#gauges.lg_api_pg_pool_size.set(pool.totalCount);
    this.#gauges.lg_api_pg_pool_available.set(pool.idleCount);
    this.#gauges.lg_api_pg_pool_requests_waiting.set(pool.waitingCount);
    this.#gauges.baton_webhooks_pending.set(backlog.pending);
    this.#gauges.baton_webhooks_oldest_pending_seconds.set(backlog.oldest_seconds);
    for (const reason of PARK_REASONS) this.#parked.set({ reason }, parked[reason]);
    this.#checkpoints.reset();
    this.#checkpoints.inc(checkpointsWritten());
    this.#retention.show(retention());
    if (stored) this.#blobs.show(stored);
    return {
      queue: { n_pending: pending, n_running: running, n_parked: parked },
      workers: { max, active, available: max - active },
    };
  }
}

const GAUGES = {
  lg_api_num_pending_runs: 'Runs that wait for a worker, for their turn or for their time',
  lg_api_num_running_runs: 'Runs in the hands of any worker',
  lg_api_workers_max: 'Runs that this process executes at once',
  lg_api_workers_active: 'Runs that this process executes',
  lg_api_workers_available: 'Runs that this process could take',
  baton_webhooks_pending: 'Webhooks that are still to be delivered',
  baton_webhooks_oldest_pending_seconds: 'For how long the oldest of them has waited',
  lg_api_pg_pool_max: 'Connections that the pool may open',
  lg_api_pg_pool_size: 'Connections that are open',
  lg_api_pg_pool_available: 'Open connections that rest',
  lg_api_pg_pool_requests_waiting: 'Queries that wait for a connection',
};

function gaugesOf(registry: Registry): Record<keyof typeof GAUGES, Gauge> {
  const made = Object.entries(GAUGES).map(([name, help]) => [name, new Gauge({ name, help, registers: [registry] })]);
  return Object.fromEntries(made) as Record<keyof typeof GAUGES, Gauge>;
}
