import { del, ended, get, NOBODY, open, post, quiet, ran, thread, waiting, type Scenario } from '../scenario.ts';

const RUNS = '/threads/{thread}/runs';
const ONE = `${RUNS}/{run}`;
const input = { log: [] };
const go = (assistant_id: string, body: object = {}) => ({ assistant_id, input, ...body });
const done = (assistant_id = 'line', body: object = {}) => [
  thread(),
  post(RUNS, go(assistant_id, body), { save: { run: 'run_id' }, quiet: true }),
  ended(),
];

/** What every graph answers to `wait`. */
const RESULTS: readonly [name: string, assistant: string, body: object][] = [
  ['line', 'line', {}],
  ['messages', 'chat', { input: { messages: [{ role: 'user', content: 'hi', id: 'm1' }] } }],
  ['a whole message', 'canned', { input: { messages: 'hi' } }],
  ['a question', 'asking', {}],
  ['two questions', 'twice', {}],
  ['a subgraph', 'parent', {}],
  ['a question of a subgraph', 'parent', { config: { configurable: { ask: true } } }],
  ['a failure', 'failing', {}],
  ['a failure that is no error', 'failing', { config: { configurable: { odd: true } } }],
  ['a failure of a subgraph', 'parent', { config: { configurable: { fail: true } } }],
  ['too many steps', 'line', { config: { recursion_limit: 2 } }],
  ['send', 'spread', { input: { items: ['x', 'y'] } }],
  ['another graph', 'made', { config: { configurable: { node: 'mine' } } }],
  ['an output schema', 'typed', { input: { question: 'q' } }],
  ['an input that the schema refuses', 'typed', { input: { question: 1 } }],
  ['values without JSON', 'odd', { input: {} }],
  ['no input', 'line', { input: null }],
  ['an empty input', 'line', { input: {} }],
  ['a wrong input', 'line', { input: 'text' }],
  ['an unknown channel', 'line', { input: { nowhere: 1 } }],
  ['a breakpoint', 'line', { interrupt_before: ['b'] }],
  ['a breakpoint after', 'line', { interrupt_after: ['a'] }],
  ['breakpoints everywhere', 'line', { interrupt_before: '*' }],
  ['breakpoints after everything', 'line', { interrupt_after: '*' }],
  ['updates only', 'line', { stream_mode: ['updates'] }],
  ['a mode', 'line', { stream_mode: 'debug' }],
];

const MALFORMED: readonly unknown[] = [
  {},
  '{',
  [],
  { assistant_id: 1 },
  go('line', { config: 'x' }),
  go('line', { config: { tags: 'x' } }),
  go('line', { config: { recursion_limit: 'x' } }),
  go('line', { config: { configurable: 'x' } }),
  go('line', { metadata: 'x' }),
  go('line', { stream_mode: 'everything' }),
  go('line', { stream_mode: ['values', 'everything'] }),
  go('line', { stream_subgraphs: 'x' }),
  go('line', { multitask_strategy: 'fight' }),
  go('line', { if_not_exists: 'x' }),
  go('line', { on_disconnect: 'x' }),
  go('line', { interrupt_before: 1 }),
  go('line', { interrupt_after: 'b' }),
  go('line', { after_seconds: 'x' }),
  go('line', { command: 'x' }),
  go('line', { command: { goto: 1 } }),
  go('line', { checkpoint: 'x' }),
];

