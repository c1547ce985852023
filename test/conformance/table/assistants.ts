import { del, get, NOBODY, patch, post, quiet, type Request, type Scenario } from '../scenario.ts';

const ONE = '/assistants/{assistant}';
const MISSING = [NOBODY, 'no-such-graph', 'ffffffff', '%20'];

const made = (body: object = {}): Request =>
  quiet(post('/assistants', { graph_id: 'line', ...body }, { save: { assistant: 'assistant_id' } }));
/** Three whose metadata only they have. */
const three = ['one', 'two', 'three'].map((name, index) =>
  made({ name: `{tag} ${name}`, graph_id: index === 2 ? 'chat' : 'line', metadata: { tag: '{tag}', n: index } }),
);
const mine = { metadata: { tag: '{tag}' } };
/** Bodies that no search takes. */
const BAD_PAGES = [{ limit: 0 }, { limit: 1001 }, { limit: 'x' }, { limit: 1.5 }, { offset: -1 }, { metadata: 'x' }];

export const ASSISTANTS: readonly Scenario[] = [
  {
    name: 'assistants: create',
    steps: [
      post('/assistants', { graph_id: 'line' }),
      post('/assistants', {
        assistant_id: '11111111-1111-4111-8111-111111111111',
        graph_id: 'mirror',
        name: 'of its own',
        description: 'with everything',
        config: { tags: ['t'], recursion_limit: 7, configurable: { k: 1 } },
        context: { tone: 'dry' },
        metadata: { deep: { er: [1] } },
      }),
      post('/assistants', { assistant_id: '11111111-1111-4111-8111-111111111111', graph_id: 'line' }),
      post('/assistants', {
        assistant_id: '11111111-1111-4111-8111-111111111111',
        graph_id: 'line',
        if_exists: 'do_nothing',
      }),
      post('/assistants', {
        assistant_id: '11111111-1111-4111-8111-111111111111',
        graph_id: 'line',
        if_exists: 'raise',
      }),
      post('/assistants', { graph_id: 'line', unknown_field: 1 }),
      post('/assistants', '{"graph_id":"line"}', { headers: { 'content-type': 'text/plain' } }),
    ],
  },
  {
    name: 'assistants: create, malformed',
    steps: [
      post('/assistants', {}),
      post('/assistants', '{"graph_id":'),
      post('/assistants', []),
      post('/assistants', '""'),
      post('/assistants', { graph_id: 1 }),
      post('/assistants', { graph_id: 'line', assistant_id: 'x' }),
      post('/assistants', { graph_id: 'line', metadata: 'x' }),
      post('/assistants', { graph_id: 'line', metadata: [] }),
      post('/assistants', { graph_id: 'line', config: 'x' }),
      post('/assistants', { graph_id: 'line', config: { tags: 'x' } }),
      post('/assistants', { graph_id: 'line', config: { recursion_limit: 1.5 } }),
      post('/assistants', { graph_id: 'line', name: 1 }),
      post('/assistants', { graph_id: 'line', if_exists: 'maybe' }),
    ],
  },
  { name: 'assistants: create, of no graph', steps: [post('/assistants', { graph_id: 'no-such-graph' })] },
  {
    name: 'assistants: search',
    steps: [
      ...three,
      post('/assistants/search', mine),
      post('/assistants/search', { ...mine, graph_id: 'chat' }),
      post('/assistants/search', { ...mine, graph_id: 'no-such-graph' }),
      post('/assistants/search', { ...mine, name: 'TWO' }),
      post('/assistants/search', { metadata: { tag: '{tag}', n: 1 } }),
      post('/assistants/search', { metadata: { tag: 'nobody' } }),
      post('/assistants/search', { ...mine, select: ['assistant_id', 'name'] }),
      post('/assistants/search', { metadata: { created_by: 'system' }, graph_id: 'line', limit: 10, offset: 0 }),
    ],
  },
  {
    name: 'assistants: search, sorted',
    steps: [
      ...three,
      ...['name', 'graph_id', 'created_at', 'updated_at', 'assistant_id'].flatMap((sort_by) =>
        ['asc', 'desc'].map((sort_order) => post('/assistants/search', { ...mine, sort_by, sort_order })),
      ),
    ],
  },
  {
    name: 'assistants: search, pages',
    steps: [
      ...three,
      post('/assistants/search', { ...mine, limit: 2 }),
      post('/assistants/search', { ...mine, limit: 2, offset: 2 }),
      post('/assistants/search', { ...mine, limit: 3 }),
      post('/assistants/search', { ...mine, limit: 2, offset: 7 }),
    ],
  },
  {
    name: 'assistants: search, malformed',
    steps: [
      ...BAD_PAGES.map((body) => post('/assistants/search', body)),
      post('/assistants/search', { sort_by: 'age' }),
      post('/assistants/search', { sort_order: 'up' }),
      post('/assistants/search', { select: 'name' }),
      post('/assistants/search', '{'),
    ],
  },
  {
    name: 'assistants: count',
    steps: [
      ...three,
      post('/assistants/count', mine),
      post('/assistants/count', { ...mine, graph_id: 'chat' }),
      post('/assistants/count', { ...mine, name: 't' }),
      post('/assistants/count', { metadata: { tag: 'nobody' } }),
      post('/assistants/count', { metadata: 1 }),
      post('/assistants/count', '{'),
    ],
  },
  {
    name: 'assistants: get',
    steps: [
      made({ name: 'it', description: 'd' }),
      get(ONE),
      get('/assistants/line'),
      ...MISSING.map((id) => get(`/assistants/${id}`)),
    ],
  },
  {
    name: 'assistants: patch',
    steps: [
      made({ metadata: { a: 1, b: { c: 1 } }, config: { tags: ['x'] }, context: { k: 1 } }),
      patch(ONE, { metadata: { b: 2, d: 3 } }),
      patch(ONE, { config: { configurable: { k: 2 } } }),
      patch(ONE, { context: { other: 1 } }),
      patch(ONE, { name: 'new name', description: 'new' }),
      patch(ONE, { graph_id: 'chat' }),
      patch(ONE, {}),
      get(ONE),
      ...MISSING.map((id) => patch(`/assistants/${id}`, { name: 'x' })),
      patch(ONE, { metadata: 'x' }),
      patch(ONE, { config: 1 }),
      patch(ONE, { name: 1 }),
      patch(ONE, '{'),
    ],
  },
  {
    name: 'assistants: delete',
    steps: [
      made(),
      del(ONE),
      get(ONE),
      del(ONE),
      ...MISSING.map((id) => del(`/assistants/${id}`)),
      post('/threads', {}, { save: { thread: 'thread_id' }, quiet: true }),
    ],
  },
  {
    name: 'assistants: delete with threads',
    steps: [
      made(),
      post('/threads', {}, { save: { thread: 'thread_id' }, quiet: true }),
      quiet(post('/threads/{thread}/runs/wait', { assistant_id: '{assistant}', input: { log: [] } })),
      del(`${ONE}?delete_threads=true`),
      get('/threads/{thread}'),
    ],
  },
  {
    name: 'assistants: delete without threads',
    steps: [
      made(),
      post('/threads', {}, { save: { thread: 'thread_id' }, quiet: true }),
      quiet(post('/threads/{thread}/runs/wait', { assistant_id: '{assistant}', input: { log: [] } })),
      del(`${ONE}?delete_threads=false`),
      get('/threads/{thread}'),
      post('/threads/{thread}/runs', { assistant_id: '{assistant}', input: { log: [] } }),
    ],
  },
  {
    name: 'assistants: graph',
    steps: [
      ...['line', 'parent', 'asking', 'spread', 'typed', 'made'].map((id) => get(`/assistants/${id}/graph`)),
      ...['true', 'false', '1'].map((xray) => get(`/assistants/parent/graph?xray=${xray}`)),
      made({ graph_id: 'made', config: { configurable: { node: 'mine' } } }),
      get(`${ONE}/graph`),
      get('/assistants/line/graph?xray=x'),
      ...MISSING.map((id) => get(`/assistants/${id}/graph`)),
    ],
  },
  {
    name: 'assistants: schemas',
    steps: [get('/assistants/typed/schemas'), ...MISSING.map((id) => get(`/assistants/${id}/schemas`))],
  },
  {
    name: 'assistants: subgraphs',
    steps: [
      ...['typed'].flatMap((id) => [
        get(`/assistants/${id}/subgraphs`),
        get(`/assistants/${id}/subgraphs?recurse=true`),
      ]),
      get('/assistants/line/subgraphs/nothing'),
      get('/assistants/line/subgraphs?recurse=maybe'),
      ...MISSING.map((id) => get(`/assistants/${id}/subgraphs`)),
      ...MISSING.map((id) => get(`/assistants/${id}/subgraphs/x`)),
    ],
  },
  {
    name: 'assistants: versions',
    steps: [
      made({ metadata: { v: 1 }, name: 'first' }),
      quiet(patch(ONE, { metadata: { v: 2 }, name: 'second' })),
      quiet(patch(ONE, { metadata: { v: 3 }, graph_id: 'chat' })),
      post(`${ONE}/versions`, {}),
      post(`${ONE}/versions`, { limit: 1 }),
      post(`${ONE}/versions`, { limit: 1, offset: 1 }),
      post(`${ONE}/versions`, { metadata: { v: 2 } }),
      post('/assistants/line/versions', {}),
      post('/assistants/line/versions', '{'),
      post('/assistants/line/latest', '{'),
      ...MISSING.map((id) => post(`/assistants/${id}/versions`, {})),
      ...BAD_PAGES.filter((body) => body.limit !== 1.5).map((body) => post(`${ONE}/versions`, body)),
    ],
  },
  {
    name: 'assistants: latest',
    steps: [
      made({ metadata: { v: 1 }, name: 'first', config: { tags: ['one'] }, context: { c: 1 } }),
      quiet(patch(ONE, { metadata: { v: 2 }, name: 'second', config: { tags: ['two'] } })),
      post(`${ONE}/latest`, { version: 1 }),
      get(ONE),
      patch(ONE, { name: 'third' }),
      post(`${ONE}/latest`, { version: 2 }),
      post(`${ONE}/latest`, { version: 9 }),
      post(`${ONE}/latest`, { version: 'x' }),
      post(`${ONE}/latest`, {}),
      ...MISSING.map((id) => post(`/assistants/${id}/latest`, { version: 1 })),
    ],
  },
];
