import type { RequestHandler } from 'express';
import type { CorsRules } from '../core/cors-rules.ts';

/**
 * As the official server: LangGraph Studio and chat front-ends call from other origins. It means that any web page that a
 * person opens can drive a server on his machine that asks for no login: name the origins where that matters.
 */
export const DEFAULT_CORS_RULES: CorsRules = {
  origins: '*',
  originPattern: null,
  methods: null,
  headers: null,
  exposed: [],
  credentials: false,
  maxAgeSeconds: 600,
};

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const EXPOSED = ['Content-Location', 'Location', 'Warning', 'X-Pagination-Total', 'X-Pagination-Next'];

/** Says whether pages of an origin may call. */
export function originFilter({ origins, originPattern }: CorsRules): (origin: string) => boolean {
  const pattern = originPattern === null ? null : new RegExp(`^(?:${originPattern})$`);
  return (origin) => origins === '*' || origins.includes(origin) || pattern?.test(origin) === true;
}

export function cors(rules: CorsRules): RequestHandler {
  const isAllowed = originFilter(rules);
  const anyOrigin = rules.origins === '*';
  const methods = (rules.methods ?? METHODS).join(', ');
  const exposed = [...new Set([...EXPOSED, ...rules.exposed])].join(', ');
  return (req, res, next) => {
    const { origin } = req.headers;
    if (!anyOrigin) res.vary('Origin');
    if (origin === undefined || !isAllowed(origin)) return next();
    res.setHeader('Access-Control-Allow-Origin', anyOrigin ? '*' : origin);
    res.setHeader('Access-Control-Expose-Headers', exposed);
    if (rules.credentials && !anyOrigin) res.setHeader('Access-Control-Allow-Credentials', 'true');
    if (req.method !== 'OPTIONS' || !req.headers['access-control-request-method']) return next();
    const asked = req.headers['access-control-request-headers'] ?? '*';
    res.setHeader('Access-Control-Allow-Methods', methods);
    res.setHeader('Access-Control-Allow-Headers', rules.headers?.join(', ') ?? asked);
    res.setHeader('Access-Control-Max-Age', String(rules.maxAgeSeconds));
    // A page from the internet asks whether it may reach into this network.
    if (req.headers['access-control-request-private-network']) {
      res.setHeader('Access-Control-Allow-Private-Network', 'true');
    }
    res.status(204).end();
  };
}
