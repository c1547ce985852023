/** A sequence of exchanges that both servers are put through. `{name}` in a path or a body stands for what was saved under it. */
export interface Scenario {
  name: string;
  steps: readonly Step[];
  /** Not while others run: it changes what all see, or the reference server would mix it up with them. */
  alone?: boolean;
}

export interface Request {
  kind: 'request';
  method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  path: string;
  /** A string goes as it is, everything else as JSON. */
  body?: unknown;
  headers?: Record<string, string>;
  /** Variable -> place in the body (`0/run_id`; a stream's body is its list of events), or `header:name` for an id there. */
  save?: Record<string, string>;
  /** Prepares the scene: what it answers is another row's matter. */
  quiet?: boolean;
  /** The answer stays open: it is read up to the end of that many runs. */
  ends?: number;
}

/** A WebSocket of the protocol of threads: commands one after the other, and events up to the end of that many runs. */
export interface Socket {
  kind: 'socket';
  path: string;
  /** A string goes as it is. */
  messages: readonly unknown[];
  ends: number;
}

export type Step =
  | Request
  | Socket
  /** Begins a request and goes on without its answer. */
  | { kind: 'begin'; as: string; request: Request }
  /** Waits for the answer of a request that has begun. */
  | { kind: 'finish'; as: string }
  /** Breaks the connection of a request that has begun. */
  | { kind: 'leave'; as: string }
  /** Waits until a node has come to the gate. */
  | { kind: 'reach'; gate: string }
  | { kind: 'open'; gate: string }
  /** Waits until a run has ended, or is gone. */
  | { kind: 'ended'; run: string };

type Extra = Pick<Request, 'headers' | 'save' | 'quiet' | 'ends'>;

const request =
  (method: Request['method']) =>
  (path: string, body?: unknown, extra: Extra = {}): Request => ({
    kind: 'request',
    method,
    path,
    ...(body !== undefined && { body }),
    ...extra,
  });

export const post = request('POST');
export const patch = request('PATCH');
export const put = request('PUT');
export const del = request('DELETE');
export const get = (path: string, extra: Extra = {}): Request => request('GET')(path, undefined, extra);

export const socket = (path: string, messages: readonly unknown[], ends: number): Socket => ({
  kind: 'socket',
  path,
  messages,
  ends,
});

export const quiet = (step: Request): Request => ({ ...step, quiet: true });
export const begin = (as: string, started: Request): Step => ({ kind: 'begin', as, request: started });
export const finish = (as: string): Step => ({ kind: 'finish', as });
export const leave = (as: string): Step => ({ kind: 'leave', as });
export const reach = (gate = 'gate'): Step => ({ kind: 'reach', gate });
export const open = (gate = 'gate'): Step => ({ kind: 'open', gate });
export const ended = (run = 'run'): Step => ({ kind: 'ended', run });

/** Ids that no server has. */
export const NOBODY = '00000000-0000-4000-8000-000000000000';

/** A thread, `{thread}`. */
export const thread = (body: object = {}): Request =>
  post('/threads', body, { save: { thread: 'thread_id' }, quiet: true });

/** A run on the thread to its end. */
export const ran = (assistant_id: string, body: object = {}): Request =>
  quiet(post('/threads/{thread}/runs/wait', { assistant_id, input: { log: [] }, ...body }));

/** A run, `{run}`, of the line that waits at its gate. */
export const waiting = (body: object = {}): Step[] => [
  thread(),
  post(
    '/threads/{thread}/runs',
    { assistant_id: 'line', input: { log: [] }, config: { configurable: { gate: '{gate}' } }, ...body },
    { save: { run: 'run_id' }, quiet: true },
  ),
  reach(),
];
