import type { ErrorRequestHandler, Response } from 'express';
import type { Logger } from 'pino';
import { isConnectionLost } from '../core/connection-loss.ts';
import { AuthRefusalError, ServiceError, type ErrorCode } from '../core/errors.ts';

/** None in 500-599 for what a caller can correct: clients repeat those by themselves, again and again. */
export const STATUS_OF: Record<ErrorCode, number> = {
  invalid_input: 422,
  empty_namespace: 400,
  unsupported_field: 422,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  busy: 409,
  fenced: 409,
  unstorable_value: 422,
  unreadable_value: 500,
  graph_failed_to_load: 422,
  too_large: 413,
  unavailable: 503,
};

/** What a caller is told: a refusal with its message; of a fault of ours only that there was one. */
export function errorHandler(log: Logger): ErrorRequestHandler {
  return (error: unknown, req, res, _next) => {
    const { status, code, detail, headers = {} } = toAnswer(error);
    if (status >= 500) log.error({ err: error, method: req.method, path: req.path }, 'a request failed');
    if (res.headersSent) {
      // The answer has begun and cannot be taken back; a broken connection says that it is not whole.
      res.destroy();
      return;
    }
    if (status === 401) res.setHeader('WWW-Authenticate', 'Bearer');
    for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
    if (status === 503) res.setHeader('Retry-After', '1');
    if (namesJson(req.headers.accept)) res.status(status).json({ detail, code });
    else sendText(res.status(status), detail);
  };
}

interface Answer {
  status: number;
  code: ErrorCode | 'internal';
  detail: string;
  headers?: Readonly<Record<string, string>>;
}

export function toAnswer(error: unknown): Answer {
  if (error instanceof AuthRefusalError) {
    return { status: error.status, code: error.code, detail: error.message, headers: error.headers };
  }
  if (error instanceof ServiceError) return { status: STATUS_OF[error.code], code: error.code, detail: error.message };
  if (isConnectionLost(error)) {
    const detail = 'The database is out of reach: see that it runs and that DATABASE_URL is right, then try again';
    return { status: 503, code: 'unavailable', detail };
  }
  const refusal = refusalOfExpress(error);
  return refusal ?? { status: 500, code: 'internal', detail: 'Internal error: the server’s log says more' };
}

const TOO_LARGE =
  'The body is larger than 20 MB: keep large documents outside of the state, and references to them in it';

/** Express and its body parser throw errors that carry a status: a path or a body that cannot be read. */
function refusalOfExpress(error: unknown): Answer | null {
  if (!(error instanceof Error) || !('status' in error) || typeof error.status !== 'number') return null;
  const { status } = error;
  if (status < 400 || status > 499) return null;
  if (status === 413) return { status, code: 'too_large', detail: TOO_LARGE };
  const isBody = 'type' in error && error.type === 'entity.parse.failed';
  return { status, code: 'invalid_input', detail: isBody ? `The body is not JSON: ${error.message}` : error.message };
}

/** Text unless JSON is asked for by name: the official clients show the body as it is. */
function namesJson(accept: string | undefined): boolean {
  return accept !== undefined && /\bapplication\/json\b/i.test(accept);
}

function sendText(res: Response, text: string): void {
  res.type('text/plain').send(text);
}
