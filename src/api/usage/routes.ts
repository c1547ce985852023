import { route, type Route } from '../../http/route.ts';
import { runIdPath } from '../runs/schemas.ts';
import { threadPath } from '../threads/schemas.ts';
import { usage, usageQuery } from './schemas.ts';
import type { UsageService } from './service.ts';

export function usageRoutes(usages: UsageService): Route[] {
  return [
    route(
      {
        method: 'get',
        path: '/runs/:run_id/usage',
        summary: 'What a run used in tokens, money and time, and what its checkpoints saved',
        params: runIdPath,
        answer: usage,
      },
      ({ caller, params }) => usages.ofRun(caller, params.run_id),
    ),
    route(
      {
        method: 'get',
        path: '/threads/:thread_id/usage',
        summary: 'What the runs of a thread used',
        params: threadPath,
        answer: usage,
      },
      ({ caller, params }) => usages.ofThread(caller, params.thread_id),
    ),
    route(
      {
        method: 'get',
        path: '/usage',
        summary: 'What the runs of a graph used, on all threads that you may read',
        query: usageQuery,
        answer: usage,
      },
      ({ caller, query }) => usages.ofGraph(caller, query.graph_id),
    ),
  ];
}
