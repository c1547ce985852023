import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { Router } from 'express';
import type { Logger } from 'pino';
import { Authenticator } from './auth/authenticator.ts';
import { createApi } from './api/create-api.ts';
import { ensureSystemAssistants } from './api/assistants/service.ts';
import { Metrics } from './api/meta/metrics.ts';
import { serverInfo } from './api/meta/service.ts';
import type { SweepRequest } from './blobs/blob-collector.ts';
import type { OpenBlobs } from './blobs/open-blobs.ts';
import type { BatonConfig } from './config/config.ts';
import { applyEnvironment } from './config/env.ts';
import { uuidv7 } from './core/ids.ts';
import { importExport } from './core/project-export.ts';
import { Assistants } from './database/assistants.ts';
import { Crons } from './database/crons.ts';
import { Database } from './database/database.ts';
import { KeptPostgres } from './database/embedded/keep-postgres.ts';
import { migrate } from './database/migrate.ts';
import type { LongTermStore } from './database/store/long-term-store.ts';
import { RunEvents } from './database/run-events.ts';
import { Effects } from './database/effects.ts';
import { RunQueue } from './database/run-queue.ts';
import { Runs } from './database/runs.ts';
import { ThreadTurns } from './database/thread-turns.ts';
import { Threads } from './database/threads.ts';
import { Usages } from './database/usages.ts';
import { WebhookDeliveries } from './database/webhook-deliveries.ts';
import { BlobSweeper, type FullSweepReport } from './engine/blobs/blob-sweeper.ts';
import { CronScheduler } from './engine/crons/cron-scheduler.ts';
import type { Attempt } from './engine/runs/attempt.ts';
import { EffectSignals } from './engine/effects/effect-signals.ts';
import { RunEffects } from './engine/effects/run-effects.ts';
import { EventLog } from './engine/streams/event-log.ts';
import { Executor } from './engine/runs/executor.ts';
import { GraphRegistry } from './engine/graphs/registry.ts';
import { TypeSchemas } from './engine/graphs/types/type-schemas.ts';
import type { RunObserver } from './engine/runs/run-observer.ts';
import type { StateCopySum } from './engine/threads/state-copy.ts';
import { type Sweeper, sweepersOf } from './engine/sweepers.ts';
import { RunStreams } from './engine/streams/run-streams.ts';
import { openRetention, type RetentionParts } from './engine/retention/open-retention.ts';
import { tellLostState } from './engine/threads/tell-lost-state.ts';
import { ThreadStreams } from './engine/streams/thread-streams.ts';
import { ThreadStates } from './engine/threads/thread-state.ts';
import { PriceList } from './engine/usage/price-list.ts';
import { RunUsage } from './engine/usage/run-usage.ts';
import { UsageLog } from './engine/usage/usage-log.ts';
import { resolveHost } from './engine/webhooks/resolve-host.ts';
import { WebhookPolicy } from './engine/webhooks/webhook-policy.ts';
import { WebhookSender, type WebhookObserver } from './engine/webhooks/webhook-sender.ts';
import { Worker } from './engine/runs/worker.ts';
import { createApp } from './http/app.ts';
import { asCustomApp, type CustomApp } from './http/custom-app.ts';
import { Front } from './http/front.ts';
import { closeHttp, listenOn } from './http/listen-on.ts';
import { onUpgrade, type Sockets } from './http/sockets.ts';
import { plainCodec } from './core/codec.ts';
import { copyState, type CopyRequest } from './copy-state.ts';
import { type Encryption, findableMetadata } from './open-encryption.ts';
import { openStores, type SaverOpenerParts } from './open-stores.ts';
import type { StateSaver } from './state/state-saver.ts';
import type { StateStores } from './state/state-stores.ts';

export interface ServerOptions {
  log: Logger;
  /** What this process does. An API without a worker queues runs for workers elsewhere. Default: both. */
  role?: { api: boolean; worker: boolean };
  /** For tests that make a part fail where it stands. */
  decorate?: {
    database?: (database: Database) => Database;
    saver?: (saver: StateSaver) => StateSaver;
  };
}

