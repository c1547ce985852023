import { z } from 'zod';
import { queryPage } from '../../http/fields.ts';
import { route, type Route } from '../../http/route.ts';
import { threadPath } from '../threads/schemas.ts';
import * as schemas from './schemas.ts';
import type { EffectService } from './service.ts';

const ONE = '/threads/:thread_id';

export function effectRoutes(effects: EffectService): Route[] {
  return [
    route(
      {
        method: 'get',
        path: `${ONE}/effects`,
        summary: 'List what the nodes of a thread did to the world or wait for, oldest first',
        params: threadPath,
        query: z.strictObject(queryPage),
        answer: z.array(schemas.effect),
      },
      ({ caller, params, query }) => effects.list(caller, params.thread_id, query),
    ),
    route(
      {
        method: 'post',
        path: `${ONE}/wake`,
        summary: 'End the sleeps of a thread early, or those of one name, and the waits before another try',
        params: threadPath,
        body: schemas.wake,
        answer: schemas.woken,
      },
      async ({ caller, params, body }) => ({ woken: await effects.wake(caller, params.thread_id, body.name ?? null) }),
    ),
    route(
      {
        method: 'post',
        path: `${ONE}/events`,
        summary: 'Tell a thread something that a node waits for, now or later',
        params: threadPath,
        body: schemas.event,
        answer: schemas.told,
      },
      async ({ caller, params, body }) => {
        const event = { name: body.name, payload: body.payload ?? null, event_id: body.event_id ?? null };
        return { told: await effects.tell(caller, params.thread_id, event) };
      },
    ),
  ];
}
