import { route, type Route } from '../../http/route.ts';
import { lastEventSeq, setRunLocation, type RunAnswers } from './answers.ts';
import * as schemas from './schemas.ts';
import type { RunService } from './service.ts';

/** Runs on a thread that is made for them and goes with them. */
export function statelessRunRoutes(runs: RunService, answers: RunAnswers): Route[] {
  const body = schemas.runCreate;
  return [
    route(
      { method: 'post', path: '/runs', summary: 'Queue a run without a thread', body, answer: schemas.run },
      async ({ body, res }) => {
        const run = await runs.create(null, body);
        setRunLocation(res, run);
        return run;
      },
    ),
    route(
      {
        method: 'post',
        path: '/runs/stream',
        summary: 'Run without a thread and stream the events',
        body,
        answer: 'events',
      },
      async ({ body, res }) => {
        const run = await runs.create(null, body);
        await answers.stream(res, { run, cancelOnDisconnect: body.on_disconnect === 'cancel' });
      },
    ),
    route(
      {
        method: 'post',
        path: '/runs/wait',
        summary: 'Run without a thread and answer with the result',
        body,
        answer: schemas.result,
      },
      async ({ body, res }) => {
        const run = await runs.create(null, body);
        await answers.wait(res, run, body.on_disconnect === 'cancel');
      },
    ),
    route(
      {
        method: 'post',
        path: '/runs/batch',
        summary: 'Queue several runs without threads',
        body: schemas.runBatch,
        answer: schemas.runList,
      },
      ({ body }) => runs.createMany(body),
    ),
    route(
      {
        method: 'get',
        path: '/runs/:run_id/stream',
        summary: 'Stream the events of a run by its id alone',
        params: schemas.runIdPath,
        query: schemas.joinStreamQuery,
        answer: 'events',
      },
      async ({ params, query, req, res }) => {
        const run = await runs.find(params.run_id);
        await answers.stream(res, {
          run,
          cancelOnDisconnect: query.cancel_on_disconnect ?? false,
          afterSeq: lastEventSeq(req),
          modes: query.stream_mode,
        });
      },
    ),
  ];
}