export const RUN_SCENARIOS: readonly Scenario[] = [
  ...RESULTS.map(([name, assistant, body]): Scenario => ({
    name: `wait: ${name}`,
    steps: [thread(), post(`${RUNS}/wait`, go(assistant, body)), get('/threads/{thread}'), get(RUNS)],
  })),
  {
    name: 'runs: create',
    steps: [
      thread(),
      post(RUNS, go('line', { multitask_strategy: 'enqueue' }), { save: { run: 'run_id' } }),
      ended(),
      get(ONE),
      get(`${ONE}/join`),
      get('/threads/{thread}'),
    ],
  },
  {
    name: 'runs: create with everything',
    steps: [
      thread({ metadata: { of: 'thread' } }),
      post(
        RUNS,
        go('line', {
          config: { tags: ['t'], recursion_limit: 9, configurable: { k: 1 } },
          context: { c: 1 },
          metadata: { of: 'run' },
          stream_mode: ['values', 'updates'],
          stream_subgraphs: true,
          stream_resumable: true,
          interrupt_before: ['c'],
          interrupt_after: ['nothing'],
          multitask_strategy: 'reject',
          on_disconnect: 'continue',
        }),
        { save: { run: 'run_id' } },
      ),
      ended(),
      get(ONE),
      get('/threads/{thread}'),
      get('/threads/{thread}/state'),
    ],
  },
  {
    name: 'runs: malformed',
    steps: [thread(), ...['', '/wait', '/stream'].flatMap((way) => MALFORMED.map((body) => post(RUNS + way, body)))],
  },
  {
    name: 'runs: without thread or assistant',
    steps: [
      thread(),
      ...['', '/wait', '/stream'].flatMap((way) => [
        post(`/threads/${NOBODY}/runs${way}`, go('line')),
        post(`/threads/x/runs${way}`, go('line')),
        post(RUNS + way, go('no-such-graph')),
        post(RUNS + way, go(NOBODY)),
      ]),
      get('/threads/{thread}'),
    ],
  },
  {
    name: 'runs: on a thread that is made for it',
    steps: [
      post('/threads/33333333-3333-4333-8333-333333333333/runs/wait', go('line', { if_not_exists: 'create' })),
      get('/threads/33333333-3333-4333-8333-333333333333'),
      post('/threads/33333333-3333-4333-8333-333333333333/runs/wait', go('line', { if_not_exists: 'reject' })),
    ],
  },
  {
    name: 'runs: get',
    steps: [
      ...done('line', { metadata: { m: 1 } }),
      get(ONE),
      get(`${RUNS}/${NOBODY}`),
      get(`${RUNS}/x`),
      get(`/threads/${NOBODY}/runs/{run}`),
      thread(),
      get(ONE),
    ],
  },
  { name: 'runs: get one that failed', steps: [...done('failing'), get(ONE), get(`${ONE}/join`)] },
  { name: 'runs: get one that asks', steps: [...done('asking'), get(ONE), get(`${ONE}/join`)] },
  { name: 'runs: get one that runs', steps: [...waiting(), get(ONE), get(RUNS), open(), ended()] },
  {
    name: 'runs: list',
    steps: [
      thread(),
      ran('line', { metadata: { n: 1 } }),
      ran('failing', { metadata: { n: 2 } }),
      get(`${RUNS}?status=error`),
      get(`${RUNS}?status=success&limit=1`),
      get(`${RUNS}?status=pending`),
      get(`/threads/${NOBODY}/runs`),
      get('/threads/x/runs'),
    ],
  },
  { name: 'runs: list, order', steps: [thread(), ran('line'), ran('asking'), get(RUNS)] },
  {
    name: 'runs: list, pages',
    steps: [thread(), ran('line'), ran('line'), ran('line'), get(`${RUNS}?limit=1&offset=1`)],
  },
  { name: 'runs: list, malformed', steps: [thread(), get(`${RUNS}?limit=x`), get(`${RUNS}?offset=x`)] },
  {
    name: 'runs: list, odd',
    steps: [thread(), get(`${RUNS}?limit=0`), get(`${RUNS}?offset=-1`), get(`${RUNS}?status=asleep`)],
  },
  {
    name: 'runs: delete',
    steps: [
      ...done(),
      del(ONE),
      get(ONE),
      get(RUNS),
      del(ONE),
      del(`${RUNS}/${NOBODY}`),
      del(`${RUNS}/x`),
      del(`/threads/${NOBODY}/runs/{run}`),
    ],
  },
  { name: 'runs: delete leaves the state', steps: [...done(), quiet(del(ONE)), get('/threads/{thread}/state')] },
  { name: 'runs: delete one that runs', steps: [...waiting(), del(ONE), open()] },
  {
    name: 'runs: a foreign one',
    steps: [...done(), thread(), get(ONE), del(ONE), get(`${ONE}/join`), post(`${ONE}/cancel`)],
  },
  {
    name: 'runs: two on one thread',
    steps: [
      thread(),
      ran('line'),
      post(`${RUNS}/wait`, go('line', { input: { log: ['more'] } })),
      get('/threads/{thread}/history'),
    ],
  },
  {
    name: 'runs: another graph on the thread',
    steps: [
      thread(),
      ran('line'),
      post(`${RUNS}/wait`, go('asking')),
      get('/threads/{thread}'),
      get('/threads/{thread}/state'),
    ],
  },
  {
    name: 'runs: by an assistant of its own',
    steps: [
      thread({ metadata: { a: 'thread', b: 'thread' } }),
      quiet(
        post(
          '/assistants',
          {
            graph_id: 'mirror',
            config: {
              tags: ['assistant'],
              recursion_limit: 11,
              configurable: { x: 'assistant', y: 'assistant', z: 'assistant' },
            },
            context: { p: 'assistant', q: 'assistant' },
            metadata: { a: 'assistant', c: 'assistant', d: 'assistant' },
          },
          { save: { assistant: 'assistant_id' } },
        ),
      ),
      post(`${RUNS}/wait`, {
        assistant_id: '{assistant}',
        input: {},
        config: { configurable: { y: 'first', z: 'first' } },
      }),
      post(`${RUNS}/wait`, {
        assistant_id: '{assistant}',
        input: {},
        config: { configurable: { z: 'second' } },
        context: { q: 'run' },
        metadata: { d: 'run', e: 'run' },
      }),
      get('/threads/{thread}'),
      get('/threads/{thread}/history'),
      get(RUNS),
    ],
  },
  {
    name: 'runs: configured by headers',
    steps: [
      thread(),
      post(
        `${RUNS}/wait`,
        { assistant_id: 'mirror', input: {} },
        {
          headers: { 'x-tenant': 'acme', 'x-api-key': 'secret', 'x-service-key': 'secret', 'x-tenant-id': 'hidden' },
        },
      ),
      get('/threads/{thread}'),
    ],
  },
  {
    name: 'runs: tags and limits',
    steps: [
      thread(),
      post(`${RUNS}/wait`, { assistant_id: 'mirror', input: {}, config: { tags: ['one', 'two'], recursion_limit: 5 } }),
      post(`${RUNS}/wait`, { assistant_id: 'mirror', input: {}, config: { metadata: { in: 'config' } } }),
    ],
  },
  {
    name: 'runs: later',
    steps: [
      thread(),
      post(RUNS, go('line', { after_seconds: 3600 }), { save: { run: 'run_id' } }),
      get(ONE),
      get('/threads/{thread}'),
      post(`${ONE}/cancel?wait=1`),
      get(ONE),
      get('/threads/{thread}'),
    ],
  },
];

