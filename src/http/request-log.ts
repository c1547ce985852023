import type { RequestHandler } from 'express';
import type { Logger } from 'pino';

/** One line a request, when it is over. Without query and body: they may hold what no log should. */
export function logRequests(log: Logger): RequestHandler {
  return (req, res, next) => {
    const beganMs = performance.now();
    res.once('close', () => {
      const { statusCode: status } = res;
      const line = {
        method: req.method,
        path: req.originalUrl.split('?')[0],
        status,
        ms: Math.round(performance.now() - beganMs),
      };
      if (status >= 500) log.warn(line, 'request failed');
      else log.debug(line, res.writableFinished ? 'request' : 'request, left by the client');
    });
    next();
  };
}
