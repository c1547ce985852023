/** The operations of the platform's API, by the groups of its own documentation. */
export const OPERATIONS: Record<string, readonly string[]> = {
  Assistants: [
    'POST /assistants',
    'POST /assistants/search',
    'POST /assistants/count',
    'GET /assistants/{assistant_id}',
    'DELETE /assistants/{assistant_id}',
    'PATCH /assistants/{assistant_id}',
    'GET /assistants/{assistant_id}/graph',
    'GET /assistants/{assistant_id}/subgraphs',
    'GET /assistants/{assistant_id}/subgraphs/{namespace}',
    'GET /assistants/{assistant_id}/schemas',
    'POST /assistants/{assistant_id}/versions',
    'POST /assistants/{assistant_id}/latest',
  ],
  Threads: [
    'POST /threads',
    'POST /threads/search',
    'POST /threads/count',
    'POST /threads/prune',
    'GET /threads/{thread_id}/state',
    'POST /threads/{thread_id}/state',
    'GET /threads/{thread_id}/state/{checkpoint_id}',
    'POST /threads/{thread_id}/state/checkpoint',
    'GET /threads/{thread_id}/history',
    'POST /threads/{thread_id}/history',
    'POST /threads/{thread_id}/copy',
    'GET /threads/{thread_id}',
    'DELETE /threads/{thread_id}',
    'PATCH /threads/{thread_id}',
    'GET /threads/{thread_id}/stream',
  ],
  Streaming: ['POST /threads/{thread_id}/stream/events', 'POST /threads/{thread_id}/commands'],
  'Thread Runs': [
    'GET /threads/{thread_id}/runs',
    'POST /threads/{thread_id}/runs',
    'POST /threads/{thread_id}/runs/stream',
    'POST /threads/{thread_id}/runs/wait',
    'GET /threads/{thread_id}/runs/{run_id}',
    'DELETE /threads/{thread_id}/runs/{run_id}',
    'GET /threads/{thread_id}/runs/{run_id}/join',
    'GET /threads/{thread_id}/runs/{run_id}/stream',
    'POST /threads/{thread_id}/runs/{run_id}/cancel',
    'POST /runs/cancel',
  ],
  Crons: [
    'POST /threads/{thread_id}/runs/crons',
    'POST /runs/crons',
    'POST /runs/crons/search',
    'POST /runs/crons/count',
    'GET /runs/crons/{cron_id}',
    'PATCH /runs/crons/{cron_id}',
    'DELETE /runs/crons/{cron_id}',
  ],
  'Stateless Runs': ['POST /runs/stream', 'POST /runs/wait', 'POST /runs', 'POST /runs/batch'],
  Store: [
    'PUT /store/items',
    'DELETE /store/items',
    'GET /store/items',
    'POST /store/items/search',
    'POST /store/namespaces',
  ],
  A2A: ['POST /a2a/{assistant_id}'],
  MCP: ['POST /mcp/', 'GET /mcp/', 'DELETE /mcp/'],
  System: ['GET /info', 'GET /metrics', 'GET /docs', 'GET /ok'],
};

/** What the development server has beside them. */
const EXTRA = ['GET /runs/{run_id}/stream'];
/** Of the platform's operations, those that its development server does not have. */
export const PRODUCTION_ONLY =
  /crons|\/runs\/cancel$|\/prune$|\/storage$|GET \/threads\/{thread_id}\/stream$|\/mcp|\/a2a|\/metrics|\/docs/;

const ALL = [...Object.values(OPERATIONS).flat(), ...EXTRA];

export function isOfficial(operation: string): boolean {
  return ALL.includes(operation);
}

/** The operation that a request of a scenario means; null when it is none of the platform's. */
export function operationOf(request: string): string | null {
  const path = request.split('?', 1)[0] ?? request;
  const fitting = ALL.filter((operation) => fits(path, operation));
  // `/threads/search` is no thread's id.
  return fitting.toSorted((left, right) => placeholders(left) - placeholders(right))[0] ?? null;
}

function fits(request: string, operation: string): boolean {
  const parts = request.split('/');
  const expected = operation.split('/');
  return (
    parts.length === expected.length &&
    expected.every((part, index) => part === parts[index] || (part.startsWith('{') && parts[index] !== ''))
  );
}

function placeholders(operation: string): number {
  return operation.split('{').length;
}