const asked = (assistant = 'asking', body: object = {}) => [thread(), ran(assistant, body)];
const answered = (name: string, command: object, extra: object = {}): Scenario => ({
  name: `command: ${name}`,
  steps: [
    ...asked(),
    post(`${RUNS}/stream`, { assistant_id: 'asking', command, stream_mode: ['values', 'updates'], ...extra }),
    get('/threads/{thread}'),
    get('/threads/{thread}/state'),
  ],
});

const BESIDE = {
  resume: { resume: 'yes' },
  update: { update: { log: ['x'] } },
  goto: { goto: 'elsewhere' },
  nothing: {},
};

export const COMMANDS: readonly Scenario[] = [
  answered('resume', { resume: 'yes' }),
  answered('resume with an object', { resume: { ok: true } }),
  answered('resume with false', { resume: false }),
  answered('resume with an empty text', { resume: '' }),
  answered('resume with zero', { resume: 0 }),
  answered('resume with a list', { resume: [1, 2] }),
  answered('goto', { goto: 'elsewhere' }),
  answered('goto a list', { goto: ['elsewhere'] }),
  answered('goto by send', { goto: { node: 'elsewhere', input: { note: 'sent' } } }),
  answered('goto by sends', {
    goto: [
      { node: 'elsewhere', input: { note: 'one' } },
      { node: 'elsewhere', input: { note: 'two' } },
    ],
  }),
  answered('goto nowhere', { goto: 'nowhere' }),
  answered('goto the end', { goto: '__end__' }),
  answered('update', { update: { log: ['updated'] } }),
  answered('update by pairs', {
    update: [
      ['log', ['one']],
      ['log', ['two']],
    ],
  }),
  answered('update and goto', { update: { log: ['updated'] }, goto: 'elsewhere' }),
  answered('update and resume', { update: { log: ['updated'] }, resume: 'yes' }),
  answered('resume and goto', { resume: 'yes', goto: 'elsewhere' }),
  ...(['resume', 'update', 'goto', 'nothing'] as const).map((what): Scenario => ({
    name: `command: ${what} beside an input`,
    steps: [
      ...asked(),
      post(`${RUNS}/wait`, go('asking', { input: { log: ['beside'] }, command: BESIDE[what] })),
      get('/threads/{thread}/state'),
    ],
  })),
  {
    name: 'command: an input instead of an answer',
    steps: [...asked(), post(`${RUNS}/wait`, go('asking', { input: { log: ['fresh'] } })), get('/threads/{thread}')],
  },
  {
    name: 'command: nothing instead of an answer',
    steps: [...asked(), post(`${RUNS}/wait`, go('asking', { input: null })), get('/threads/{thread}')],
  },
  {
    name: 'command: resume where nobody asks',
    steps: [thread(), ran('line'), post(`${RUNS}/wait`, { assistant_id: 'line', command: { resume: 'x' } })],
  },
  {
    name: 'command: resume of two by their ids',
    steps: [
      ...asked('twice'),
      quiet(
        get('/threads/{thread}/state', { save: { one: 'tasks/0/interrupts/0/id', two: 'tasks/1/interrupts/0/id' } }),
      ),
      post(`${RUNS}/wait`, { assistant_id: 'twice', command: { resume: { '{one}': 'L', '{two}': 'R' } } }),
      get('/threads/{thread}'),
      post(`${RUNS}/wait`, { assistant_id: 'twice', command: { resume: 'F' } }),
      get('/threads/{thread}'),
      get('/threads/{thread}/state'),
      post(`${RUNS}/wait`, { assistant_id: 'twice', command: { resume: 'S' } }),
      get('/threads/{thread}'),
    ],
  },
  {
    name: 'command: resume of one of two',
    steps: [
      ...asked('twice'),
      quiet(get('/threads/{thread}/state', { save: { one: 'tasks/0/interrupts/0/id' } })),
      post(`${RUNS}/wait`, { assistant_id: 'twice', command: { resume: { '{one}': 'L' } } }),
      get('/threads/{thread}/state'),
    ],
  },
  {
    name: 'command: resume of a subgraph',
    steps: [
      ...asked('parent', { config: { configurable: { ask: true } } }),
      post(`${RUNS}/stream`, {
        assistant_id: 'parent',
        command: { resume: 'deep answer' },
        config: { configurable: { ask: true } },
        stream_mode: ['values', 'updates', 'custom'],
        stream_subgraphs: true,
      }),
      get('/threads/{thread}/state?subgraphs=true'),
    ],
  },
  {
    name: 'command: on after a breakpoint',
    steps: [
      ...asked('line', { interrupt_before: ['b'] }),
      post(`${RUNS}/stream`, go('line', { input: null, interrupt_after: ['b'], stream_mode: ['values', 'updates'] })),
      get('/threads/{thread}'),
      post(`${RUNS}/wait`, go('line', { input: null })),
      get('/threads/{thread}/history'),
    ],
  },
  {
    name: 'command: on after a failure',
    steps: [
      ...asked('parent', { config: { configurable: { fail: true } } }),
      post(`${RUNS}/wait`, go('parent', { input: null, config: { configurable: { fail: false } } })),
      get('/threads/{thread}'),
    ],
  },
  {
    name: 'fork: a run from a checkpoint',
    steps: [
      thread(),
      ran('line'),
      quiet(get('/threads/{thread}/history', { save: { past: '2/checkpoint/checkpoint_id' } })),
      post(`${RUNS}/stream`, go('line', { input: null, checkpoint_id: '{past}', stream_mode: ['values', 'updates'] })),
      get('/threads/{thread}/history'),
      get('/threads/{thread}'),
    ],
  },
  {
    name: 'fork: a run from a checkpoint, by object and with input',
    steps: [
      thread(),
      ran('line'),
      quiet(get('/threads/{thread}/history', { save: { past: '2/checkpoint/checkpoint_id' } })),
      post(`${RUNS}/wait`, go('line', { input: { log: ['new'] }, checkpoint: { checkpoint_id: '{past}' } })),
      get('/threads/{thread}/state'),
      get('/threads/{thread}'),
    ],
  },
  {
    name: 'fork: from a checkpoint that is not there',
    steps: [thread(), ran('line'), post(`${RUNS}/wait`, go('line', { input: null, checkpoint_id: NOBODY }))],
  },
  {
    name: 'fork: of an edit at a checkpoint',
    steps: [
      ...asked(),
      quiet(get('/threads/{thread}/state', { save: { past: 'checkpoint/checkpoint_id' } })),
      quiet(post(`${RUNS}/wait`, { assistant_id: 'asking', command: { resume: 'first' } })),
      post(`${RUNS}/wait`, { assistant_id: 'asking', command: { resume: 'second' }, checkpoint_id: '{past}' }),
      get('/threads/{thread}/state'),
    ],
  },
];
