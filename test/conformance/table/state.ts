import { ended, get, NOBODY, open, post, quiet, ran, thread, waiting, type Scenario } from '../scenario.ts';

const STATE = '/threads/{thread}/state';
const HISTORY = '/threads/{thread}/history';
const NO_THREADS = [NOBODY, 'x'].map((id) => `/threads/${id}`);

/** The states that a graph comes to, seen through every way to look at one. */
const RESTS: readonly [name: string, assistant: string, body: object][] = [
  ['done', 'line', {}],
  ['with messages', 'chat', { input: { messages: [{ role: 'user', content: 'hi', id: 'm1' }] } }],
  ['with whole messages', 'canned', { input: { messages: [{ type: 'human', content: 'hi', id: 'm1' }] } }],
  ['at a question', 'asking', {}],
  ['at two questions', 'twice', {}],
  ['at a question of a subgraph', 'parent', { config: { configurable: { ask: true } } }],
  ['before a node', 'line', { interrupt_before: ['b'] }],
  ['after a node', 'line', { interrupt_after: ['a'] }],
  ['failed', 'failing', {}],
  ['failed in a subgraph', 'parent', { config: { configurable: { fail: true } } }],
  ['with what JSON has not', 'odd', { input: {} }],
  ['spread', 'spread', { input: { items: ['x', 'y'] } }],
];

