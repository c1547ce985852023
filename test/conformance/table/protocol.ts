import { ended, get, NOBODY, post, thread, type Request, type Scenario } from '../scenario.ts';

const COMMANDS = '/threads/{thread}/commands';
const command = (method: string, params: object = {}, save: Record<string, string> = {}): Request =>
  post(COMMANDS, { id: 1, method, params }, { save });

/** The commands of the newer protocol. Its streams stay open: they are tested with the clients that read them. */
export const PROTOCOL: readonly Scenario[] = [
  {
    name: 'protocol: start a run',
    steps: [
      thread(),
      command('run.start', { assistant_id: 'line', input: { log: [] } }, { run: 'result/run_id' }),
      ended(),
      get('/threads/{thread}'),
      get('/threads/{thread}/runs/{run}'),
    ],
  },
  {
    name: 'protocol: start on a thread that is made for it',
    steps: [
      post('/threads/44444444-4444-4444-8444-444444444444/commands', {
        id: 7,
        method: 'run.start',
        params: { assistant_id: 'line', input: { log: [] } },
      }),
    ],
  },
  {
    name: 'protocol: refused',
    steps: [
      thread(),
      command('run.start', {}),
      command('run.start', { assistant_id: 'no-such-graph' }),
      command('no.such.command'),
      command('input.respond', {}),
      command('agent.getTree'),
      post(COMMANDS, {}),
      post(COMMANDS, { id: 'x', method: 'run.start' }),
      post(COMMANDS, '{'),
      post(`/threads/x/commands`, { id: 1, method: 'agent.getTree', params: {} }),
      post(`/threads/${NOBODY}/commands`, { id: 1, method: 'agent.getTree', params: {} }),
    ],
  },
];
