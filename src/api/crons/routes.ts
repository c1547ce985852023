import { z } from 'zod';
import { pick } from '../../http/fields.ts';
import { setPagination } from '../../http/pagination.ts';
import { route, type Route } from '../../http/route.ts';
import type { RunAnswers } from '../runs/answers.ts';
import { threadPath } from '../threads/schemas.ts';
import * as schemas from './schemas.ts';
import type { CronService } from './service.ts';

const ONE = '/runs/crons/:cron_id';

/** `answers` says what a cron's runs are asked for and will not do. */
export function cronRoutes(crons: CronService, answers: Pick<RunAnswers, 'warn'>): Route[] {
  return [
    route(
      {
        method: 'post',
        path: '/runs/crons',
        summary: 'Run again and again, each time on a new thread',
        description:
          '`schedule` has five fields, as in crontab, and is read in `timezone` (default UTC). `on_run_completed: keep` keeps the threads.',
        body: schemas.cronCreate,
        answer: schemas.cron,
      },
      async ({ caller, body, res }) => {
        const { cron, run } = await crons.create(caller, null, body);
        await answers.warn(res, run);
        return cron;
      },
    ),
    route(
      {
        method: 'post',
        path: '/threads/:thread_id/runs/crons',
        summary: 'Run again and again on one thread',
        params: threadPath,
        body: schemas.cronCreate,
        answer: schemas.cron,
      },
      async ({ caller, params, body, res }) => {
        const { cron, run } = await crons.create(caller, params.thread_id, body);
        await answers.warn(res, run);
        return cron;
      },
    ),
    route(
      {
        method: 'post',
        path: '/runs/crons/search',
        summary: 'Find crons',
        body: schemas.cronSearch,
        answer: schemas.cronList,
      },
      async ({ caller, body, res }) => {
        const { crons: found, total, page } = await crons.search(caller, body);
        setPagination(res, { offset: page.offset, shown: found.length, total });
        return found.map((cron) => pick(cron, body.select));
      },
    ),
    route(
      {
        method: 'post',
        path: '/runs/crons/count',
        summary: 'Count crons',
        body: schemas.cronCount,
        answer: z.number(),
      },
      ({ caller, body }) => crons.count(caller, body),
    ),
    ...oneCronRoutes(crons, answers),
  ];
}

function oneCronRoutes(crons: CronService, answers: Pick<RunAnswers, 'warn'>): Route[] {
  return [
    route(
      { method: 'get', path: ONE, summary: 'Get a cron', params: schemas.cronPath, answer: schemas.cron },
      ({ caller, params }) => crons.get(caller, params.cron_id),
    ),
    route(
      {
        method: 'patch',
        path: ONE,
        summary: 'Change a cron; metadata is merged',
        description: 'Its runs stay those of the user who made it. `end_time: null` takes the end away.',
        params: schemas.cronPath,
        body: schemas.cronPatch,
        answer: schemas.cron,
      },
      async ({ caller, params, body, res }) => {
        const { cron, run } = await crons.update(caller, params.cron_id, body);
        await answers.warn(res, run);
        return cron;
      },
    ),
    route(
      { method: 'delete', path: ONE, summary: 'Delete a cron; runs that it has queued stay', params: schemas.cronPath },
      ({ caller, params }) => crons.delete(caller, params.cron_id),
    ),
  ];
}