export const STATES: readonly Scenario[] = [
  ...RESTS.map(([name, assistant, body]): Scenario => ({
    name: `state: ${name}`,
    steps: [
      thread(),
      ran(assistant, body),
      get(STATE),
      get(`${STATE}?subgraphs=true`),
      get(HISTORY),
      quiet(get(HISTORY, { save: { checkpoint: '0/checkpoint/checkpoint_id', second: '1/checkpoint/checkpoint_id' } })),
      get(`${STATE}/{checkpoint}`),
      get(`${STATE}/{second}`),
      get(`${STATE}/{second}?subgraphs=true`),
      post(`${STATE}/checkpoint`, { checkpoint: { checkpoint_id: '{checkpoint}' } }),
      post(`${STATE}/checkpoint`, { checkpoint: { checkpoint_id: '{second}', checkpoint_ns: '' }, subgraphs: 'true' }),
    ],
  })),
  {
    name: 'state: none yet',
    steps: [thread(), get(STATE), get(`${STATE}?subgraphs=true`), get(HISTORY), post(HISTORY, {})],
  },
  {
    name: 'state: of a graph that has not run',
    steps: [thread({ metadata: { graph_id: 'line' } }), get(STATE), get(HISTORY)],
  },
  {
    name: 'state: while busy',
    steps: [...waiting(), get(STATE), get(HISTORY), post(STATE, { values: { log: ['now'] } }), open(), ended()],
  },
  {
    name: 'state: missing or malformed',
    steps: [
      thread(),
      ran('line'),
      ...NO_THREADS.flatMap((path) => [
        get(`${path}/state`),
        get(`${path}/history`),
        get(`${path}/state/${NOBODY}`),
        post(`${path}/state`, { values: {} }),
        post(`${path}/history`, {}),
        post(`${path}/state/checkpoint`, { checkpoint: {} }),
      ]),
      get(`${STATE}/x`),
      get(`${STATE}?subgraphs=maybe`),
      get(`${HISTORY}?limit=x`),
      get(`${HISTORY}?limit=0`),
      post(HISTORY, { limit: 'x' }),
      post(HISTORY, { metadata: 'x' }),
      post(HISTORY, { checkpoint: 'x' }),
      post(HISTORY, '{'),
      post(`${STATE}/checkpoint`, { checkpoint: 'x' }),
      post(`${STATE}/checkpoint`, '{'),
      post(STATE, { values: 'x' }),
      post(STATE, { values: 1 }),
      post(STATE, { as_node: 1 }),
      post(STATE, { checkpoint: 'x' }),
      post(STATE, '{'),
    ],
  },
  { name: 'state: of a checkpoint that is not there', steps: [thread(), ran('line'), get(`${STATE}/${NOBODY}`)] },
  {
    name: 'state: of a subgraph',
    steps: [
      thread(),
      ran('parent', { config: { configurable: { ask: true } } }),
      quiet(get(STATE, { save: { ns: 'tasks/0/checkpoint/checkpoint_ns' } })),
      post(`${STATE}/checkpoint`, { checkpoint: { checkpoint_ns: '{ns}' } }),
      post(HISTORY, { checkpoint: { checkpoint_ns: '{ns}' } }),
    ],
  },
  {
    name: 'state: history, pages',
    steps: [
      thread(),
      ran('line', { metadata: { turn: 1 } }),
      ran('line', { metadata: { turn: 2 } }),
      get(`${HISTORY}?limit=2`),
      quiet(get(HISTORY, { save: { before: '3/checkpoint/checkpoint_id' } })),
      get(`${HISTORY}?before={before}`),
      get(`${HISTORY}?limit=1&before={before}`),
      post(HISTORY, { limit: 3 }),
      post(HISTORY, { before: '{before}' }),
      post(HISTORY, { metadata: { turn: 1 } }),
      post(HISTORY, { metadata: { source: 'input' } }),
      post(HISTORY, { metadata: { step: 1 } }),
      post(HISTORY, { metadata: { nobody: 1 } }),
    ],
  },
  {
    name: 'state: history before a configuration',
    steps: [
      thread(),
      ran('line'),
      quiet(get(HISTORY, { save: { before: '2/checkpoint/checkpoint_id' } })),
      post(HISTORY, { before: { configurable: { checkpoint_id: '{before}' } } }),
    ],
  },
  {
    name: 'state: update',
    steps: [
      thread(),
      ran('line'),
      post(STATE, { values: { log: ['by hand'] } }),
      get(STATE),
      get('/threads/{thread}'),
      post(STATE, { values: { log: ['as a'] }, as_node: 'a' }),
      get(STATE),
      post('/threads/{thread}/runs/wait', { assistant_id: 'line', input: null }),
      get(HISTORY),
    ],
  },
  {
    name: 'state: update without a run',
    steps: [
      thread({ metadata: { graph_id: 'line' } }),
      post(STATE, { values: { log: ['first'] }, as_node: '__start__' }),
      get(STATE),
      post(STATE, { values: { log: ['second'] }, as_node: 'a' }),
      get(STATE),
      get('/threads/{thread}'),
    ],
  },
  { name: 'state: update without a graph', steps: [thread(), post(STATE, { values: { log: [] } })] },
  {
    name: 'state: update, refused by the graph',
    steps: [thread(), ran('line'), post(STATE, { values: { log: ['x'] }, as_node: 'nowhere' }), get(STATE)],
  },
  {
    name: 'state: update with nothing',
    steps: [thread(), ran('line'), post(STATE, { values: null }), get(STATE), post(STATE, {}), get(STATE)],
  },
  {
    name: 'state: update at a question',
    steps: [
      thread(),
      ran('asking'),
      post(STATE, { values: { log: ['edited'] } }),
      get(STATE),
      get('/threads/{thread}'),
      post('/threads/{thread}/runs/wait', { assistant_id: 'asking', command: { resume: 'still' } }),
    ],
  },
  {
    name: 'state: update to the end',
    steps: [
      thread(),
      ran('line', { interrupt_before: ['b'] }),
      post(STATE, { values: null, as_node: '__end__' }),
      get(STATE),
      get('/threads/{thread}'),
    ],
  },
  {
    name: 'state: fork by hand',
    steps: [
      thread(),
      ran('line'),
      quiet(get(HISTORY, { save: { past: '2/checkpoint/checkpoint_id' } })),
      post(STATE, { values: { log: ['forked'] }, checkpoint_id: '{past}' }),
      get(STATE),
      post('/threads/{thread}/runs/wait', { assistant_id: 'line', input: null }),
      get(HISTORY),
    ],
  },
  {
    name: 'state: fork by hand, by checkpoint',
    steps: [
      thread(),
      ran('line'),
      quiet(get(HISTORY, { save: { past: '2/checkpoint/checkpoint_id' } })),
      post(STATE, { values: { log: ['forked'] }, checkpoint: { checkpoint_id: '{past}' }, as_node: 'a' }),
      get(STATE),
    ],
  },
  {
    name: 'state: copy of a checkpoint',
    steps: [
      thread(),
      ran('line'),
      quiet(get(HISTORY, { save: { past: '2/checkpoint/checkpoint_id' } })),
      post(
        STATE,
        { values: null, as_node: '__copy__', checkpoint_id: '{past}' },
        { save: { copied: 'checkpoint/checkpoint_id' } },
      ),
      get(STATE),
      post('/threads/{thread}/runs/wait', {
        assistant_id: 'line',
        input: null,
        checkpoint: { checkpoint_id: '{copied}' },
      }),
    ],
  },
];
