import { route, type Route } from '../../http/route.ts';
import { lastEventSeq, type RunAnswers } from './answers.ts';
import * as schemas from './schemas.ts';
import type { RunService } from './service.ts';

/** Runs on a thread that is made for them and goes with them. */
export function statelessRunRoutes(runs: RunService, answers: RunAnswers): Route[] {
  const body = schemas.runCreate;
  return [
    route(
      { method: 'post', path: '/runs', summary: 'Queue a run without a thread', body, answer: schemas.run },
      async ({ caller, body, res }) => {
        const run = await runs.create(caller, null, body);
        await answers.announce(res, run);
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
      async ({ caller, body, res }) => {
        const run = await runs.create(caller, null, body);
        await answers.stream(res, { caller, run, cancelOnDisconnect: body.on_disconnect === 'cancel' });
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
      async ({ caller, body, res }) => {
        const run = await runs.create(caller, null, body);
        await answers.wait(res, { caller, run, cancelOnDisconnect: body.on_disconnect === 'cancel' });
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
      async ({ caller, body, res }) => {
        const created = await runs.createMany(caller, body);
        for (const run of created) await answers.warn(res, run);
        return created;
      },
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
      async ({ caller, params, query, req, res }) => {
        const run = await runs.find(caller, params.run_id);
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
