import { setPagination } from '../../http/pagination.ts';
import { route, type Route } from '../../http/route.ts';
import * as schemas from './schemas.ts';
import type { WebhookService } from './service.ts';

export function webhookRoutes(webhooks: WebhookService): Route[] {
  return [
    route(
      {
        method: 'get',
        path: '/webhooks/deliveries',
        summary: 'List what was told, and is to be told, of runs that have ended, newest first',
        query: schemas.listQuery,
        answer: schemas.deliveryList,
      },
      async ({ caller, query, res }) => {
        const { deliveries, total } = await webhooks.list(caller, query);
        setPagination(res, { offset: query.offset, shown: deliveries.length, total });
        return deliveries;
      },
    ),
    route(
      {
        method: 'get',
        path: '/webhooks/deliveries/:delivery_id',
        summary: 'Get a delivery with what is sent',
        params: schemas.deliveryPath,
        answer: schemas.deliveryWithPayload,
      },
      ({ caller, params }) => webhooks.get(caller, params.delivery_id),
    ),
    route(
      {
        method: 'post',
        path: '/webhooks/deliveries/:delivery_id/resend',
        summary: 'Send it again now, also when it was delivered or given up',
        params: schemas.deliveryPath,
        answer: schemas.delivery,
      },
      ({ caller, params }) => webhooks.resend(caller, params.delivery_id),
    ),
  ];
}
