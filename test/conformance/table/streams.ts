import { begin, ended, finish, get, open, post, quiet, reach, thread, waiting, type Scenario } from '../scenario.ts';

const RUNS = '/threads/{thread}/runs';
const ONE = `${RUNS}/{run}`;
const input = { log: [] };

const MODES = [
  'values',
  'updates',
  'messages',
  'messages-tuple',
  'custom',
  'debug',
  'tasks',
  'checkpoints',
  'events',
] as const;

const hello = { messages: [{ role: 'user', content: 'hi', id: 'm1' }] };
const SCENES: readonly [name: string, assistant: string, body: object][] = [
  ['plain', 'line', {}],
  ['tokens', 'chat', { input: hello }],
  ['a whole message', 'canned', { input: hello }],
  ['a subgraph unseen', 'parent', {}],
  ['a subgraph', 'parent', { stream_subgraphs: true }],
  ['a question', 'asking', {}],
  ['a question of a subgraph', 'parent', { stream_subgraphs: true, config: { configurable: { ask: true } } }],
  ['a breakpoint', 'line', { interrupt_before: ['b'] }],
  ['a failure', 'failing', {}],
  ['a failure of a subgraph', 'parent', { stream_subgraphs: true, config: { configurable: { fail: true } } }],
  ['send', 'spread', { input: { items: ['x', 'y'] } }],
];

export const STREAMS: readonly Scenario[] = [
  ...SCENES.flatMap(([name, assistant_id, body]) =>
    MODES.map((mode): Scenario => ({
      name: `stream: ${mode}, ${name}`,
      steps: [
        thread(),
        post(`${RUNS}/stream`, { assistant_id, input, stream_mode: [mode], ...body }),
        get('/threads/{thread}'),
      ],
    })),
  ),
  ...MODES.map((mode): Scenario => ({
    name: `stream: ${mode}, cancelled`,
    steps: [
      thread(),
      begin(
        'stream',
        post(
          `${RUNS}/stream`,
          { assistant_id: 'line', input, stream_mode: [mode], config: { configurable: { gate: '{gate}' } } },
          { save: { run: 'header:content-location' } },
        ),
      ),
      reach(),
      quiet(get(RUNS, { save: { run: '0/run_id' } })),
      post(`${ONE}/cancel?wait=1`),
      finish('stream'),
      get(ONE),
    ],
  })),
  {
    name: 'stream: many modes at once',
    steps: [
      thread(),
      post(`${RUNS}/stream`, {
        assistant_id: 'chat',
        input: hello,
        stream_mode: ['values', 'updates', 'messages-tuple', 'custom'],
        stream_resumable: true,
      }),
    ],
  },
  {
    name: 'stream: both kinds of messages',
    steps: [
      thread(),
      post(`${RUNS}/stream`, { assistant_id: 'chat', input: hello, stream_mode: ['messages', 'messages-tuple'] }),
    ],
  },
  { name: 'stream: no mode', steps: [thread(), post(`${RUNS}/stream`, { assistant_id: 'line', input })] },
  {
    name: 'stream: an empty list of modes',
    steps: [thread(), post(`${RUNS}/stream`, { assistant_id: 'line', input, stream_mode: [] })],
  },
  {
    name: 'stream: a mode as text',
    steps: [thread(), post(`${RUNS}/stream`, { assistant_id: 'line', input, stream_mode: 'updates' })],
  },
  {
    name: 'stream: tools',
    steps: [
      thread(),
      post(`${RUNS}/stream`, { assistant_id: 'canned', input: hello, stream_mode: ['tools', 'values'] }),
    ],
  },
  {
    name: 'replay: a finished run',
    steps: [
      thread(),
      post(
        `${RUNS}/stream`,
        { assistant_id: 'line', input, stream_mode: ['values', 'updates'], stream_resumable: true },
        { save: { run: '0/data/run_id' } },
      ),
      ...['-1', '0', '2', '5', '6', '99', 'x'].map((id) => get(`${ONE}/stream`, { headers: { 'last-event-id': id } })),
      get(`/runs/{run}/stream`, { headers: { 'last-event-id': '2' } }),
    ],
  },
  {
    name: 'replay: without a last id',
    steps: [
      thread(),
      post(
        `${RUNS}/stream`,
        { assistant_id: 'line', input, stream_resumable: true },
        { save: { run: '0/data/run_id' } },
      ),
      get(`${ONE}/stream`),
    ],
  },
  {
    name: 'replay: a run that is not resumable',
    steps: [
      thread(),
      post(`${RUNS}/stream`, { assistant_id: 'line', input }, { save: { run: '0/data/run_id' } }),
      get(`${ONE}/stream`, { headers: { 'last-event-id': '-1' } }),
    ],
  },
  {
    name: 'join: the stream of a run that runs',
    steps: [
      ...waiting({ stream_mode: ['values', 'updates'], stream_resumable: true }),
      begin('join', get(`${ONE}/stream`, { headers: { 'last-event-id': '-1' } })),
      begin('late', get(`${ONE}/stream`, { headers: { 'last-event-id': '2' } })),
      open(),
      finish('join'),
      finish('late'),
    ],
  },
  {
    name: 'join: a run that runs',
    steps: [...waiting(), begin('join', get(`${ONE}/join`)), open(), finish('join'), get(`${ONE}/join`)],
  },
  {
    name: 'join: nobody',
    steps: [
      thread(),
      get(`${RUNS}/00000000-0000-4000-8000-000000000000/join`),
      get(`${RUNS}/x/join`),
      get('/threads/00000000-0000-4000-8000-000000000000/runs/00000000-0000-4000-8000-000000000000/join'),
      get(`${RUNS}/x/stream`),
      get(`/runs/x/stream`),
    ],
  },
  {
    name: 'join: the stream of nobody',
    steps: [
      thread(),
      get(`${RUNS}/00000000-0000-4000-8000-000000000000/stream`),
      get('/runs/00000000-0000-4000-8000-000000000000/stream'),
    ],
  },
  {
    name: 'join: a run that was cancelled',
    steps: [...waiting(), quiet(post(`${ONE}/cancel?wait=1`)), ended(), get(`${ONE}/join`)],
  },
];
