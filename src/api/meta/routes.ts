import { z } from 'zod';
import type { ParkReason } from '../../core/effect.ts';
import type { JsonObject } from '../../core/json.ts';
import { json, jsonObject } from '../../http/fields.ts';
import { route, type Route } from '../../http/route.ts';
import { docsPage } from './docs-page.ts';
import { openApiDocument, type Security } from './openapi.ts';
import { serverInfo } from './service.ts';

const okQuery = z.strictObject({ check_db: z.string().optional() });

interface MetaParts {
  checkDatabase: () => Promise<unknown>;
  /** By what they wait for; null: not to be told. */
  parkedRuns: () => Promise<Record<ParkReason, number> | null>;
  /** Where state is kept, without secrets; null: not to be told. */
  stores: () => { default: string; graphs: Record<string, string> } | null;
  security: Security;
}

/** What is to be known about the server itself. `others` are described together with these. */
export function metaRoutes(
  others: readonly Route[],
  { checkDatabase, parkedRuns, stores, security }: MetaParts,
): Route[] {
  const info = serverInfo();
  let document: JsonObject | null = null;
  const described = (): JsonObject =>
    (document ??= openApiDocument([...others, ...own], { version: info.baton.version, security }));
  const own: Route[] = [
    route(
      {
        method: 'get',
        path: '/ok',
        access: 'open',
        summary: 'Tell whether the server answers, with `check_db=1` the database too',
        query: okQuery,
        answer: z.object({ ok: z.boolean() }),
      },
      async ({ query }) => {
        if (query.check_db === '1') await checkDatabase();
        return { ok: true };
      },
    ),
    route(
      { method: 'get', path: '/info', access: 'open', summary: 'Tell versions and features', answer: jsonObject },
      // Versions can be had without the database, too.
      async () => ({
        ...info,
        baton: { ...info.baton, runs_parked: await parkedRuns().catch(() => null), state: stores() },
      }),
    ),
    route(
      {
        method: 'get',
        path: '/openapi.json',
        access: 'known',
        summary: 'Describe this API as OpenAPI 3.1',
        answer: json,
      },
      // A client that has only the document must know where the API is mounted.
      async ({ req }) => ({ ...described(), servers: [{ url: req.baseUrl || '/' }] }),
    ),
    route(
      { method: 'get', path: '/docs', access: 'known', summary: 'Describe this API as a page', answer: 'html' },
      async ({ res }) => void res.type('html').send(docsPage(described())),
    ),
  ];
  return own;
}
