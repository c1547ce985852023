import express, { Router, type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import type { IncomingMessage } from 'node:http';
import type { Logger } from 'pino';
import { nobody } from '../auth/request-caller.ts';
import type { Caller } from '../core/caller.ts';
import type { CorsRules } from '../core/cors-rules.ts';
import { InvalidInputError } from '../core/errors.ts';
import { isHost } from '../core/request-url.ts';
import { cors } from './cors.ts';
import { errorHandler } from './error-handler.ts';
import { assertShallow } from './json-depth.ts';
import { measureRequests, type RequestMeasure } from './measure-requests.ts';
import { parse } from './parse.ts';
import { logRequests } from './request-log.ts';
import type { Route } from './route.ts';
import { UnknownFields } from './unknown-fields.ts';

const MAX_BODY_BYTES = 20 * 1024 * 1024;

export interface RouterOptions {
  routes: readonly Route[];
  corsRules: CorsRules;
  /** Finds out who makes a request; throws when that cannot be known. */
  identify: (request: IncomingMessage) => Promise<Caller>;
  /** Is told of every request that one of the routes has answered. */
  observe?: (measure: RequestMeasure) => void;
  log: Logger;
}

/** Serves routes under whatever prefix it is mounted. A path that is none of them is the surrounding app's. */
export function createRouter({ routes, corsRules, identify, observe, log }: RouterOptions): Router {
  const router = Router();
  const unknownFields = new UnknownFields(log);
  router.use(cors(corsRules), logRequests(log), checkHost);
  // Some clients send JSON as text/plain, to be spared a preflight request.
  const readBody = express.json({ limit: MAX_BODY_BYTES, strict: false, type: () => true, verify: checkText });
  for (const route of routes) {
    if (observe) router[route.method](route.path, measureRequests(route.path, observe));
    router[route.method](route.path, identified(route, identify), readBody, serve(route, unknownFields));
  }
  router.use(errorHandler(log));
  return router;
}

/** What JSON is written in; and no bomb. */
function checkText(_req: IncomingMessage, _res: unknown, text: Buffer, charset: string): void {
  if (charset !== 'utf-8') throw new InvalidInputError(`JSON is sent as UTF-8, not as ${charset}`);
  assertShallow(text);
}

/** HTTP wants it so, and addresses that are made of it would be none. An empty one is that of an old client. */
function checkHost(req: Request, _res: Response, next: NextFunction): void {
  const { host } = req.headers;
  if (host === undefined || host === '' || isHost(host)) return next();
  throw new InvalidInputError('The header Host names no host');
}

/** Before the body is read: whoever may not be served costs next to nothing. */
function identified(route: Route, identify: RouterOptions['identify']): RequestHandler {
  return async (req, res, next) => {
    setCaller(res, route.access === 'open' ? nobody() : await identify(req));
    next();
  };
}

function setCaller(res: Response, caller: Caller): void {
  res.locals['batonCaller'] = caller;
}

function callerOf(res: Response): Caller {
  return res.locals['batonCaller'] as Caller;
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
    const caller = callerOf(res);
    const answer = await route.handle({ params, query, body, caller, req, res });
    if (route.access === undefined && !caller.asked) {
      throw new Error(`${route.method} ${route.path} answers without having asked what its caller may do`);
    }
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
