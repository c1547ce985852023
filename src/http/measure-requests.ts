import type { RequestHandler } from 'express';

/** One request and its answer, which may have been cut short. */
export interface RequestMeasure {
  method: string;
  /** The route's pattern and not the path: a metric for each id would never end. */
  path: string;
  status: number;
  ms: number;
}

export function measureRequests(path: string, observe: (measure: RequestMeasure) => void): RequestHandler {
  return (req, res, next) => {
    const beganMs = performance.now();
    res.once('close', () => {
      observe({ method: req.method, path, status: res.statusCode, ms: performance.now() - beganMs });
    });
    next();
  };
}
