import {
  begin,
  ended,
  finish,
  get,
  leave,
  NOBODY,
  open,
  post,
  quiet,
  reach,
  thread,
  waiting,
  type Scenario,
  type Step,
} from '../scenario.ts';

const RUNS = '/threads/{thread}/runs';
const ONE = `${RUNS}/{run}`;
/** Through no gate: the thread would remember the first run's. */
const next = (multitask_strategy: string) => ({
  assistant_id: 'line',
  input: { log: ['next'] },
  config: { configurable: { gate: '' } },
  multitask_strategy,
});
const WAYS = ['', '/wait', '/stream'];

/** A run whose client leaves its stream. */
const left = (on_disconnect: 'cancel' | 'continue'): Step[] => [
  thread(),
  begin(
    'stream',
    post(`${RUNS}/stream`, {
      assistant_id: 'line',
      input: { log: [] },
      on_disconnect,
      config: { configurable: { gate: '{gate}' } },
    }),
  ),
  reach(),
  quiet(get(RUNS, { save: { run: '0/run_id' } })),
  leave('stream'),
];

export const BUSY: readonly Scenario[] = [
  {
    name: 'multitask: reject',
    steps: [
      ...waiting(),
      ...WAYS.map((way) => post(RUNS + way, next('reject'))),
      get('/threads/{thread}'),
      open(),
      ended(),
      get(RUNS),
    ],
  },
  ...WAYS.slice(1).map((way): Scenario => ({
    name: `multitask: enqueue by ${way.slice(1)}`,
    steps: [
      ...waiting(),
      begin('next', post(RUNS + way, next('enqueue'))),
      open(),
      finish('next'),
      get('/threads/{thread}'),
      get(ONE),
    ],
  })),
  ...WAYS.slice(1).map((way): Scenario => ({
    name: `multitask: interrupt by ${way.slice(1)}`,
    steps: [
      ...waiting(),
      begin('next', post(RUNS + way, next('interrupt'))),
      finish('next'),
      get(ONE),
      get('/threads/{thread}'),
      get('/threads/{thread}/history'),
    ],
  })),
  ...WAYS.slice(1).map((way): Scenario => ({
    name: `multitask: rollback by ${way.slice(1)}`,
    steps: [
      ...waiting(),
      begin('next', post(RUNS + way, next('rollback'))),
      finish('next'),
      get(ONE),
      get('/threads/{thread}'),
      get('/threads/{thread}/history'),
    ],
  })),
  {
    name: 'multitask: two in the queue',
    steps: [
      ...waiting(),
      post(RUNS, next('enqueue'), { save: { second: 'run_id' } }),
      post(RUNS, next('enqueue'), { save: { third: 'run_id' } }),
      get(`${RUNS}/{second}`),
      open(),
      ended('third'),
      get('/threads/{thread}'),
      get(`${RUNS}/{second}`),
    ],
  },
  {
    name: 'cancel: by interrupt',
    steps: [
      ...waiting(),
      post(`${ONE}/cancel?wait=1`),
      get(ONE),
      get('/threads/{thread}'),
      get('/threads/{thread}/state'),
    ],
  },
  {
    name: 'cancel: by rollback',
    steps: [
      ...waiting(),
      post(`${ONE}/cancel?wait=true&action=rollback`),
      ended(),
      get(ONE),
      get('/threads/{thread}'),
      get('/threads/{thread}/state'),
      get('/threads/{thread}/history'),
    ],
  },
  {
    name: 'cancel: without waiting',
    steps: [...waiting(), post(`${ONE}/cancel`), ended(), get(ONE), get('/threads/{thread}')],
  },
  { name: 'cancel: without waiting, said so', steps: [...waiting(), post(`${ONE}/cancel?wait=0`), ended(), get(ONE)] },
  {
    name: 'cancel: one in the queue',
    steps: [
      ...waiting(),
      quiet(post(RUNS, next('enqueue'), { save: { second: 'run_id' } })),
      post(`${RUNS}/{second}/cancel?wait=1`),
      get(`${RUNS}/{second}`),
      open(),
      ended(),
      get(ONE),
    ],
  },
  {
    name: 'cancel: one in the queue by rollback',
    steps: [
      ...waiting(),
      quiet(post(RUNS, next('enqueue'), { save: { second: 'run_id' } })),
      post(`${RUNS}/{second}/cancel?wait=1&action=rollback`),
      get(`${RUNS}/{second}`),
      open(),
      ended(),
    ],
  },
  {
    name: 'cancel: one that has ended',
    steps: [
      thread(),
      post(RUNS, { assistant_id: 'line', input: { log: [] } }, { save: { run: 'run_id' }, quiet: true }),
      ended(),
      post(`${ONE}/cancel?wait=1`),
      get(ONE),
    ],
  },
  {
    name: 'cancel: nobody',
    steps: [
      thread(),
      post(`${RUNS}/${NOBODY}/cancel`),
      post(`${RUNS}/x/cancel`),
      post(`/threads/${NOBODY}/runs/${NOBODY}/cancel`),
      post(`${RUNS}/${NOBODY}/cancel?action=explode`),
    ],
  },
  { name: 'disconnect: cancels', steps: [...left('cancel'), ended(), get(ONE), get('/threads/{thread}')] },
  { name: 'disconnect: continues', steps: [...left('continue'), open(), ended(), get(ONE), get('/threads/{thread}')] },
  {
    name: 'disconnect: of a joined stream',
    steps: [
      ...waiting(),
      begin('join', get(`${ONE}/stream?cancel_on_disconnect=false`)),
      leave('join'),
      open(),
      ended(),
      get(ONE),
    ],
  },
];
