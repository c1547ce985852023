import {
  begin,
  ended,
  finish,
  get,
  NOBODY,
  post,
  quiet,
  reach,
  socket,
  thread,
  type Request,
  type Scenario,
} from '../scenario.ts';

const COMMANDS = '/threads/{thread}/commands';
const EVENTS = '/threads/{thread}/stream/events';
const CHANNELS = [
  'values',
  'updates',
  'messages',
  'tools',
  'lifecycle',
  'input',
  'checkpoints',
  'tasks',
  'custom',
] as const;

const start = (assistant_id: string, params: object = {}): Request =>
  post(
    COMMANDS,
    { id: 1, method: 'run.start', params: { assistant_id, input: { log: [] }, ...params } },
    { save: { run: 'result/run_id' }, quiet: true },
  );
/** All events so far, and those that come up to the end of that many runs. */
const events = (subscription: object = {}, ends = 1): Request =>
  post(EVENTS, { channels: CHANNELS, ...subscription }, { ends });

const configured = (configurable: object) => ({ config: { configurable } });
const hello = { messages: [{ role: 'user', content: 'hi', id: 'm1' }] };
const SCENES: readonly [name: string, assistant: string, params: object][] = [
  ['plain', 'line', {}],
  ['tokens', 'chat', { input: hello }],
  ['a whole message', 'canned', { input: hello }],
  ['a subgraph', 'parent', {}],
  ['a question', 'asking', {}],
  ['two questions', 'twice', {}],
  ['a question of a subgraph', 'parent', configured({ ask: true })],
  ['a failure', 'failing', {}],
  ['a failure of a subgraph', 'parent', configured({ fail: true })],
  ['send', 'spread', { input: { items: ['x', 'y'] } }],
];
const NARROW: readonly [name: string, subscription: object][] = [
  ['a namespace', { namespaces: [['child'], []], depth: 0 }],
  ['the root alone', { namespaces: [[]], depth: 0 }],
  ['one level', { namespaces: [[]], depth: 1 }],
  ['a channel of the graph’s own', { channels: ['custom:mine', 'lifecycle'] }],
  ['a channel that nobody knows', { channels: ['gossip', 'lifecycle'] }],
];

const subscribe = (params: object = {}) => ({
  id: 1,
  method: 'subscription.subscribe',
  params: { channels: CHANNELS, ...params },
});
const startBySocket = (assistant_id: string, params: object = {}) => ({
  id: 2,
  method: 'run.start',
  params: { assistant_id, input: { log: [] }, ...params },
});

/** The streams of the newer protocol, over SSE and over a WebSocket. */
export const EVENT_STREAMS: readonly Scenario[] = [
  ...SCENES.map(([name, assistant, params]): Scenario => ({
    name: `events: ${name}`,
    steps: [thread(), start(assistant, params), events(), get('/threads/{thread}')],
  })),
  ...CHANNELS.map((channel): Scenario => ({
    name: `events: of ${channel}`,
    steps: [thread(), start('parent'), events({ channels: [...new Set([channel, 'lifecycle'])] })],
  })),
  ...NARROW.map(([name, subscription]): Scenario => ({
    name: `events: of ${name}`,
    steps: [thread(), start('parent'), events(subscription)],
  })),
  {
    name: 'events: again',
    steps: [thread(), start('line'), events(), events(), events({ channels: ['lifecycle'] })],
  },
  {
    name: 'events: of two runs',
    steps: [thread(), start('line'), events(), start('line', { input: { log: ['again'] } }), events({}, 2)],
  },
  {
    name: 'events: before the run',
    steps: [thread(), begin('events', events()), start('line'), finish('events')],
  },
  {
    name: 'events: of a question and its answer',
    steps: [
      thread(),
      start('asking'),
      events(),
      quiet(get('/threads/{thread}/state', { save: { interrupt: 'tasks/0/interrupts/0/id' } })),
      post(COMMANDS, {
        id: 2,
        method: 'input.respond',
        params: { namespace: [], interrupt_id: '{interrupt}', response: 'yes' },
      }),
      events({}, 2),
      get('/threads/{thread}'),
    ],
  },
  {
    name: 'events: of a run that is cancelled',
    steps: [
      thread(),
      start('line', configured({ gate: '{gate}' })),
      reach(),
      begin('events', events()),
      quiet(post('/threads/{thread}/runs/{run}/cancel?wait=1')),
      finish('events'),
    ],
  },
  {
    name: 'events: malformed',
    steps: [
      thread(),
      post(EVENTS, {}),
      post(EVENTS, '{'),
      post(EVENTS, { channels: 'values' }),
      post(EVENTS, { channels: [1] }),
      post(EVENTS, { channels: ['values'], namespaces: 'x' }),
      post(EVENTS, { channels: ['values'], depth: -1 }),
      post(EVENTS, { channels: ['values'], since: 'x' }),
      post(`/threads/${NOBODY}/stream/events`, {}),
    ],
  },
  ...SCENES.slice(0, 5).map(([name, assistant, params]): Scenario => ({
    name: `socket: ${name}`,
    steps: [thread(), socket(EVENTS, [subscribe(), startBySocket(assistant, params)], 1), get('/threads/{thread}')],
  })),
  {
    name: 'socket: of one channel',
    steps: [thread(), socket(EVENTS, [subscribe({ channels: ['values', 'lifecycle'] }), startBySocket('line')], 1)],
  },
  {
    name: 'socket: refused',
    steps: [
      thread(),
      socket(
        EVENTS,
        [
          '{',
          {},
          { id: 1, method: 'no.such.command', params: {} },
          { id: 2, method: 'run.start', params: {} },
          { id: 3, method: 'subscription.reconnect', params: {} },
        ],
        0,
      ),
    ],
  },
  {
    name: 'socket: a thread that is not there yet',
    steps: [socket(`/threads/${NOBODY.replace('0', '5')}/stream/events`, [startBySocket('line'), subscribe()], 1)],
  },
  {
    name: 'protocol: state and tree',
    steps: [
      thread(),
      start('parent'),
      ended(),
      post(COMMANDS, { id: 2, method: 'state.get', params: { namespace: [] } }),
      post(COMMANDS, { id: 3, method: 'state.get', params: { namespace: [], keys: ['log'] } }),
      post(COMMANDS, { id: 4, method: 'agent.getTree', params: {} }),
    ],
  },
];
