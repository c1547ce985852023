import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Request as ExpressRequest, Response as ExpressResponse } from 'express';

/** The request as the web's `Request`. Its body is read from the connection only when somebody reads it. */
export function toWebRequest(req: ExpressRequest, signal: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, values] of Object.entries(req.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value);
  }
  const base = `${req.protocol}://${req.headers.host ?? ''}`;
  const url = new URL(req.url, URL.canParse(base) ? base : 'http://localhost');
  const hasBody = req.method !== 'GET' && req.method !== 'HEAD';
  return new Request(url, {
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

function lazyBody(req: IncomingMessage): ReadableStream<Uint8Array> {
  let reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        reader ??= (Readable.toWeb(req) as ReadableStream<Uint8Array>).getReader();
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader?.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}
