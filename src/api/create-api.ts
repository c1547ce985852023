import type { IncomingMessage } from 'node:http';
import type { Router } from 'express';
import type { Logger } from 'pino';
import type { Authenticator } from '../auth/authenticator.ts';
import type { BatonConfig } from '../config/config.ts';
import type { Assistants } from '../database/assistants.ts';
import type { Bookmarks } from '../database/bookmarks.ts';
import type { Crons } from '../database/crons.ts';
import type { OpenBlobs } from '../blobs/open-blobs.ts';
import type { Database } from '../database/database.ts';
import type { Effects } from '../database/effects.ts';
import type { RunQueue } from '../database/run-queue.ts';
import type { Runs } from '../database/runs.ts';
import type { ThreadSizes } from '../database/thread-sizes.ts';
import type { Threads } from '../database/threads.ts';
import type { Usages } from '../database/usages.ts';
import type { WebhookDeliveries } from '../database/webhook-deliveries.ts';
import type { GraphRegistry } from '../engine/graphs/registry.ts';
import { ThreadEvents } from '../engine/protocol/thread-events.ts';
import type { LongTermStore } from '../database/store/long-term-store.ts';
import type { RunStreams } from '../engine/streams/run-streams.ts';
import type { ThreadStreams } from '../engine/streams/thread-streams.ts';
import type { ThreadPruner } from '../engine/retention/thread-pruner.ts';
import type { ThreadStates } from '../engine/threads/thread-state.ts';
import type { WebhookPolicy } from '../engine/webhooks/webhook-policy.ts';
import type { RouteGroup } from '../config/http-settings.ts';
import { serves, type Route } from '../http/route.ts';
import { createRouter } from '../http/router.ts';
import { Sockets } from '../http/sockets.ts';
import type { StateStores } from '../state/state-stores.ts';
import { a2aRoutes } from './a2a/routes.ts';
import { AgentTasks } from './a2a/service.ts';
import { assistantRoutes } from './assistants/routes.ts';
import { AssistantService } from './assistants/service.ts';
import { cronRoutes } from './crons/routes.ts';
import { CronService } from './crons/service.ts';
import { effectRoutes } from './effects/routes.ts';
import { EffectService } from './effects/service.ts';
import { mcpRoutes } from './mcp/routes.ts';
import { AssistantTools } from './mcp/service.ts';
import { metricsRoutes } from './meta/metrics-routes.ts';
import type { Metrics } from './meta/metrics.ts';
import { pathOf } from './meta/openapi.ts';
import { metaRoutes } from './meta/routes.ts';
import { serverInfo } from './meta/service.ts';
import { Commands } from './protocol/commands.ts';
import { protocolRoutes, protocolSocket } from './protocol/routes.ts';
import { ProtocolService } from './protocol/service.ts';
import { RunAnswers } from './runs/answers.ts';
import { runRoutes } from './runs/routes.ts';
import { RunService } from './runs/service.ts';
import { statelessRunRoutes } from './runs/stateless-routes.ts';
import { storeRoutes } from './store/routes.ts';
import { StoreService } from './store/service.ts';
import { retentionRoutes } from './threads/retention-routes.ts';
import { RetentionService } from './threads/retention-service.ts';
import { threadRoutes } from './threads/routes.ts';
import { ThreadService } from './threads/service.ts';
import { threadStreamRoute } from './threads/stream-route.ts';
import { ThreadStreamService } from './threads/stream-service.ts';
import { uiRoutes } from './ui/routes.ts';
import { usageRoutes } from './usage/routes.ts';
import { UsageService } from './usage/service.ts';
import { webhookRoutes } from './webhooks/routes.ts';
import { WebhookService } from './webhooks/service.ts';

export interface ApiParts {
  assistants: Assistants;
  threads: Threads;
  bookmarks: Bookmarks;
  sizes: ThreadSizes;
  pruner: ThreadPruner;
  runs: Runs;
  crons: Crons;
  effects: Effects;
  queue: Pick<RunQueue, 'countParked'>;
  usages: Usages;
  streams: RunStreams;
  threadStreams: ThreadStreams;
  graphs: GraphRegistry;
  states: ThreadStates;
  store: LongTermStore;
  webhookPolicy: WebhookPolicy;
  deliveries: WebhookDeliveries;
  stores: StateStores;
  blobs: OpenBlobs | null;
  database: Database;
  log: Logger;
  config: {
    http: Pick<BatonConfig['http'], 'cors' | 'disabled'>;
    auth: Pick<BatonConfig['auth'], 'apiKeys' | 'described'>;
    ui: BatonConfig['ui'];
    retention: Pick<BatonConfig['retention'], 'threads'>;
  };
  authenticator: Authenticator;
  metrics: Metrics;
  /** How often a silent answer shows that it is alive. Clients count on about 5 s. */
  heartbeatMs?: number;
}

