import { z } from 'zod';
import { jsonObject } from '../../http/fields.ts';
import { route, type Route } from '../../http/route.ts';
import type { Metrics } from './metrics.ts';

const query = z.strictObject({ format: z.enum(['prometheus', 'json']).optional() });

/** For everybody who is logged in: the names of graphs and the load are nobody else's business. */
export function metricsRoutes(metrics: Metrics): Route[] {
  return [
    route(
      {
        method: 'get',
        path: '/metrics',
        access: 'known',
        summary: 'Tell what this process has done and has to do',
        description: 'In the text format of Prometheus; with `format=json` as JSON.',
        query,
        answer: jsonObject,
      },
      async ({ query: { format }, res }) => {
        if (format === 'json') return metrics.json();
        // Not by `type` and `send`: Express would add a second charset.
        res.setHeader('Content-Type', metrics.contentType);
        res.end(await metrics.text());
        return undefined;
      },
    ),
  ];
}
