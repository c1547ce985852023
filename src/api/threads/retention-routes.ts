import { z } from 'zod';
import { route, type Route } from '../../http/route.ts';
import * as schemas from './retention-schemas.ts';
import type { RetentionService } from './retention-service.ts';
import { threadPath } from './schemas.ts';

const ONE = '/threads/:thread_id';

export function retentionRoutes(retention: RetentionService): Route[] {
  return [
    route(
      {
        method: 'post',
        path: '/threads/prune',
        summary: 'Delete threads, or the part of their histories that a rule lets go',
        description:
          'By default threads go whole, with their runs. With `strategy` "keep_latest", `keep_last` (checkpoints of each namespace) or `older_than` (an age, such as "30d") only checkpoints go that nothing needs: the latest stays, and what an open question, a bookmark, a fork point or a DeltaChannel needs. Busy threads are skipped. `dry_run` tells what would go.',
        body: schemas.threadPrune,
        answer: schemas.threadsPruned,
      },
      ({ caller, body }) => retention.prune(caller, body),
    ),
    route(
      {
        method: 'get',
        path: `${ONE}/size`,
        summary: 'Tell how much a thread keeps, and how much of it pruning would free',
        description:
          'In bytes: of the latest state by channel (`as_writes`: of a DeltaChannel, as its value is read; null when its graph is not there), of the history in the state store, with the big values in the blob store as `blobs`, of the files that nodes have put there, of the logs of its runs, of the results of its effects. What the blob store shares between threads counts for each. `prunable`: what would go by `keep_last` and `older_than` (both must hold), by default `keep_last=1`.',
        params: threadPath,
        query: schemas.sizeQuery,
        answer: schemas.threadSize,
      },
      ({ caller, params, query: { keep_last, older_than } }) =>
        retention.size(caller, params.thread_id, { keep_last, older_than_ms: older_than }),
    ),
    ...bookmarkRoutes(retention),
  ];
}

function bookmarkRoutes(retention: RetentionService): Route[] {
  return [
    route(
      {
        method: 'post',
        path: `${ONE}/bookmarks`,
        summary: 'Bookmark a checkpoint: pruning leaves it',
        params: threadPath,
        body: schemas.bookmarkCreate,
        answer: schemas.bookmark,
      },
      ({ caller, params, body }) => retention.addBookmark(caller, params.thread_id, body),
    ),
    route(
      {
        method: 'get',
        path: `${ONE}/bookmarks`,
        summary: 'List the bookmarks of a thread, oldest first',
        params: threadPath,
        answer: z.array(schemas.bookmark),
      },
      ({ caller, params }) => retention.bookmarks(caller, params.thread_id),
    ),
    route(
      {
        method: 'delete',
        path: `${ONE}/bookmarks/:bookmark_id`,
        summary: 'Delete a bookmark',
        params: schemas.bookmarkPath,
      },
      ({ caller, params }) => retention.deleteBookmark(caller, params.thread_id, params.bookmark_id),
    ),
  ];
}
