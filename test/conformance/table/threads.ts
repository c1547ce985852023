import { del, get, NOBODY, patch, post, quiet, ran, thread, waiting, open, ended, type Scenario } from '../scenario.ts';

const ONE = '/threads/{thread}';
const BAD_IDS = ['x', '123', `${NOBODY}0`];
const NO_THREADS = [NOBODY, ...BAD_IDS].map((id) => `/threads/${id}`);
const mine = { metadata: { tag: '{tag}' } };
const three = [1, 2, 3].map((n) => thread({ metadata: { tag: '{tag}', n, deep: { list: [n], name: `n${n}` } } }));

const BAD_SEARCHES = [
  { limit: 0 },
  { limit: 1001 },
  { limit: 'x' },
  { offset: -1 },
  { metadata: 'x' },
  { values: 1 },
  { status: 'asleep' },
  { ids: ['x'] },
  { ids: 'x' },
  { sort_by: 'age' },
  { sort_order: 'up' },
  { select: 'thread_id' },
  '{',
];

export const THREADS: readonly Scenario[] = [
  {
    name: 'threads: create',
    steps: [
      post('/threads', {}),
      post('/threads', { metadata: { a: { b: [1, null] } } }),
      post('/threads', { thread_id: '22222222-2222-4222-8222-222222222222' }),
      post('/threads', { thread_id: '22222222-2222-4222-8222-222222222222' }),
      post('/threads', { thread_id: '22222222-2222-4222-8222-222222222222', if_exists: 'raise' }),
      post('/threads', { thread_id: '22222222-2222-4222-8222-222222222222', if_exists: 'do_nothing' }),
      post('/threads', '{}', { headers: { 'content-type': 'text/plain' } }),
      post('/threads', { supersteps: [] }),
    ],
  },
  {
    name: 'threads: create, malformed',
    steps: [
      post('/threads', '{'),
      post('/threads', []),
      post('/threads', { thread_id: 'x' }),
      post('/threads', { metadata: 'x' }),
      post('/threads', { metadata: [1] }),
      post('/threads', { if_exists: 'maybe' }),
      post('/threads', { supersteps: 'x' }),
      post('/threads', { supersteps: [{ updates: 'x' }] }),
      post('/threads', { supersteps: [{}] }),
    ],
  },
  {
    name: 'threads: create with supersteps',
    steps: [
      post(
        '/threads',
        {
          metadata: { graph_id: 'line' },
          supersteps: [
            { updates: [{ values: { log: ['given'] }, as_node: '__input__' }] },
            { updates: [{ values: { log: ['as a'] }, as_node: 'a' }] },
          ],
        },
        { save: { thread: 'thread_id' } },
      ),
      get(`${ONE}/state`),
      get(`${ONE}/history`),
      post(`${ONE}/runs/wait`, { assistant_id: 'line', input: null }),
    ],
  },
  {
    name: 'threads: create with supersteps, by command',
    steps: [
      post(
        '/threads',
        {
          metadata: { graph_id: 'line' },
          supersteps: [
            { updates: [{ values: { log: ['given'] }, as_node: '__input__' }] },
            { updates: [{ command: { update: { log: ['by command'] } }, as_node: 'a' }] },
          ],
        },
        { save: { thread: 'thread_id' } },
      ),
      get(`${ONE}/state`),
    ],
  },
  {
    name: 'threads: create with supersteps, refused',
    steps: [
      post('/threads', { supersteps: [{ updates: [{ values: { log: [] }, as_node: 'a' }] }] }),
      post('/threads', {
        metadata: { graph_id: 'no-such-graph' },
        supersteps: [{ updates: [{ values: { log: [] }, as_node: 'a' }] }],
      }),
    ],
  },
  {
    name: 'threads: search',
    steps: [
      ...three,
      ran('line'),
      post('/threads/search', mine),
      post('/threads/search', { ...mine, status: 'idle' }),
      post('/threads/search', { ...mine, status: 'busy' }),
      post('/threads/search', { metadata: { tag: '{tag}', n: 2 } }),
      post('/threads/search', { metadata: { tag: '{tag}', deep: { name: 'n3' } } }),
      post('/threads/search', { ids: ['{thread}'] }),
      post('/threads/search', { ids: [NOBODY] }),
      post('/threads/search', { ...mine, select: ['thread_id', 'metadata'] }),
      post('/threads/search', { metadata: { tag: 'nobody' } }),
      post('/threads/search', { metadata: { tag: '{tag}', graph_id: 'line' } }),
    ],
  },
  {
    name: 'threads: search by values',
    steps: [
      thread({ metadata: { tag: '{tag}' } }),
      ran('typed', { input: { question: 'q {tag}' } }),
      post('/threads/search', { ...mine, values: { question: 'q {tag}' } }),
      post('/threads/search', { ...mine, values: { question: 'another' } }),
      post('/threads/count', { ...mine, values: { question: 'q {tag}' } }),
    ],
  },
  {
    name: 'threads: search, sorted',
    steps: [
      ...three,
      ...['thread_id', 'status', 'created_at', 'updated_at'].flatMap((sort_by) =>
        (sort_by === 'status' ? ['asc'] : ['asc', 'desc']).map((sort_order) =>
          post('/threads/search', { ...mine, sort_by, sort_order, select: ['thread_id', 'metadata'] }),
        ),
      ),
    ],
  },
  {
    name: 'threads: search, pages',
    steps: [
      ...three,
      post('/threads/search', { ...mine, limit: 2 }),
      post('/threads/search', { ...mine, limit: 2, offset: 2 }),
      post('/threads/search', { ...mine, limit: 3 }),
      post('/threads/search', { ...mine, limit: 1, offset: 9 }),
    ],
  },
  {
    name: 'threads: search, malformed',
    steps: BAD_SEARCHES.map((body) => post('/threads/search', body)),
  },
  {
    name: 'threads: count',
    steps: [
      ...three,
      post('/threads/count', mine),
      post('/threads/count', { ...mine, status: 'idle' }),
      post('/threads/count', { ...mine, status: 'error' }),
      post('/threads/count', { metadata: { tag: 'nobody' } }),
      post('/threads/count', { status: 'asleep' }),
      post('/threads/count', { metadata: 1 }),
      post('/threads/count', '{'),
    ],
  },
  {
    name: 'threads: get',
    steps: [
      thread({ metadata: { a: 1 } }),
      get(ONE),
      ...NO_THREADS.map((path) => get(path)),
      ...NO_THREADS.map((path) => get(path, { headers: { accept: 'application/json' } })),
    ],
  },
  { name: 'threads: get while busy', steps: [...waiting(), get(ONE), open(), ended(), get(ONE)] },
  {
    name: 'threads: get at a question',
    steps: [thread(), ran('asking'), get(ONE), post('/threads/search', { ids: ['{thread}'], status: 'interrupted' })],
  },
  { name: 'threads: get at two questions', steps: [thread(), ran('twice'), get(ONE)] },
  { name: 'threads: get after a failure', steps: [thread(), ran('failing'), get(ONE)] },
  {
    name: 'threads: patch',
    steps: [
      thread({ metadata: { a: 1, b: { c: 1, d: 1 } } }),
      patch(ONE, { metadata: { b: { c: 2 }, e: 3 } }),
      patch(ONE, { metadata: {} }),
      get(ONE),
      ...NO_THREADS.map((path) => patch(path, { metadata: {} })),
      patch(ONE, { metadata: 'x' }),
      patch(ONE, {}),
      patch(ONE, '{'),
    ],
  },
  {
    name: 'threads: patch while busy',
    steps: [...waiting(), patch(ONE, { metadata: { while: 'busy' } }), open(), ended(), get(ONE)],
  },
  {
    name: 'threads: delete',
    steps: [
      thread(),
      ran('line'),
      del(ONE),
      get(ONE),
      del(ONE),
      get(`${ONE}/state`),
      get(`${ONE}/history`),
      get(`${ONE}/runs`),
      ...NO_THREADS.map((path) => del(path)),
    ],
  },
  { name: 'threads: delete while busy', steps: [...waiting(), del(ONE), open(), get(ONE)] },
  {
    name: 'threads: copy',
    steps: [
      thread({ metadata: { a: 1 } }),
      ran('line'),
      post(`${ONE}/copy`, undefined, { save: { copy: 'thread_id' } }),
      get('/threads/{copy}'),
      get('/threads/{copy}/state'),
      get('/threads/{copy}/history'),
      get('/threads/{copy}/runs'),
      post('/threads/{copy}/runs/wait', { assistant_id: 'line', input: { log: ['again'] } }),
      get(`${ONE}/state`),
      ...NO_THREADS.map((path) => post(`${path}/copy`)),
    ],
  },
  {
    name: 'threads: copy of an empty one',
    steps: [
      thread(),
      post(`${ONE}/copy`, undefined, { save: { copy: 'thread_id' } }),
      get('/threads/{copy}/state'),
      get('/threads/{copy}/history'),
    ],
  },
  {
    name: 'threads: copy at a question',
    steps: [
      thread(),
      ran('asking'),
      post(`${ONE}/copy`, undefined, { save: { copy: 'thread_id' } }),
      get('/threads/{copy}/state'),
      post('/threads/{copy}/runs/wait', { assistant_id: 'asking', command: { resume: 'in the copy' } }),
      quiet(get(`${ONE}/state`)),
      get(`${ONE}/state`),
    ],
  },
];