export interface Api {
  router: Router;
  sockets: Sockets;
  /** Whether everybody may ask for that. */
  isOpen: (method: string, path: string) => boolean;
  /** What the scheduler asks for the runs of crons. */
  crons: Pick<CronService, 'plan'>;
}

/** The whole HTTP API, to be mounted under any prefix, and the WebSockets that go with it. */
export function createApi(parts: ApiParts): Api {
  const { graphs, streams, database, log, config, metrics, heartbeatMs = 5000 } = parts;
  const assistants = new AssistantService({ assistants: parts.assistants, graphs });
  const threads = new ThreadService(parts);
  const runs = new RunService({ ...parts, assistants });
  const answers = new RunAnswers(runs, { heartbeatMs, isStopping: () => streams.stopped, log });
  const crons = new CronService({ ...parts, runs });
  const protocol = new ProtocolService({ ...parts, runs, events: new ThreadEvents(parts.threadStreams) });
  const commands = new Commands(protocol, log);
  const groups: Record<Exclude<RouteGroup, 'meta'>, Route[]> = {
    assistants: assistantRoutes(assistants, threads),
    threads: [
      ...threadRoutes(threads, { heartbeatMs }),
      ...retentionRoutes(new RetentionService(parts, threads)),
      threadStreamRoute(new ThreadStreamService(parts), { heartbeatMs }),
      ...protocolRoutes(protocol, commands, { heartbeatMs }),
      ...effectRoutes(new EffectService(parts.effects)),
    ],
    runs: [
      ...runRoutes(runs, answers),
      ...statelessRunRoutes(runs, answers),
      ...cronRoutes(crons, answers),
      ...usageRoutes(new UsageService({ ...parts, runs })),
      ...webhookRoutes(new WebhookService(parts.deliveries)),
    ],
    store: storeRoutes(new StoreService(parts.store)),
    mcp: mcpRoutes({
      tools: new AssistantTools({ assistants, runs, graphs }),
      version: serverInfo().baton.version,
      heartbeatMs,
      isStopping: () => streams.stopped,
    }),
    ui: Object.keys(config.ui).length > 0 ? uiRoutes(config.ui) : [],
    a2a: a2aRoutes(new AgentTasks({ assistants, runs, threads, graphs }), { heartbeatMs }),
  };
  const isServed = (group: RouteGroup) => !config.http.disabled.includes(group);
  const routes = Object.entries(groups).flatMap(([group, own]) => (isServed(group as RouteGroup) ? own : []));
  const measured = metricsRoutes(metrics);
  const meta = isServed('meta')
    ? [
        ...measured,
        ...metaRoutes([...routes, ...measured], {
          checkDatabase: () => database.query('select 1'),
          // How much there is to do is not for everybody where users log in.
          parkedRuns: async () => (parts.authenticator.isRequired ? null : parts.queue.countParked()),
          stores: () => (parts.authenticator.isRequired ? null : parts.stores.shown),
          security: { keys: config.auth.apiKeys.length > 0, described: config.auth.described },
        }),
      ]
    : [];
  const paths = new Set([...meta, ...routes].map(pathOf));
  for (const path of Object.keys(config.auth.described?.paths ?? {})) {
    if (!paths.has(path))
      log.warn(`auth.openapi of langgraph.json speaks of ${path}, which there is not: see /openapi.json`);
  }
  const identify = (request: IncomingMessage) => parts.authenticator.identify(request);
  const sockets = new Sockets({
    routes: isServed('threads') ? [protocolSocket(protocol, commands, log)] : [],
    corsRules: config.http.cors,
    identify,
    heartbeatMs,
    log,
  });
  const router = createRouter({
    routes: [...meta, ...routes],
    corsRules: config.http.cors,
    identify,
    observe: (measure) => metrics.answered(measure),
    log,
  });
  const open = [...meta, ...routes].filter((route) => route.access === 'open');
  const isOpen = (method: string, path: string) => open.some((route) => serves(route, method, path));
  return { router, sockets, isOpen, crons };
}
