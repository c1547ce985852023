import { once } from 'node:events';
import type { Response } from 'express';

export interface SseEvent {
  event: string;
  /** Without line breaks. */
  data: string;
  id: string | number;
}

/** Aborted when the client leaves before the answer has ended, or has left already. */
export function departure(res: Response): AbortSignal {
  if (res.destroyed) return AbortSignal.abort();
  const controller = new AbortController();
  res.once('close', () => {
    if (!res.writableFinished) controller.abort();
  });
  return controller.signal;
}

/**
 * Sends events as they come and ends after the last one. The headers go out at once: a client learns the run's id before
 * its first event. Comments keep the connection alive; once a client has seen two it takes their absence for a dead
 * server, so they go on to the end. Resolves when the client has left, too.
 */
export async function sendEvents(
  res: Response,
  events: AsyncIterable<SseEvent>,
  { signal, heartbeatMs }: { signal: AbortSignal; heartbeatMs: number },
): Promise<void> {
  if (signal.aborted) return;
  res.writeHead(200, {
    'Content-Type': 'text/event-stream',
    'Cache-Control': 'no-cache',
    'X-Accel-Buffering': 'no',
  });
  res.flushHeaders();
  const heartbeat = setInterval(() => {
    if (!res.writableNeedDrain && !res.destroyed) res.write(': heartbeat\n\n');
  }, heartbeatMs);
  try {
    for await (const { event, data, id } of events) {
      if (signal.aborted) return;
      if (!res.write(`event: ${event}\ndata: ${data}\nid: ${id}\n\n`)) await once(res, 'drain', { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    clearInterval(heartbeat);
  }
  if (!signal.aborted) res.end();
}

/**
 * Answers JSON that may take long. Line breaks before it keep the connection alive; they commit to status 200, so what
 * fails later breaks the connection.
 */
export async function sendLate(res: Response, work: Promise<unknown>, heartbeatMs: number): Promise<void> {
  const heartbeat = setInterval(() => {
    if (res.destroyed) return;
    if (!res.headersSent) res.status(200).type('application/json');
    res.write('\n');
  }, heartbeatMs);
  try {
    const text = JSON.stringify(await work);
    if (!res.headersSent) res.status(200).type('application/json');
    res.end(text);
  } finally {
    clearInterval(heartbeat);
  }
}
