import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import type { FuzzRequest } from './request.ts';

export interface Reply {
  /** Null: it was left without an answer, as it may be. */
  status: number | null;
  type: string;
  text: string;
}

/** Far more than any answer takes that has not to wait for a run. */
const HANG_MS = 20_000;
/** How long one that may wait is waited for. */
const PATIENCE_MS = 100;

/** Sends requests as they are: with headers and paths that `fetch` would not send. */
export class Sender {
  readonly #agent = new Agent({ keepAlive: true });
  readonly #url: URL;

  constructor(url: string) {
    this.#url = new URL(url);
  }

  /** Rejects when the connection breaks, or when there is no answer where there must be one. */
  async send({ method, target, headers, body, mayWait }: FuzzRequest): Promise<Reply> {
    const left = AbortSignal.timeout(mayWait ? PATIENCE_MS : HANG_MS);
    const { hostname, port } = this.#url;
    const sent = httpRequest({
      agent: this.#agent,
      hostname,
      port,
      method,
      path: target,
      headers: { ...headers, ...(body && { 'content-length': body.length }) },
      signal: left,
    });
    try {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        sent.once('response', resolve).on('error', reject).end(body);
      });
      const type = response.headers['content-type'] ?? '';
      const chunks: Buffer[] = [];
      for await (const chunk of response as AsyncIterable<Buffer>) {
        chunks.push(chunk);
        // It may go on for ever; what it says is other tests' matter.
        if (type.startsWith('text/event-stream')) break;
      }
      return { status: response.statusCode ?? 0, type, text: Buffer.concat(chunks).toString() };
    } catch (error) {
      if (!left.aborted) throw error;
      if (mayWait) return { status: null, type: '', text: '' };
      throw new Error(`no answer within ${HANG_MS / 1000} s`, { cause: error });
    }
  }

  close(): void {
    this.#agent.destroy();
  }
}
