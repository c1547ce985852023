import { pick } from '../../http/fields.ts';
import { route, type Route } from '../../http/route.ts';
import { departure } from '../../http/sse.ts';
import { threadPath } from '../threads/schemas.ts';
import { refuseUnsupported } from '../unsupported.ts';
import { lastEventSeq, type RunAnswers } from './answers.ts';
import * as schemas from './schemas.ts';
import type { RunService } from './service.ts';

const RUNS = '/threads/:thread_id/runs';
const ONE = `${RUNS}/:run_id`;
const ALL_OF_IT = 'leave it out: the stream has all of them';

export function runRoutes(runs: RunService, answers: RunAnswers): Route[] {
  return [
    ...createRoutes(runs, answers),
    ...oneRunRoutes(runs, answers),
    ...cancelRoutes(runs),
    resumeRoute(runs, answers),
  ];
}

function createRoutes(runs: RunService, answers: RunAnswers): Route[] {
  const create = { params: threadPath, body: schemas.runCreate };
  return [
    route(
      { method: 'post', path: RUNS, summary: 'Queue a run', ...create, answer: schemas.run },
      async ({ caller, params, body, res }) => {
        const run = await runs.create(caller, params.thread_id, body);
        await answers.announce(res, run);
        return run;
      },
    ),
    route(
      {
        method: 'post',
        path: `${RUNS}/stream`,
        summary: 'Queue a run and stream its events',
        ...create,
        query: schemas.streamQuery,
        answer: 'events',
      },
      async ({ caller, params, query, body, res }) => {
        refuseUnsupported(query, { namespace: ALL_OF_IT });
        const run = await runs.create(caller, params.thread_id, body);
        await answers.stream(res, { caller, run, cancelOnDisconnect: body.on_disconnect === 'cancel' });
      },
    ),
    route(
      {
        method: 'post',
        path: `${RUNS}/wait`,
        summary: 'Queue a run and answer with its result',
        description: 'The last values; `{"__error__": {error, message}}` when the run failed.',
        ...create,
        answer: schemas.result,
      },
      async ({ caller, params, body, res }) => {
        const run = await runs.create(caller, params.thread_id, body);
        await answers.wait(res, { caller, run, cancelOnDisconnect: body.on_disconnect === 'cancel' });
      },
    ),
    route(
      {
        method: 'get',
        path: RUNS,
        summary: 'List the runs of a thread, newest first',
        params: threadPath,
        query: schemas.listQuery,
        answer: schemas.runList,
      },
      async ({ caller, params, query }) => {
        const found = await runs.list(caller, params.thread_id, query);
        return found.map((run) => pick(run, query.select));
      },
    ),
  ];
}

function oneRunRoutes(runs: RunService, answers: RunAnswers): Route[] {
  return [
    route(
      { method: 'get', path: ONE, summary: 'Get a run', params: schemas.runPath, answer: schemas.run },
      ({ caller, params }) => runs.get(caller, params.thread_id, params.run_id),
    ),
    route(
      {
        method: 'delete',
        path: ONE,
        summary: 'Delete a run that has ended, with its log',
        description: 'What it did to the thread’s state stays.',
        params: schemas.runPath,
      },
      ({ caller, params }) => runs.delete(caller, params.thread_id, params.run_id),
    ),
    route(
      {
        method: 'get',
        path: `${ONE}/join`,
        summary: 'Answer with the run’s result when it has ended',
        params: schemas.runPath,
        query: schemas.joinQuery,
        answer: schemas.result,
      },
      async ({ caller, params, query, res }) => {
        const run = await runs.get(caller, params.thread_id, params.run_id);
        await answers.wait(res, { caller, run, cancelOnDisconnect: query.cancel_on_disconnect ?? false });
      },
    ),
    route(
      {
        method: 'get',
        path: `${ONE}/stream`,
        summary: 'Stream the run’s events: those that were, then those that come',
        description: 'A `Last-Event-ID` header asks for those after that number only.',
        params: schemas.runPath,
        query: schemas.joinStreamQuery,
        answer: 'events',
      },
      async ({ caller, params, query, req, res }) => {
        refuseUnsupported(query, { namespace: ALL_OF_IT });
        const run = await runs.get(caller, params.thread_id, params.run_id);
        await answers.stream(res, {
          caller,
          run,
          cancelOnDisconnect: query.cancel_on_disconnect ?? false,
          afterSeq: lastEventSeq(req),
          modes: query.stream_mode,
        });
      },
    ),
  ];
}

function cancelRoutes(runs: RunService): Route[] {
  return [
    route(
      {
        method: 'post',
        path: `${ONE}/cancel`,
        summary: 'Stop a run: keep what it did (`interrupt`) or undo it (`rollback`)',
        description: 'Answers 202 at once, or with `wait` 204 when the run has stopped.',
        params: schemas.runPath,
        query: schemas.cancelQuery,
        status: 202,
      },
      async ({ caller, params, query, res }) => {
        refuseUnsupported(query, { reason: 'leave it out' });
        await runs.cancel(caller, params, query.action ?? 'interrupt');
        if (query.wait !== true) return;
        await runs.ended(params.run_id, departure(res));
        res.status(204).end();
      },
    ),
    route(
      {
        method: 'post',
        path: '/runs/cancel',
        summary: 'Stop several runs: named ones of a thread, or all that wait or run',
        description:
          'With `status` those that wait (`pending`), that a worker has (`running`), or both (`all`), of every thread that the caller may change, or of one. With `run_ids` one that cannot be stopped fails the request after the others were.',
        query: schemas.cancelManyQuery,
        body: schemas.cancelMany,
      },
      ({ caller, query, body }) => runs.cancelMany(caller, body, query.action ?? 'interrupt'),
    ),
  ];
}

function resumeRoute(runs: RunService, answers: RunAnswers): Route {
  return route(
    {
      method: 'post',
      path: '/threads/:thread_id/resume',
      summary: 'Let a thread go on',
      description:
        'With `resume`: the answer to its question. Without `resume`, `update` and `goto`: from where it stopped. Answers with the run; with `stream` its events, with `wait` its result.',
      params: threadPath,
      body: schemas.resume,
      answer: schemas.run,
    },
    async ({ caller, params, body, res }) => {
      const run = await runs.resume(caller, params.thread_id, body);
      const cancelOnDisconnect = body.on_disconnect === 'cancel';
      if (body.stream === true) return answers.stream(res, { caller, run, cancelOnDisconnect });
      if (body.wait === true) return answers.wait(res, { caller, run, cancelOnDisconnect });
      await answers.announce(res, run);
      return run;
    },
  );
}
