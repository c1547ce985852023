import { del, get, post, put, type Scenario } from '../scenario.ts';

const origin = { headers: { origin: 'https://studio.example' } };

export const META: readonly Scenario[] = [
  { name: 'meta: ok', steps: [get('/ok'), get('/ok?check_db=1')] },
  { name: 'meta: info', steps: [get('/info')] },
  {
    name: 'meta: nothing there',
    steps: [get('/nowhere'), post('/nowhere', {}), get('/threads'), put('/threads', {}), del('/ok')],
  },
  {
    name: 'meta: another origin',
    steps: [
      get('/ok', origin),
      post('/threads/search', { metadata: { tag: '{tag}' } }, origin),
      get('/nowhere', origin),
    ],
  },
];

const item = { namespace: ['{tag}', 'notes'], key: 'k', value: { text: 'hello', n: 1 } };

export const STORE: readonly Scenario[] = [
  {
    name: 'store: items',
    steps: [
      put('/store/items', item),
      get('/store/items?namespace={tag}.notes&key=k'),
      put('/store/items', { ...item, value: { text: 'changed' } }),
      get('/store/items?namespace={tag}.notes&key=k'),
      get('/store/items?namespace={tag}.notes&key=other'),
      del('/store/items', { namespace: item.namespace, key: 'k' }),
      get('/store/items?namespace={tag}.notes&key=k'),
      del('/store/items', { namespace: item.namespace, key: 'k' }),
    ],
  },
  {
    name: 'store: search',
    steps: [
      put('/store/items', item),
      put('/store/items', { ...item, key: 'l', value: { text: 'other', n: 2 } }),
      put('/store/items', { ...item, namespace: ['{tag}', 'deep', 'er'], key: 'm' }),
      post('/store/items/search', { namespace_prefix: ['{tag}', 'notes'] }),
      post('/store/items/search', { namespace_prefix: ['{tag}', 'notes'], filter: { n: 2 } }),
      post('/store/items/search', { namespace_prefix: ['{tag}', 'notes'], limit: 1 }),
      post('/store/items/search', { namespace_prefix: ['{tag}', 'notes'], limit: 1, offset: 1 }),
      post('/store/items/search', { namespace_prefix: ['{tag}', 'nobody'] }),
      post('/store/items/search', {}),
      post('/store/items/search', { namespace_prefix: 'x' }),
    ],
  },
  {
    name: 'store: filters',
    steps: [
      put('/store/items', item),
      put('/store/items', { ...item, key: 'l', value: { text: 'other', n: 2 } }),
      ...[{ text: 'hello' }, { n: { $eq: 2 } }, { n: { $ne: 2 } }, { text: 'hello', n: 2 }, { nowhere: 1 }, {}].map(
        (filter) => post('/store/items/search', { namespace_prefix: ['{tag}'], filter, limit: 1 }),
      ),
    ],
  },
  {
    name: 'store: items that end by themselves',
    steps: [put('/store/items', { ...item, ttl: 60 }), get('/store/items?namespace={tag}.notes&key=k')],
  },
  {
    name: 'store: namespaces',
    steps: [
      put('/store/items', item),
      put('/store/items', { ...item, namespace: ['{tag}', 'deep', 'er'] }),
      post('/store/namespaces', { prefix: ['{tag}'] }),
      post('/store/namespaces', { prefix: ['{tag}'], max_depth: 2 }),
      post('/store/namespaces', { prefix: ['{tag}'], suffix: ['er'] }),
      post('/store/namespaces', { prefix: ['{tag}'], limit: 1 }),
      post('/store/namespaces', { prefix: 'x' }),
    ],
  },
  {
    name: 'store: malformed',
    steps: [
      put('/store/items', {}),
      put('/store/items', { ...item, namespace: [] }),
      put('/store/items', { ...item, namespace: [''] }),
      put('/store/items', { ...item, namespace: ['a.b'] }),
      put('/store/items', { ...item, value: 'x' }),
      put('/store/items', { ...item, key: 1 }),
      put('/store/items', '{'),
      get('/store/items'),
      del('/store/items', {}),
      post('/store/items/search', '{'),
      post('/store/items/search', { namespace_prefix: ['{tag}'], limit: 'x' }),
      post('/store/items/search', { namespace_prefix: ['{tag}'], filter: 'x' }),
      post('/store/namespaces', '{'),
      post('/store/namespaces', { max_depth: 'x' }),
    ],
  },
];
