import type { ThreadState } from '../../engine/threads/snapshot.ts';
import { route, type Route } from '../../http/route.ts';
import { checkpointRef } from '../checkpoint-ref.ts';
import * as schemas from './schemas.ts';
import type { HistorySearch } from './schemas.ts';
import type { ThreadService } from './service.ts';

const STATE = '/threads/:thread_id/state';
const HISTORY = '/threads/:thread_id/history';

export function stateRoutes(threads: ThreadService): Route[] {
  return [...readRoutes(threads), updateRoute(threads), ...historyRoutes(threads)];
}

function readRoutes(threads: ThreadService): Route[] {
  return [
    route(
      {
        method: 'get',
        path: STATE,
        summary: 'Get the latest state',
        params: schemas.threadPath,
        query: schemas.stateQuery,
        answer: schemas.threadState,
      },
      async ({ caller, params, query }) => {
        const state = await threads.state(caller, params.thread_id, { subgraphs: query.subgraphs ?? false });
        return selected(state, query.select);
      },
    ),
    route(
      {
        method: 'get',
        path: `${STATE}/:checkpoint_id`,
        summary: 'Get the state at a checkpoint',
        params: schemas.checkpointPath,
        query: schemas.stateQuery,
        answer: schemas.threadState,
      },
      async ({ caller, params: { thread_id, checkpoint_id }, query }) => {
        const state = await threads.state(caller, thread_id, {
          checkpoint: { checkpoint_id },
          subgraphs: query.subgraphs ?? false,
        });
        return selected(state, query.select);
      },
    ),
    route(
      {
        method: 'post',
        path: `${STATE}/checkpoint`,
        summary: 'Get the state at a checkpoint, also of a subgraph',
        params: schemas.threadPath,
        body: schemas.stateAtCheckpoint,
        answer: schemas.threadState,
      },
      async ({ caller, params: { thread_id }, body }) => {
        const checkpoint = checkpointRef(thread_id, body.checkpoint);
        const state = await threads.state(caller, thread_id, { checkpoint, subgraphs: body.subgraphs ?? false });
        return selected(state, body.select);
      },
    ),
  ];
}

function updateRoute(threads: ThreadService): Route {
  return route(
    {
      method: 'post',
      path: STATE,
      summary: 'Edit the state by hand; with a checkpoint: fork it',
      description:
        'The change is made as if the node `as_node` had made it, so the graph goes on after that node. `as_node: "__copy__"` with a checkpoint repeats the step that follows it.',
      params: schemas.threadPath,
      body: schemas.stateUpdate,
      answer: schemas.stateUpdated,
    },
    async ({ caller, params: { thread_id }, body }) => {
      const checkpoint = checkpointRef(thread_id, body.checkpoint, body.checkpoint_id);
      const values = (body.values ?? null) as ThreadState['values'];
      const made = await threads.updateState(caller, thread_id, { values, as_node: body.as_node, checkpoint });
      return { checkpoint: made, configurable: made };
    },
  );
}

function historyRoutes(threads: ThreadService): Route[] {
  return [
    route(
      {
        method: 'get',
        path: HISTORY,
        summary: 'List the states of a thread, newest first',
        params: schemas.threadPath,
        query: schemas.historyQuery,
        answer: schemas.threadStateList,
      },
      ({ caller, params, query: { limit, before } }) =>
        threads.history(caller, params.thread_id, { limit, before: checkpointId(before) }),
    ),
    route(
      {
        method: 'post',
        path: HISTORY,
        summary: 'List the states of a thread or of a subgraph, newest first',
        params: schemas.threadPath,
        body: schemas.historySearch,
        answer: schemas.threadStateList,
      },
      async ({ caller, params: { thread_id }, body }) => {
        const { limit = 10, metadata } = body;
        const checkpoint = checkpointRef(thread_id, body.checkpoint);
        const states = await threads.history(caller, thread_id, {
          limit,
          before: checkpointId(body.before),
          metadata,
          checkpoint,
        });
        return states.map((state) => selected(state, body.select));
      },
    ),
  ];
}

function checkpointId(before: HistorySearch['before']): string | undefined {
  if (typeof before === 'string') return before;
  return before?.checkpoint_id ?? before?.configurable?.checkpoint_id;
}

/** The fields that were asked for; `values.key` asks for one key of the values. */
function selected(state: ThreadState, select: readonly string[] | undefined): Partial<ThreadState> {
  if (select === undefined || select.length === 0) return state;
  const keys = select.filter((name) => name.startsWith('values.')).map((name) => name.slice('values.'.length));
  const fields = Object.entries(state).filter(([name]) => select.includes(name));
  if (keys.length > 0 && !select.includes('values') && typeof state.values === 'object' && state.values !== null) {
    fields.push(['values', Object.fromEntries(Object.entries(state.values).filter(([key]) => keys.includes(key)))]);
  }
  return Object.fromEntries(fields);
}
