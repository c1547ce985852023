import express, { type Express, type Router } from 'express';
import type { Logger } from 'pino';
import { ServiceError } from '../core/errors.ts';
import { errorHandler } from './error-handler.ts';

/** An app of its own for the API: there is nobody else who could answer what it does not know. */
export function createApp(router: Router, { prefix, log }: { prefix: string; log: Logger }): Express {
  const app = express().disable('x-powered-by').disable('etag');
  app.use(prefix === '' ? '/' : prefix, router);
  app.use((req, _res, next) => {
    next(new ServiceError('not_found', nothingThere(req.method, req.path)));
  });
  return app.use(errorHandler(log));
}

export function nothingThere(method = '', path = ''): string {
  return `There is no ${method} ${path}: /docs shows what there is`;
}
