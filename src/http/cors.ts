import type { RequestHandler } from 'express';

/** `*` or the origins that may call the API from a browser. */
export type CorsOrigins = '*' | readonly string[];

/**
 * As the official server: LangGraph Studio and chat front-ends call from other origins. It means that any web page that a
 * person opens can drive a server on his machine: name the origins where that matters.
 */
export const DEFAULT_CORS_ORIGINS: CorsOrigins = '*';

const EXPOSED = 'Content-Location, Location, Warning, X-Pagination-Total, X-Pagination-Next';

export function cors(origins: CorsOrigins): RequestHandler {
  return (req, res, next) => {
    const { origin } = req.headers;
    if (origin === undefined || !(origins === '*' || origins.includes(origin))) return next();
    res.setHeader('Access-Control-Allow-Origin', origins === '*' ? '*' : origin);
    res.setHeader('Access-Control-Expose-Headers', EXPOSED);
    if (origins !== '*') res.vary('Origin');
    if (req.method !== 'OPTIONS' || !req.headers['access-control-request-method']) return next();
    res.setHeader('Access-Control-Allow-Methods', 'GET, POST, PUT, PATCH, DELETE, OPTIONS');
    res.setHeader('Access-Control-Allow-Headers', req.headers['access-control-request-headers'] ?? '*');
    res.setHeader('Access-Control-Max-Age', '600');
    // A page from the internet asks whether it may reach into this network.
    if (req.headers['access-control-request-private-network']) {
      res.setHeader('Access-Control-Allow-Private-Network', 'true');
    }
    res.status(204).end();
  };
}
