import { z } from 'zod';
import type { Thread } from '../../core/thread.ts';
import { pick } from '../../http/fields.ts';
import { setPagination } from '../../http/pagination.ts';
import { route, type Route } from '../../http/route.ts';
import { departure, sendLate } from '../../http/sse.ts';
import { extracted } from './extract.ts';
import * as schemas from './schemas.ts';
import type { ThreadService } from './service.ts';
import { stateRoutes } from './state-routes.ts';

const ONE = '/threads/:thread_id';

export function threadRoutes(threads: ThreadService, { heartbeatMs }: { heartbeatMs: number }): Route[] {
  return [
    ...collectionRoutes(threads),
    route(
      {
        method: 'get',
        path: ONE,
        summary: 'Get a thread, with `include=ttl` also when it will be deleted by itself',
        params: schemas.threadPath,
        query: schemas.threadQuery,
        answer: schemas.threadWithTtl,
      },
      async ({ caller, params, query }) => {
        const thread = await threads.get(caller, params.thread_id);
        const ttl = query.include === undefined ? null : await threads.ttl(caller, params.thread_id);
        return ttl ? { ...thread, ttl } : thread;
      },
    ),
    route(
      {
        method: 'get',
        path: `${ONE}/storage`,
        summary: 'Tell how much room a thread’s history takes',
        description:
          'Small values stand in the rows of their checkpoints and are counted there. A large one is stored once, whichever channels and branches hold it: `channel_values` counts those, and not by channel; of one that lies in the blob store it has the reference, and `blobs` the value. `files`: what nodes have put there.',
        params: schemas.threadPath,
        answer: schemas.threadStorage,
      },
      async ({ caller, params }) => {
        const { checkpoints, values, writes, blobs } = await threads.storage(caller, params.thread_id);
        return {
          thread_id: params.thread_id,
          total_bytes: checkpoints.bytes + values.bytes + writes.bytes + blobs.values.bytes + blobs.files.bytes,
          checkpoints,
          channel_values: { ...values, by_channel: {} },
          pending_writes: writes,
          blobs: blobs.values,
          files: blobs.files,
        };
      },
    ),
    blobRoute(threads),
    route(
      {
        method: 'patch',
        path: ONE,
        summary: 'Merge metadata into a thread’s, and set how long it is kept from now',
        params: schemas.threadPath,
        body: schemas.threadPatch,
        answer: schemas.thread,
      },
      async ({ caller, params, body, req }) => {
        const thread = await threads.update(caller, params.thread_id, body);
        return req.headers['prefer'] === 'return=minimal' ? undefined : thread;
      },
    ),
    route(
      {
        method: 'delete',
        path: ONE,
        summary: 'Delete a thread with its runs and its state',
        params: schemas.threadPath,
      },
      ({ caller, params }) => threads.delete(caller, params.thread_id),
    ),
    route(
      {
        method: 'post',
        path: `${ONE}/copy`,
        summary: 'Copy a thread with its whole history',
        params: schemas.threadPath,
        answer: schemas.thread,
      },
      ({ caller, params }) => threads.copy(caller, params.thread_id),
    ),
    pauseRoute(threads, heartbeatMs),
    ...stateRoutes(threads),
  ];
}

function pauseRoute(threads: ThreadService, heartbeatMs: number): Route {
  return route(
    {
      method: 'post',
      path: `${ONE}/pause`,
      summary: 'Let the running run stop at its next step boundary',
      description:
        'The run ends as `interrupted` and so does the thread; nothing of what it did is lost or repeated. Answers 202 at once, or with `wait` 200 when the run has stopped.',
      params: schemas.threadPath,
      body: schemas.pause,
      answer: schemas.thread,
    },
    async ({ caller, params, body, res }) => {
      const run = await threads.pause(caller, params.thread_id);
      if (body.wait !== true) {
        res.status(202).json(await threads.get(caller, params.thread_id));
        return;
      }
      const stopped = threads.runEnded(run.run_id, departure(res)).then(() => threads.get(caller, params.thread_id));
      await sendLate(res, stopped, heartbeatMs);
    },
  );
}

function collectionRoutes(threads: ThreadService): Route[] {
  return [
    route(
      {
        method: 'post',
        path: '/threads',
        summary: 'Create a thread, with `supersteps` also its state',
        body: schemas.threadCreate,
        answer: schemas.thread,
      },
      ({ caller, body }) => threads.create(caller, body),
    ),
    route(
      {
        method: 'post',
        path: '/threads/search',
        summary: 'Find threads by status, metadata and values',
        body: schemas.threadSearch,
        answer: schemas.threadsFound,
      },
      async ({ caller, body, res }) => {
        const found = await threads.search(caller, body);
        setPagination(res, { offset: found.page.offset, shown: found.threads.length, total: found.total });
        return found.threads.map((thread) => shown(thread, body));
      },
    ),
    route(
      {
        method: 'post',
        path: '/threads/count',
        summary: 'Count threads',
        body: schemas.threadCount,
        answer: z.number(),
      },
      ({ caller, body }) => threads.count(caller, body),
    ),
  ];
}

function shown(thread: Thread, { select, extract }: schemas.ThreadSearch): object {
  const part = pick(thread, select);
  return extract ? { ...part, extracted: extracted(thread, extract) } : part;
}

function blobRoute(threads: ThreadService): Route {
  return route(
    {
      method: 'get',
      path: `${ONE}/blobs/:blob_id`,
      summary: 'Download a file that a node of the thread made',
      params: schemas.blobPath,
      answer: 'file',
    },
    async ({ caller, params, res }) => {
      const { content, name, type } = await threads.file(caller, params.thread_id, params.blob_id);
      // Never shown within the API's origin: a node may have made it of what a stranger sent.
      res.attachment(name);
      res.setHeader('content-type', type);
      res.setHeader('x-content-type-options', 'nosniff');
      res.setHeader('content-security-policy', 'sandbox');
      res.end(content);
    },
  );
}
