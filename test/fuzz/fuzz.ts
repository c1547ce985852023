import { Client } from '@langchain/langgraph-sdk';
import { operationsOf } from '../api/fixtures/operations.ts';
import { Random } from '../random.ts';
import { oddRequest, type FuzzRequest } from './request.ts';
import { Sender, type Reply } from './send.ts';

export interface FuzzOptions {
  url: string;
  /** Sent with every request. */
  headers: Record<string, string>;
  seed: number;
  requests: number;
}

export interface FuzzResult {
  /** What went wrong, each with the request that it went wrong with. */
  faults: string[];
  /** How many answers had each status; `left` for those that nobody waited for. */
  statuses: Record<string, number>;
}

const AT_ONCE = 4;
/** New things are made so often: requests change them, and in time there is too much of everything. */
const FRESH_EVERY = 60;
const DESTROYS = /^DELETE |\/prune$/;
const MAX_FAULTS = 20;
const STACK = /\n\s+at .+:\d+:\d+/;

/** Sends malformed requests of every operation that the server's OpenAPI document has. */
export async function fuzz({ url, headers, seed, requests }: FuzzOptions): Promise<FuzzResult> {
  const random = new Random(seed);
  const operations = await operationsOf(url, headers);
  const sender = new Sender(url);
  const result: FuzzResult = { faults: [], statuses: {} };
  let known: Record<string, unknown> = await makeThings(url, headers);
  let outlived = known;
  try {
    for (let sent = 0; sent < requests && result.faults.length < MAX_FAULTS; sent += AT_ONCE) {
      if (sent % FRESH_EVERY === 0) [known, outlived] = [await makeThings(url, headers), known];
      const batch = Array.from({ length: AT_ONCE }, (_, index) => {
        const operation = operations[(sent + index) % operations.length];
        if (!operation) throw new Error('the server describes no operation');
        const request = oddRequest(operation, random, DESTROYS.test(operation.name) ? outlived : known);
        return { ...request, headers: { ...headers, ...request.headers } };
      });
      await Promise.all(batch.map((request) => attempt(sender, request, result)));
    }
  } finally {
    sender.close();
  }
  return result;
}

async function attempt(sender: Sender, request: FuzzRequest, { faults, statuses }: FuzzResult): Promise<void> {
  let fault: string | null;
  try {
    const reply = await sender.send(request);
    const key = String(reply.status ?? 'left');
    statuses[key] = (statuses[key] ?? 0) + 1;
    fault = faultOf(request, reply);
  } catch (error) {
    fault = String(error);
  }
  if (fault !== null) faults.push(`${fault}\n  ${written(request)}`);
}

function faultOf({ method }: FuzzRequest, { status, type, text }: Reply): string | null {
  if (status === null) return null;
  if (status >= 500) return `${status} ${text.slice(0, 200)}`;
  if (STACK.test(text) && !type.startsWith('text/html')) return `${status} shows a stack: ${text.slice(0, 300)}`;
  if (status >= 400 && text === '' && method !== 'HEAD') return `${status} without a word`;
  if (status === 200 && type.includes('json') && method !== 'HEAD') {
    try {
      JSON.parse(text);
    } catch {
      return `200 with what is no JSON: ${text.slice(0, 200)}`;
    }
  }
  return null;
}

function written({ method, target, headers, body }: FuzzRequest): string {
  const text = body?.toString() ?? '';
  const cut = text.length > 1000 ? `${text.slice(0, 1000)}… (${text.length} characters)` : text;
  return `${method} ${target.slice(0, 500)} ${JSON.stringify(headers).slice(0, 300)} ${cut}`;
}

/** What requests are about: each name as paths and bodies have it. */
async function makeThings(url: string, headers: Record<string, string>): Promise<Record<string, unknown>> {
  const client = new Client({ apiUrl: url, apiKey: null, defaultHeaders: headers });
  const { thread_id } = await client.threads.create({ graphId: 'line' });
  await client.runs.wait(thread_id, 'line', { input: { log: [] } });
  const [run] = await client.runs.list(thread_id);
  const { checkpoint } = await client.threads.getState(thread_id);
  const { assistant_id } = await client.assistants.create({ graphId: 'line' });
  const namespace = ['people', thread_id];
  await client.store.putItem(namespace, 'key', { a: 1 });
  return {
    thread_id,
    run_id: run?.run_id,
    assistant_id,
    graph_id: 'line',
    checkpoint_id: checkpoint?.checkpoint_id,
    checkpoint,
    namespace,
    key: 'key',
    thread_ids: [thread_id],
    run_ids: [run?.run_id],
  };
}
