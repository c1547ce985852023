import express, { Router, type Request, type RequestHandler, type Response } from 'express';
import type { Logger } from 'pino';
import { cors, type CorsOrigins } from './cors.ts';
import { errorHandler } from './error-handler.ts';
import { parse } from './parse.ts';
import { logRequests } from './request-log.ts';
import type { Route } from './route.ts';
import { UnknownFields } from './unknown-fields.ts';

const MAX_BODY_BYTES = 20 * 1024 * 1024;

export interface RouterOptions {
  routes: readonly Route[];
  corsOrigins: CorsOrigins;
  log: Logger;
}

/** Serves routes under whatever prefix it is mounted. A path that is none of them is the surrounding app's. */
export function createRouter({ routes, corsOrigins, log }: RouterOptions): Router {
  const router = Router();
  const unknownFields = new UnknownFields(log);
  router.use(cors(corsOrigins), logRequests(log));
  // Some clients send JSON as text/plain, to be spared a preflight request.
  const readBody = express.json({ limit: MAX_BODY_BYTES, strict: false, type: () => true });
  for (const route of routes) {
    router[route.method](route.path, readBody, serve(route, unknownFields));
  }
  router.use(errorHandler(log));
  return router;
}

function serve(route: Route, unknownFields: UnknownFields): RequestHandler {
  return async (req, res) => {
    const unknown: string[] = [];
    const check = (schema: Route['body'], input: unknown, place: 'body' | 'query' | 'path'): unknown => {
      if (!schema) return undefined;
      const parsed = parse(schema, input, place);
      unknown.push(...parsed.unknown);
      return parsed.value;
    };
    const params = check(route.params, { ...req.params }, 'path');
    const query = check(route.query, queryOf(req), 'query');
    const body = check(route.body, req.body ?? {}, 'body');
    unknownFields.report(res, unknown);
    const answer = await route.handle({ params, query, body, req, res });
    if (!res.headersSent) send(res, route.status, answer);
  };
}

function send(res: Response, status: number | undefined, answer: unknown): void {
  if (answer === undefined) res.status(status ?? 204).end();
  else res.status(status ?? 200).json(answer);
}

/** Not `req.query`: how that is parsed is up to the app around. */
function queryOf(req: Request): Record<string, string | string[]> {
  const query = new Map<string, string | string[]>();
  for (const [key, value] of new URLSearchParams(req.url.split('?')[1])) {
    const known = query.get(key);
    query.set(key, known === undefined ? value : [known, value].flat());
  }
  return Object.fromEntries(query);
}
