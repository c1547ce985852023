import type { Router } from 'express';
import type { Logger } from 'pino';
import type { Assistants } from '../database/assistants.ts';
import type { Database } from '../database/database.ts';
import type { Runs } from '../database/runs.ts';
import type { Threads } from '../database/threads.ts';
import type { GraphRegistry } from '../engine/graphs/registry.ts';
import type { RunStreams } from '../engine/streams.ts';
import type { ThreadStates } from '../engine/thread-state.ts';
import { createRouter } from '../http/router.ts';
import { DEFAULT_CORS_ORIGINS, type CorsOrigins } from '../http/cors.ts';
import type { DurableSaver } from '../state/durable-saver.ts';
import { assistantRoutes } from './assistants/routes.ts';
import { AssistantService } from './assistants/service.ts';
import { metaRoutes } from './meta/routes.ts';
import { RunAnswers } from './runs/answers.ts';
import { runRoutes } from './runs/routes.ts';
import { RunService } from './runs/service.ts';
import { statelessRunRoutes } from './runs/stateless-routes.ts';
import { threadRoutes } from './threads/routes.ts';
import { ThreadService } from './threads/service.ts';

export interface ApiParts {
  assistants: Assistants;
  threads: Threads;
  runs: Runs;
  streams: RunStreams;
  graphs: GraphRegistry;
  states: ThreadStates;
  saver: Pick<DurableSaver, 'getTuple' | 'deleteThread'>;
  database: Database;
  log: Logger;
  corsOrigins?: CorsOrigins;
  /** How often a silent answer shows that it is alive. Clients count on about 5 s. */
  heartbeatMs?: number;
}

/** The whole HTTP API, to be mounted under any prefix. */
export function createApi(parts: ApiParts): Router {
  const { graphs, streams, database, log, corsOrigins = DEFAULT_CORS_ORIGINS, heartbeatMs = 5000 } = parts;
  const assistants = new AssistantService({ assistants: parts.assistants, graphs });
  const threads = new ThreadService(parts);
  const runs = new RunService({ ...parts, assistants });
  const answers = new RunAnswers(runs, { heartbeatMs, isStopping: () => streams.stopped, log });
  const routes = [
    ...assistantRoutes(assistants, threads),
    ...threadRoutes(threads, { heartbeatMs }),
    ...runRoutes(runs, answers),
    ...statelessRunRoutes(runs, answers),
  ];
  const meta = metaRoutes(routes, () => database.query('select 1'));
  return createRouter({ routes: [...meta, ...routes], corsOrigins, log });
}