/** The composition root: the only place that knows every concrete part. Two servers can live in one process. */
export class BatonServer {
  readonly config: BatonConfig;
  /** The API, to be mounted under any prefix: `app.use('/agents', baton.router)`. */
  readonly router: Router;
  readonly worker: Worker;
  readonly webhooks: WebhookSender;
  readonly crons: CronScheduler;
  readonly #parts: ServerParts;
  readonly #role: { api: boolean; worker: boolean };
  readonly #sockets: Sockets;
  readonly #front: Front;
  #http: Server | null = null;

  private constructor(config: BatonConfig, options: ServerOptions, parts: ServerParts) {
    this.config = config;
    this.#parts = parts;
    this.#role = options.role ?? { api: true, worker: true };
    const metrics = new Metrics({
      activeRuns: () => parts.queue.countActive(),
      workers: () => ({ max: this.#role.worker ? config.worker.concurrency : 0, active: this.worker.busy }),
      retention: () => ({ pruned: parts.pruner.totals, swept: parts.retention.totals }),
      blobs: () => parts.blobSweeper?.counts() ?? null,
      checkpointsWritten: () => parts.stores.checkpointsWritten,
      webhooks: () => parts.deliveries.backlog(),
      pool: parts.database.pool,
    });
    const { router, sockets, isOpen, crons } = createApi({ ...parts, metrics });
    this.#front = new Front(router, {
      ...parts,
      corsRules: config.http.cors,
      guard: async (req) => {
        if (config.http.guardApp && !isOpen(req.method, req.path)) await parts.authenticator.identify(req);
      },
      address: () => this.url,
    });
    this.router = this.#front.router;
    this.#sockets = sockets;
    this.webhooks = createSender(config, parts, { observer: metrics, front: this.#front });
    this.crons = new CronScheduler({
      ...parts,
      listener: parts.database.listener,
      graphIds: parts.graphs.ids(),
      plan: (cron) => crons.plan(cron),
      observer: metrics,
    });
    this.worker = createWorker(config, parts, { observer: metrics, within: (work) => this.#front.within(work) });
  }

  /** Opens the databases and brings them up to date. Nothing runs and nobody is answered before `start`. */
  static async create(config: BatonConfig, options: ServerOptions): Promise<BatonServer> {
    const postgres = await openPostgres(config, options.log);
    applyEnvironment({ ...config.environment, BATON_DATABASE_URL_IN_USE: config.databaseUrl ?? postgres?.url ?? '' });
    try {
      return new BatonServer(config, options, await openParts(config, options, postgres));
    } catch (error) {
      await postgres?.stop();
      throw error;
    }
  }

  get log(): Logger {
    return this.#parts.log;
  }

  /** Where the control plane's database is, without secrets, for a banner. */
  get database(): { origin: 'embedded' | 'system' | 'given'; address: string } {
    const { postgres, database } = this.#parts;
    return {
      origin: postgres?.origin ?? 'given',
      // `postgres://user@/db?host=…` is an address for Postgres, and none for others.
      address: postgres ? this.config.dataDir : URL.canParse(database.url) ? new URL(database.url).host : 'a socket',
    };
  }

  /** With its secrets: for graphs that keep tables of their own beside ours. */
  get databaseUrl(): string {
    return this.#parts.database.url;
  }

  /** Removes what nobody uses from the blob store. Null when none is configured. */
  async sweepBlobs(request: SweepRequest): Promise<FullSweepReport | null> {
    return (await this.#parts.blobSweeper?.sweep(request)) ?? null;
  }

  /** The address under which the API answers, with its prefix; null while it does not listen. */
  get url(): string | null {
    const address = this.#http?.address() as AddressInfo | null | undefined;
    if (!address) return null;
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return `http://${host}:${address.port}${this.config.http.mountPrefix}`;
  }

  /** Listens, if it is an API's and `listen` is not false; loads the graphs; takes runs, if it is a worker's. */
  async start({ listen = true }: { listen?: boolean } = {}): Promise<void> {
    const { streams, database, sweepers, graphs, log } = this.#parts;
    await tellLostState(this.#parts);
    await streams.start(database.listener);
    if (this.#role.api && listen) {
      const prefix = this.config.http.mountPrefix;
      this.#http = await listenOn(createApp(this.router, { prefix, log }), this.config.http);
      onUpgrade(this.#http, this.#sockets, prefix);
    }
    // Listening first: what needs a graph waits for it, everything else is answered meanwhile.
    for (const failure of await graphs.loadAll()) log.error(failure.message);
    if (this.#role.api) void graphs.readTypes();
    if (!this.#role.worker) return;
    await this.#parts.effectSignals.start(database.listener);
    await this.worker.start();
    await this.crons.start();
    if (this.config.webhooks.rules.enabled) await this.webhooks.start();
    for (const sweeper of sweepers) sweeper.start();
  }

  /**
   * For the server of an app in which the router is mounted, so that clients can use WebSockets, too:
   *
   *     server.on('upgrade', (request, socket, head) => baton.upgrade(request, socket, head, { prefix: '/agents' }));
   *
   * False when the request is not for a WebSocket of Baton's; then nothing was done with it.
   */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, { prefix = '' } = {}): boolean {
    return this.#sockets.upgrade(request, socket, head, prefix);
  }

  /** Copies threads from one state store to another. A store that is not named is the project's own. */
  async copyState(request: CopyRequest, tell: (line: string) => void): Promise<StateCopySum> {
    return copyState(this.#parts, request, tell);
  }

  /** Hands runs back, ends connections, and stops what this process started, the database last. */
  async stop(): Promise<void> {
    const { streams, stores, store, encryption, blobs, database, postgres, sweepers, types } = this.#parts;
    for (const sweeper of sweepers) sweeper.stop();
    await this.crons.stop();
    await types.stop();
    await this.worker.stop(this.config.worker.graceMs);
    await this.webhooks.stop();
    this.#parts.effectSignals.stop();
    streams.stop();
    this.#sockets.close();
    await closeHttp(this.#http);
    this.#front.close();
    await stores.close();
    await blobs?.store.close();
    await store.stop();
    await encryption?.close();
    await database.close();
    await postgres?.stop();
  }
}

export interface ServerParts extends RetentionParts {
  config: BatonConfig;
  log: Logger;
  postgres: KeptPostgres | null;
  database: Database;
  authenticator: Authenticator;
  /** The project's own app, which stands in front of the API; null: none. */
  customApp: CustomApp | null;
  assistants: Assistants;
  threads: Threads;
  runs: Runs;
  crons: Crons;
  queue: RunQueue;
  runEvents: RunEvents;
  effects: Effects;
  effectSignals: EffectSignals;
  usages: Usages;
  streams: RunStreams;
  threadStreams: ThreadStreams;
  graphs: GraphRegistry;
  types: TypeSchemas;
  stores: StateStores;
  states: ThreadStates;
  store: LongTermStore;
  encryption: Encryption | null;
  deliveries: WebhookDeliveries;
  webhookPolicy: WebhookPolicy;
  /** Null without a blob store. */
  blobs: OpenBlobs | null;
  offload: SaverOpenerParts['offload'];
  blobSweeper: BlobSweeper | null;
  sweepers: Sweeper[];
}

async function openParts(
  config: BatonConfig,
  { log, decorate }: ServerOptions,
  postgres: KeptPostgres | null,
): Promise<ServerParts> {
  // First: a server that cannot tell who its callers are must not start.
  const authenticator = await Authenticator.open(
    config.auth,
    config.http.configurableHeaders,
    findableMetadata(config),
  );
  const { app } = config.http;
  const customApp = app && asCustomApp(await importExport(app, 'http.app of langgraph.json'));
  const types = new TypeSchemas({ ...config, log });
  const graphs = new GraphRegistry(config.graphs, types);
  const opened = new Database({
    url: config.databaseUrl ?? postgres?.url ?? '',
    log,
    applicationName: `baton ${hostname()} ${process.pid}`,
    onLost: () => void postgres?.revive(),
  });
  const database = decorate?.database?.(opened) ?? opened;
  await migrate(database);
  const threads = new Threads(database);
  const state = await openStores({ config, database, threads, log, decorate: decorate?.saver });
  const { store, stores, blobs } = state;
  const effects = new Effects(database);
  const kept = openRetention({ database, threads, effects, stores, settings: config.retention, log });
  const runEvents = new RunEvents(database);
  const queue = new RunQueue(database);
  const deliveries = new WebhookDeliveries(database);
  const assistants = new Assistants(database);
  await ensureSystemAssistants(assistants, graphs.ids());
  const streams = new RunStreams({ events: runEvents, log });
  const blobSweeper = blobs && new BlobSweeper({ ...blobs, threads, stores, log });
  return {
    config,
    log,
    postgres,
    database,
    authenticator,
    customApp,
    assistants,
    threads,
    ...kept,
    runs: new Runs(database),
    crons: new Crons(database),
    queue,
    runEvents,
    effects,
    effectSignals: new EffectSignals(),
    usages: new Usages(database),
    streams,
    threadStreams: new ThreadStreams({ turns: new ThreadTurns(database), events: runEvents, streams }),
    graphs,
    types,
    states: new ThreadStates({ graphs, stores, threads, store, files: blobs?.files ?? null }),
    ...state,
    deliveries,
    webhookPolicy: new WebhookPolicy(config.webhooks.rules),
    blobSweeper,
    sweepers: [kept.retention, ...sweepersOf(config, { queue, threads, stores, store, deliveries, blobSweeper, log })],
  };
}

async function openPostgres(config: BatonConfig, log: Logger): Promise<KeptPostgres | null> {
  if (config.databaseUrl !== null) return null;
  return KeptPostgres.start({ dataDir: join(config.dataDir, 'postgres'), log });
}

function createWorker(
  config: BatonConfig,
  parts: ServerParts,
  { observer, within }: { observer: RunObserver; within: <T>(work: () => T) => T },
): Worker {
  const { queue, runEvents, streams, graphs, log, database, effects, effectSignals: signals, stores, usages } = parts;
  const { concurrency, leaseMs, pollMs, maxAttempts, parkAfterMs } = config.worker;
  const events = new EventLog({ events: runEvents, streams });
  const { autoDurability } = config;
  const effectsOf = (attempt: Attempt) =>
    new RunEffects(
      {
        effects,
        saver: stores.of(attempt.run.state_store),
        codec: parts.encryption?.codec ?? plainCodec,
        signals,
        files: parts.blobs?.files ?? null,
        parkAfterMs,
      },
      attempt,
    );
  const usageParts = { usageLog: new UsageLog(usages, log), prices: new PriceList(config.prices), observer };
  const usageOf = (attempt: Attempt) => new RunUsage(usageParts, attempt);
  const executor = new Executor({ ...parts, events, observer, effectsOf, usageOf, maxAttempts, autoDurability });
  return new Worker({
    queue,
    executor: { execute: (attempt) => within(() => executor.execute(attempt)) },
    listener: database.listener,
    databaseUrl: database.url,
    graphIds: graphs.ids(),
    workerId: `${hostname()}:${process.pid}:${uuidv7()}`,
    concurrency,
    leaseMs,
    pollMs,
    observer,
    log,
  });
}

function createSender(
  config: BatonConfig,
  { deliveries, webhookPolicy: policy, database, log }: ServerParts,
  { observer, front }: { observer: WebhookObserver; front: Front },
): WebhookSender {
  return new WebhookSender({
    deliveries,
    listener: database.listener,
    policy,
    resolve: resolveHost,
    ownApp: (path, init) => front.fetch(path, init),
    settings: config.webhooks,
    pollMs: config.worker.pollMs,
    userAgent: `baton/${serverInfo().baton.version}`,
    observer,
    log,
  });
}
