import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Request as ExpressRequest, Response as ExpressResponse } from 'express';
import { requestUrl } from '../core/request-url.ts';

/** The request as the web's `Request`. Its body is read from the connection only when somebody reads it. */
export function toWebRequest(req: ExpressRequest, signal: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, values] of Object.entries(req.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value);
  }
  const hasBody = req.method !== 'GET' && req.method !== 'HEAD';
  return new Request(requestUrl(req.protocol, req.headers.host, req.url), {
    method: req.method,
    headers,
    signal,
    ...(hasBody && { body: lazyBody(req), duplex: 'half' }),
  });
}

/** Sends a web `Response`; resolves when it is sent or the client has left. */
export async function sendWebResponse(res: ExpressResponse, response: Response, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  res.status(response.status);
  for (const [name, value] of response.headers) if (name !== 'set-cookie') res.setHeader(name, value);
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) res.setHeader('set-cookie', cookies);
  if (!response.body) return void res.end();
  // A stream may be silent for long after its headers.
  res.flushHeaders();
  const body = Readable.fromWeb(response.body);
  await pipeline(body, res, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

/** What nobody has read when the answer is sent is let go: the next request on the connection comes after it. */
function lazyBody(req: ExpressRequest): ReadableStream<Uint8Array> {
  let isBegun = false;
  let isOver = false;
  const begin = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    isBegun = true;
    req.on('data', (chunk: Buffer) => {
      if (isOver) return;
      controller.enqueue(chunk);
      req.pause();
    });
    req.once('error', (error) => controller.error(error));
    req.once('end', () => {
      if (!isOver) controller.close();
    });
    req.res?.once('finish', () => {
      isOver = true;
      controller.error(new Error('The request has been answered: its body is gone'));
      req.resume();
    });
  };
  return new ReadableStream<Uint8Array>(
    {
      pull: (controller) => {
        if (!isBegun) begin(controller);
        req.resume();
      },
      cancel: () => {
        isOver = true;
      },
    },
    { highWaterMark: 0 },
  );
}
