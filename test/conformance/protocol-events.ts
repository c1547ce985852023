import { WebSocket } from 'ws';
import type { Json, JsonObject } from '../../src/core/json.ts';
import type { SseEvent } from './player.ts';
import type { Socket } from './scenario.ts';

/** Events of the protocol of threads (v2) as they are compared: without what counts and times them, and named for what they say. */
export function comparable(events: readonly SseEvent[]): { events: SseEvent[]; numbers: Json } {
  const seqs = events.map(({ data }) => Number((data as JsonObject)['seq']));
  const ids = new Set(events.map(({ data }) => (data as JsonObject)['event_id']));
  return {
    events: events.map(({ event, data }) => {
      const { timestamp: _timestamp, ...params } = (data as { params: JsonObject }).params;
      const { event: what, namespace } = {
        ...(params['data'] as { event?: string } | null),
        ...(params as { namespace: string[] }),
      };
      return { event: [event, what ?? '', ...namespace].filter((part) => part !== '').join(' '), data: params };
    }),
    numbers: {
      seq: seqs.every((seq, index) => index === 0 || seq > (seqs[index - 1] ?? 0)) ? 'rising' : seqs,
      event_ids: ids.size === events.length && !ids.has(undefined) ? 'unique' : [...ids].map(String),
    },
  };
}

/** Whether a run of the thread, and not one of its subgraphs, has ended. */
function isEnd({ event, data }: SseEvent): boolean {
  const params = (data as { params?: { namespace: string[]; data: { event?: string } } } | null)?.params;
  if (event !== 'lifecycle' || params?.namespace.length !== 0) return false;
  return ['completed', 'failed', 'interrupted'].includes(params.data.event ?? '');
}

/** Reads a stream that stays open, up to the end of that many runs. */
export async function readToEnds(response: Response, ends: number): Promise<string> {
  let text = '';
  let rest = ends;
  const decoder = new TextDecoder();
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true });
    const blocks = text.split('\n\n').slice(0, -1);
    rest = ends - blocks.filter((block) => isEnd(parseBlock(block))).length;
    if (rest <= 0) return text;
  }
  throw new Error(`the stream ended, and ${rest} runs had not: ${text.slice(-500)}`);
}

function parseBlock(block: string): SseEvent {
  const field = (name: string) =>
    block
      .split('\n')
      .find((line) => line.startsWith(`${name}: `))
      ?.slice(name.length + 2);
  return { event: field('event') ?? '', data: JSON.parse(field('data') ?? 'null') as Json };
}

/** Sends all messages at once, since a subscription is only answered when there is a run; the answers are put in the order of their ids. */
export async function converse(
  address: string,
  { messages, ends }: Socket,
  { fill, signal }: { fill: (text: string) => string; signal: AbortSignal },
): Promise<{ answers: Json[]; events: SseEvent[] }> {
  const socket = new WebSocket(address.replace(/^http/, 'ws'));
  const answers: Json[] = [];
  const events: SseEvent[] = [];
  const send = () => {
    for (const message of messages) socket.send(fill(typeof message === 'string' ? message : JSON.stringify(message)));
  };
  try {
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('the scenario is over')), { once: true });
      socket.on('open', send);
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('the server closed the socket')));
      socket.on('message', (data: Buffer) => {
        const message = JSON.parse(data.toString()) as JsonObject & { type: string; method: string };
        if (message.type === 'event') events.push({ event: message.method, data: message });
        else answers.push(message);
        if (answers.length === messages.length && events.filter(isEnd).length >= ends) resolve();
      });
    });
  } finally {
    socket.removeAllListeners('close');
    socket.terminate();
  }
  return { answers: answers.toSorted((left, right) => idOf(left) - idOf(right)), events };
}

function idOf(answer: Json): number {
  return Number((answer as JsonObject)['id'] ?? -1);
}
