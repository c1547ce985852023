import express, { Router, type Express, type Request as ExpressRequest, type RequestHandler } from 'express';
import type { Logger } from 'pino';
import { InvalidInputError, ServiceError } from '../core/errors.ts';
import { nothingThere } from './app.ts';
import { cors } from './cors.ts';
import type { CorsRules } from '../core/cors-rules.ts';
import { errorHandler } from './error-handler.ts';
import { InProcess, noteOf } from './in-process.ts';
import { departure } from './sse.ts';
import { sendWebResponse, toWebRequest } from './web.ts';

/** What is used here of a Hono app, of whatever copy of Hono the project has. */
interface HonoApp {
  fetch(request: Request, env: object): Response | Promise<Response>;
  route(path: string, app: HonoApp): unknown;
  notFound(handler: (context: HonoContext) => Promise<Response>): unknown;
  onError(handler: (error: Error) => Response): unknown;
  routes: unknown[];
  getPath: unknown;
}

interface HonoContext {
  req: { raw: Request; bodyCache: object; json(): Promise<unknown>; text(): Promise<string> };
  env: Visit;
}

/** One request on its way through the project's app to the built-in routes. */
interface Visit {
  /** The path under which all of this is mounted. */
  baseUrl: string;
  /** Set when the built-in routes did not know it either. */
  unknown: boolean;
}

export interface CustomAppOptions {
  app: CustomApp;
  corsRules: CorsRules;
  /** Throws when a request may not even reach the app. */
  guard: (req: ExpressRequest) => Promise<void>;
  log: Logger;
}

const UNSPEAKABLE = new Set(['CONNECT', 'TRACE', 'TRACK']);

/** Serves an API until it is closed. */
export interface ApiRouter {
  router: Router;
  close: () => void;
}

/**
 * The project's own app in front of the built-in routes: its routes win, its middleware wraps them. Takes a Hono app, an
 * Express app or any other handler of its kind, and anything with `fetch`, whose 404 means that it is not concerned.
 */
export function withCustomApp(builtIn: Router, { app, corsRules, guard, log }: CustomAppOptions): ApiRouter {
  const inFront = inFrontOf(builtIn, app);
  const guarding: RequestHandler = async (req, _res, next) => {
    // Of these the web has no `Request`, and the API no operation.
    if (UNSPEAKABLE.has(req.method)) throw new ServiceError('not_found', nothingThere(req.method, req.path));
    await guard(req);
    next();
  };
  const router = Router().use(cors(corsRules), guarding, inFront.router, errorHandler(log));
  return { router, close: inFront.close };
}

function inFrontOf(builtIn: Router, app: CustomApp): ApiRouter {
  const router = Router();
  if (typeof app === 'function') {
    router.use(app, builtIn);
    return { router, close: () => {} };
  }
  if (!isHono(app)) {
    router.use(fetchFirst(app), builtIn);
    return { router, close: () => {} };
  }
  const inner = new InProcess(behind(builtIn));
  router.use(honoAround(app, inner));
  return { router, close: () => inner.close() };
}

/** The built-in routes, for requests that bring their visit along. */
function behind(builtIn: Router): Express {
  const app = express().disable('x-powered-by').disable('etag');
  return app.use((req, res) => {
    const visit = noteOf(req) as Visit;
    Object.assign(req, { baseUrl: visit.baseUrl, originalUrl: visit.baseUrl + req.url });
    builtIn(req, res, () => {
      visit.unknown = true;
      res.status(404).type('text/plain').send(nothingThere(req.method, req.path));
    });
  });
}

function honoAround(app: HonoApp, builtIn: InProcess): RequestHandler {
  // An app of our own around it, made by the same Hono: another server of this process may serve it too.
  const Hono = app.constructor as new (options: object) => HonoApp;
  const outer = new Hono({ getPath: app.getPath });
  outer.route('/', app);
  // Where Hono has no route, and within all of its middleware.
  outer.notFound(async ({ req, env }) => builtIn.fetch(await passedOn(req), undefined, env));
  outer.onError((error) => {
    if ('getResponse' in error && typeof error.getResponse === 'function') return error.getResponse() as Response;
    throw error;
  });
  return async (req, res, next) => {
    const signal = departure(res);
    const visit: Visit = { baseUrl: req.baseUrl, unknown: false };
    const own = Object.assign(visit, { incoming: req, outgoing: res });
    const response = await unlessLeft(signal, async () => outer.fetch(toWebRequest(req, signal), own));
    if (response === null) return;
    // Somebody further on may know it. A body has been read by now, so that such a request ends here.
    const isBodiless = req.method === 'GET' || req.method === 'HEAD';
    if (visit.unknown && response.status === 404 && isBodiless) return next();
    await sendWebResponse(res, response, signal);
  };
}

/** The request as middleware has left it: with another body, if it changed that. */
async function passedOn(req: HonoContext['req']): Promise<Request> {
  const { method, url, headers, signal, body: stream } = req.raw;
  if (method === 'GET' || method === 'HEAD') return req.raw;
  let body: string | ReadableStream | null = stream;
  if (Object.hasOwn(req, 'json')) body = JSON.stringify(await req.json());
  else if (req.raw.bodyUsed || Object.keys(req.bodyCache).length > 0) body = await req.text();
  const kept = new Headers(headers);
  // That of the body that the client sent.
  kept.delete('content-length');
  return new Request(url, { method, headers: kept, signal, body, duplex: 'half' });
}

function fetchFirst(app: Pick<HonoApp, 'fetch'>): RequestHandler {
  return async (req, res, next) => {
    const signal = departure(res);
    const own = { incoming: req, outgoing: res };
    const response = await unlessLeft(signal, async () => app.fetch(toWebRequest(req, signal), own));
    if (response === null) return;
    if (response.status === 404 && !req.readableDidRead) return next();
    await sendWebResponse(res, response, signal);
  };
}

/** Null when the client has left meanwhile: what breaks because of that is no fault, and there is nobody to be told. */
async function unlessLeft<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (signal.aborted) return null;
    throw error;
  }
}

/** What can stand in front of the API. */
export type CustomApp = RequestHandler | Pick<HonoApp, 'fetch'>;

/** Throws InvalidInputError for what is no app. */
export function asCustomApp(exported: unknown): CustomApp {
  const hasFetch = typeof exported === 'object' && exported !== null && 'fetch' in exported;
  if (typeof exported === 'function' || (hasFetch && typeof exported.fetch === 'function'))
    return exported as CustomApp;
  throw new InvalidInputError('http.app of langgraph.json names neither a Hono app nor an Express app');
}

function isHono(app: Pick<HonoApp, 'fetch'>): app is HonoApp {
  return 'notFound' in app && 'routes' in app && Array.isArray(app.routes) && 'getPath' in app;
}
