import { ended, get, NOBODY, post, type Scenario } from '../scenario.ts';

const go = (assistant_id: string, body: object = {}) => ({ assistant_id, input: { log: [] }, ...body });
const hello = { messages: [{ role: 'user', content: 'hi', id: 'm1' }] };
const BAD: readonly unknown[] = [
  {},
  '{',
  [],
  go('line', { stream_mode: 'everything' }),
  go('line', { config: 1 }),
  go('no-such-graph'),
  go(NOBODY),
];

/** The reference server takes the saver off the one copy of a graph that it has: nothing else runs on it meanwhile. */
export const STATELESS: readonly Scenario[] = [
  { name: 'stateless: wait', alone: true, steps: [post('/runs/wait', go('line'))] },
  { name: 'stateless: wait for messages', alone: true, steps: [post('/runs/wait', go('chat', { input: hello }))] },
  { name: 'stateless: wait for a failure', alone: true, steps: [post('/runs/wait', go('failing'))] },
  { name: 'stateless: wait for a question', alone: true, steps: [post('/runs/wait', go('asking'))] },
  {
    name: 'stateless: stream',
    alone: true,
    steps: [post('/runs/stream', go('line', { stream_mode: ['values', 'updates'] }))],
  },
  {
    name: 'stateless: stream tokens',
    alone: true,
    steps: [post('/runs/stream', go('chat', { input: hello, stream_mode: ['messages-tuple'] }))],
  },
  {
    name: 'stateless: stream a failure',
    alone: true,
    steps: [post('/runs/stream', go('failing', { stream_mode: ['updates'] }))],
  },
  {
    name: 'stateless: stream a subgraph',
    alone: true,
    steps: [post('/runs/stream', go('parent', { stream_subgraphs: true, stream_mode: ['updates', 'custom'] }))],
  },
  {
    name: 'stateless: create',
    alone: true,
    steps: [
      post('/runs', go('line', { metadata: { m: 1 } }), { save: { run: 'run_id', thread: 'thread_id' } }),
      ended(),
      get('/threads/{thread}'),
      get('/threads/{thread}/runs/{run}'),
    ],
  },
  {
    name: 'stateless: kept',
    alone: true,
    steps: [
      post('/runs', go('line', { on_completion: 'keep' }), { save: { run: 'run_id', thread: 'thread_id' } }),
      ended(),
      get('/threads/{thread}'),
      get('/threads/{thread}/runs/{run}'),
      get('/threads/{thread}/state'),
    ],
  },
  {
    name: 'stateless: batch',
    alone: true,
    steps: [
      post('/runs/batch', [go('line', { on_completion: 'keep' }), go('failing', { on_completion: 'keep' })], {
        save: { thread: '0/thread_id', run: '0/run_id' },
      }),
      ended(),
      get('/threads/{thread}'),
      post('/runs/batch', []),
      post('/runs/batch', {}),
      post('/runs/batch', [{}]),
      post('/runs/batch', [go('line'), go('no-such-graph')]),
      post('/runs/batch', '['),
    ],
  },
  {
    name: 'stateless: malformed',
    alone: true,
    steps: ['/runs', '/runs/wait', '/runs/stream'].flatMap((path) => BAD.map((body) => post(path, body))),
  },
];
