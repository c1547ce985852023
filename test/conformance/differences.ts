import { ABSENT, type Difference } from './compare.ts';

/** A difference that is meant. The first rule that fits gives the reason; one that never fits is reported, so none outlives its cause. */
export interface Rule {
  /** A pattern of scenario names, operations (`POST /threads/{thread_id}/runs`) and paths: `*` is anything within a part, `**` anything. */
  scenario?: string | readonly string[];
  operation?: string | readonly string[];
  path: string | readonly string[];
  /** Whether the values are those that are meant. */
  when?: (difference: Difference) => boolean;
  reason: string;
  /** The reference server differs at times only: the page says so always. */
  varies?: boolean;
}

const status = (reference: number, baton: number) => (difference: Difference) =>
  difference.reference === reference && difference.baton === baton;
const onlyBaton = ({ reference }: Difference) => reference === ABSENT;
const onlyReference = ({ baton }: Difference) => baton === ABSENT;
const is =
  (reference: unknown, baton: unknown) =>
  (difference: Difference): boolean =>
    JSON.stringify([difference.reference, difference.baton]) === JSON.stringify([reference, baton]);

const READ_STATE = [
  'GET /threads/{thread_id}/state',
  'GET /threads/{thread_id}/state/{checkpoint_id}',
  'POST /threads/{thread_id}/state/checkpoint',
  'GET /threads/{thread_id}/history',
  'POST /threads/{thread_id}/history',
];
const WAIT = ['POST /threads/{thread_id}/runs/wait', 'POST /runs/wait', 'GET /threads/{thread_id}/runs/{run_id}/join'];

/** What the platform itself does, where its development server does not. */
const PLATFORM: readonly Rule[] = [
  {
    path: 'status',
    when: status(400, 422),
    reason: 'Production answers 422 to what it cannot read, the development server 400.',
  },
  {
    operation: ['POST /threads/{thread_id}/runs**'],
    scenario: 'multitask: reject',
    path: 'status',
    when: status(422, 409),
    reason: 'A busy thread is a conflict: production answers 409, the development server 422.',
  },
  {
    operation: ['POST /threads/{thread_id}/runs', 'POST /threads/{thread_id}/runs/*'],
    path: 'status',
    when: status(422, 404),
    reason: 'A thread that does not exist is 404 in production, 422 on the development server.',
  },
  {
    path: ['body/multitask_strategy', 'body/*/multitask_strategy'],
    when: is('reject', 'enqueue'),
    reason:
      'A run that names no strategy waits for its turn, as the platform documents; the development server refuses it.',
  },
  {
    operation: [
      'POST /threads**',
      'GET /threads/{thread_id}',
      'PATCH /threads/{thread_id}',
      'POST /threads/{thread_id}/copy',
    ],
    path: ['body/state_updated_at', 'body/*/state_updated_at'],
    when: onlyBaton,
    reason: 'Threads have production’s field `state_updated_at`.',
  },
  {
    operation: [
      'POST /threads**',
      'GET /threads/{thread_id}',
      'PATCH /threads/{thread_id}',
      'POST /threads/{thread_id}/copy',
    ],
    path: ['body/state_store', 'body/*/state_store'],
    when: onlyBaton,
    reason: 'Threads say in whose store their state is kept: a graph can have one of its own.',
  },
  {
    operation: [
      'POST /threads**',
      'GET /threads/{thread_id}',
      'PATCH /threads/{thread_id}',
      'POST /threads/{thread_id}/copy',
    ],
    path: ['body/values', 'body/interrupts', 'body/error', 'body/*/values', 'body/*/interrupts', 'body/*/error'],
    when: onlyBaton,
    reason:
      'A thread always has `values`, `interrupts` and `error`, as in production; the development server leaves out what it has not.',
  },
  {
    path: ['body/interrupts/:id', 'body/*/interrupts/:id'],
    when: ({ reference, baton }) => JSON.stringify(reference) === '[]' && baton === ABSENT,
    reason:
      'The interrupts of a thread name the tasks that wait, as in production; the development server lists all tasks.',
  },
  {
    operation: READ_STATE,
    path: ['**/interrupts'],
    when: onlyBaton,
    reason: 'A state has production’s field `interrupts`.',
  },
  {
    operation: READ_STATE,
    path: '**/metadata',
    when: onlyBaton,
    reason: 'A state always has `metadata`, as the platform’s document demands.',
  },
  {
    operation: READ_STATE,
    path: ['**/checkpoint/checkpoint_id', '**/checkpoint/checkpoint_map'],
    when: ({ reference, baton }) => reference === ABSENT && baton === null,
    reason: 'A checkpoint always has its four fields.',
  },
  {
    operation: 'POST /threads/{thread_id}/state',
    path: 'body/checkpoint/checkpoint_map',
    when: ({ reference, baton }) => reference === ABSENT && baton === null,
    reason: 'A checkpoint always has its four fields.',
  },
  {
    operation: 'POST /threads/{thread_id}/state',
    path: 'body/configurable',
    when: onlyBaton,
    reason: 'The official client’s type of this answer has `configurable`; the development server does not send it.',
  },
  {
    operation: 'POST /threads/{thread_id}/history',
    path: 'status',
    scenario: 'state: history before a configuration',
    when: status(400, 200),
    reason: '`before` may be a configuration, as production and RemoteGraph have it.',
  },
  {
    operation: READ_STATE,
    path: '**/tasks/*/error',
    reason: 'The error of a task is its message; the development server sends the error as JSON text.',
  },
  {
    operation: '**/stream',
    path: ['headers/location', 'headers/content-location'],
    when: onlyBaton,
    reason: 'Streams say where to take them up again: the official clients reconnect by `Location`.',
  },
  {
    operation: 'GET /threads/{thread_id}/runs/{run_id}/join',
    path: 'headers/content-location',
    when: onlyBaton,
    reason: 'Every answer about a run says which run it is.',
  },
  {
    path: ['events/checkpoints', 'events/checkpoints|*'],
    scenario: ['stream: *', 'command: resume of a subgraph', 'stateless: *'],
    when: onlyReference,
    reason:
      'The development server sends short `checkpoints` events to clients that asked for `values` of subgraphs; they belong to the newer protocol.',
  },
  {
    path: ['events/checkpoints*/data/*'],
    when: onlyBaton,
    reason:
      'An event of the mode `checkpoints` is a whole checkpoint, as the official client’s type has it; the development server sends three of its fields.',
  },
  {
    operation: 'POST /runs/stream',
    path: 'body/ids',
    when: is('none', 'consecutive from 0'),
    reason: 'Events of runs without a thread are numbered too, so that a broken stream can be taken up again.',
  },
  {
    operation: 'POST /store/items/search',
    scenario: ['store: search', 'store: filters'],
    path: ['body/items/*/key', 'body/items/*/value/*', 'body/items/*/namespace/*'],
    reason:
      'Items are listed by their latest change, as the platform documents; the development server keeps the order in which they came.',
  },
  {
    operation: 'POST /store/items/search',
    scenario: 'store: search',
    path: 'status',
    when: status(400, 200),
    reason: 'The platform documents `namespace_prefix` as optional; the development server asks for it.',
  },
];

/** What the development server does by mistake, or since it keeps everything in memory. */
const FLAWS: readonly Rule[] = [
  {
    operation: ['POST /assistants/search', 'POST /threads/search'],
    path: ['headers/x-pagination-next', 'headers/x-pagination-total'],
    reason:
      'The headers say how many there are and where the next page begins; the development server adds offset and total up.',
  },
  {
    operation: 'POST /assistants/search',
    scenario: 'assistants: search, sorted',
    path: 'body/**',
    reason: 'Assistants are sorted as asked; the development server ignores `sort_by`.',
  },
  {
    operation: 'POST /assistants',
    scenario: 'assistants: create, of no graph',
    path: 'status',
    when: status(200, 404),
    reason: 'An assistant of a graph that does not exist is refused; the development server makes one that cannot run.',
  },
  {
    operation: WAIT,
    path: 'headers/content-type',
    when: is('text/plain', 'application/json'),
    reason: 'The result of a run is JSON and says so.',
  },
  {
    operation: WAIT,
    path: ['body/__error__/error', 'body/__error__/message'],
    reason:
      '`__error__` is `{error, message}` of what failed; the development server puts that as JSON text into the message.',
  },
  {
    operation: WAIT,
    path: ['body/log', 'body/__interrupt__', 'body/__interrupt__/length'],
    when: ({ path, reference }) => reference === ABSENT || path.endsWith('/length'),
    reason:
      'The result of a run that asks has its values and all its questions; the development server answers with the last event only.',
  },
  {
    operation: 'GET /threads/{thread_id}/runs/{run_id}/join',
    scenario: 'join: a run that was cancelled',
    path: 'body**',
    reason: 'A cancelled run keeps what it did; the development server forgets the thread’s values.',
  },
  {
    operation: 'GET /threads/{thread_id}',
    scenario: [
      'wait: too many steps',
      'wait: a breakpoint after',
      'wait: breakpoints after everything',
      'command: goto*',
      'command: update and goto',
      'command: on after a breakpoint',
      'stream: *, a question of a subgraph',
      'stream: *, a failure of a subgraph',
    ],
    path: 'body/values/log/length',
    reason:
      'The values of a thread are those of its state; on the development server they may be a step behind, or a subgraph’s.',
  },
  {
    operation: 'GET /threads/{thread_id}',
    path: 'body/interrupts/:id',
    scenario: ['stream: *, a question of a subgraph', 'state: update at a question', 'command: goto by send*'],
    reason:
      'The interrupts of a thread are those of its state’s tasks; the development server shows the tasks of a subgraph, or those from before an edit.',
  },
  {
    operation: 'GET /assistants/{assistant_id}/schemas',
    path: 'body/state_schema/required',
    when: onlyBaton,
    reason: 'The schema of a state says which of its keys there always are, as its zod schema does.',
  },
  {
    operation: 'GET /threads/{thread_id}/runs/{run_id}/stream',
    scenario: 'replay: a finished run',
    path: ['body/ids', 'events/*'],
    when: ({ reference, baton }) => reference === ABSENT || baton === 'consecutive from 0',
    reason: 'A `Last-Event-ID` that is no number asks for everything; the development server then sends nothing.',
  },
  {
    operation: 'GET /runs/{run_id}/stream',
    path: 'headers/content-location',
    reason: 'When the thread of a run stays, the address of the run names it.',
  },
  {
    operation: 'POST /threads/{thread_id}/runs/stream',
    scenario: 'stream: both kinds of messages',
    path: 'events/messages**',
    reason: 'Each piece of a message comes in both forms at once; the development server sends one form a piece later.',
  },
  {
    operation: ['GET /threads/{thread_id}', 'POST /threads'],
    scenario: [
      'threads: create with supersteps*',
      'state: update without a run',
      'state: update to the end',
      'wait: a failure that is no error',
    ],
    path: 'body/status',
    reason:
      'The status follows the state, after an edit or any failure too; the development server leaves it as it was.',
  },
  {
    operation: ['POST /threads/{thread_id}/copy', 'GET /threads/{thread_id}'],
    scenario: 'threads: copy*',
    path: ['body/status', 'body/config/configurable'],
    reason: 'A copy stands where its source stands; the development server shows it as empty and idle.',
  },
  {
    operation: 'GET /threads/{thread_id}/runs',
    scenario: ['runs: list*', 'runs: by an assistant of its own'],
    path: ['body/**'],
    reason:
      'Runs are listed newest first and by pages; the development server lists them as they come and cuts the second page wrong.',
  },
  {
    operation: 'POST /threads/{thread_id}/runs/{run_id}/cancel',
    scenario: 'cancel: without waiting, said so',
    path: 'status',
    when: status(204, 202),
    reason: '`wait=0` does not wait; the development server takes the text "0" for true.',
  },
  {
    scenario: ['multitask: rollback*', 'cancel: by rollback'],
    path: '**',
    reason:
      'A run that is rolled back goes with its checkpoints, also while it runs; on the development server they stay.',
  },
  {
    scenario: ['replay: without a last id', 'replay: a run that is not resumable'],
    path: ['events/**', 'body/ids'],
    reason:
      'Every stream can be read again, by any number of readers; on the development server the first reader takes the events away.',
  },
  {
    operation: ['GET /threads/{thread_id}/runs/{run_id}/*', 'GET /runs/{run_id}/stream'],
    path: 'status',
    when: status(200, 404),
    reason:
      'A run that does not exist, or is another thread’s, is 404; the development server begins an answer and says so in it, if at all.',
  },
  {
    operation: ['POST /threads/{thread_id}/runs/wait', 'GET /threads/{thread_id}/state/{checkpoint_id}'],
    scenario: ['fork: from a checkpoint that is not there', 'state: of a checkpoint that is not there'],
    path: 'status',
    when: status(200, 404),
    reason:
      'A checkpoint that does not exist is 404; the development server takes it for an empty state and begins again.',
  },
  {
    operation: 'GET /threads/{thread_id}/state/{checkpoint_id}',
    path: 'status',
    scenario: 'state: missing or malformed',
    when: status(400, 404),
    reason: 'The id of a checkpoint is what the saver made it: one that is no UUID is looked for and not found.',
  },
  {
    operation: 'POST /threads/{thread_id}/state',
    path: 'status',
    when: status(500, 422),
    reason:
      'An edit that the graph refuses is the caller’s to correct; the development server calls it an internal error.',
  },
  {
    operation: 'GET **',
    path: 'status',
    when: status(200, 422),
    reason:
      'A number or a switch in a query that is none is refused; the development server takes it for something else.',
  },
  {
    operation: 'GET /threads/{thread_id}',
    path: 'body/config/configurable/checkpoint_id',
    when: onlyReference,
    reason: 'A thread’s configuration never keeps a checkpoint: later runs would start from it again.',
  },
  {
    operation: READ_STATE,
    path: '**/metadata/checkpoint_id',
    when: onlyReference,
    reason: 'A checkpoint’s metadata does not repeat where the run began: that is its parent.',
  },
  {
    operation: 'GET /threads/{thread_id}',
    scenario: 'multitask: *',
    path: 'body/config/configurable/gate',
    reason:
      'A thread keeps the configuration of its latest run; the development server keeps the first while it is busy.',
  },
  {
    scenario: ['wait: values without JSON', 'state: with what JSON has not'],
    path: ['**/odd/*', '**/odd/map/k'],
    reason:
      'Maps, sets and bytes reach the client as JSON that holds them; the development server loses what is in them.',
  },
  {
    scenario: ['stateless: wait for a question'],
    path: ['body/*'],
    reason: 'A run without a thread may ask, too: it has a saver while it runs. The development server fails it.',
  },
  {
    operation: 'POST /threads/{thread_id}/runs/wait',
    path: 'body/seen/metadata/in',
    when: onlyBaton,
    reason: '`config.metadata` reaches the graph; the development server overwrites it.',
  },
];

const COMMANDS = 'POST /threads/{thread_id}/commands';
/** Over SSE, and over a WebSocket. */
const EVENTS = 'POST /threads/{thread_id}/stream/events';

/** The newer protocol, of which the platform's documents say more than its development server does. */
const PROTOCOL: readonly Rule[] = [
  {
    operation: COMMANDS,
    path: 'status',
    when: ({ reference, baton }) => (reference === 404 || reference === 400) && baton === 200,
    reason: 'A command is always answered with 200, and with an error of the protocol when it is refused.',
  },
  {
    operation: COMMANDS,
    path: 'status',
    when: status(200, 422),
    reason: 'The id of a thread is a UUID on every route.',
  },
  {
    operation: [COMMANDS, EVENTS],
    scenario: ['protocol: refused', 'socket: refused'],
    path: ['body/message', 'body/answers/*/message'],
    reason: 'What an error says in words is each server’s own.',
  },
  {
    operation: [COMMANDS, EVENTS],
    path: ['body/error', 'body/answers/*/error'],
    when: ({ reference, baton }) =>
      reference === 'no_such_run' && (baton === 'unknown_command' || baton === 'not_supported'),
    reason: 'A command that nobody knows, or that is not supported, is called that, whether or not a run is there.',
  },
  {
    operation: [COMMANDS, EVENTS],
    path: [
      'body/meta/applied_through_seq',
      'body/answers/*/meta/applied_through_seq',
      'body/answers/*/result/replayed_events',
    ],
    varies: true,
    reason: 'How far the thread’s events had come when the answer was made depends on how fast the run began.',
  },
  {
    operation: EVENTS,
    path: ['events/updates*/data/data/*'],
    reason:
      'An update is `{node, values}`, as the protocol’s own types and LangGraph have it; the development server sends the values alone.',
  },
  {
    operation: EVENTS,
    path: 'events/messages*/data/node',
    when: onlyBaton,
    reason: 'Pieces of messages name the node that they come from.',
  },
  {
    operation: EVENTS,
    path: 'events/values*/data/data/messages/*/*',
    reason:
      'Messages are whole, with all their fields, in values too; the development server leaves out those that are empty.',
  },
  {
    operation: EVENTS,
    path: 'events/lifecycle failed*/data/data/error',
    reason: 'The error of a run is its message; the development server sends the error as JSON text.',
  },
  {
    operation: EVENTS,
    path: 'events/input.answered',
    when: onlyBaton,
    reason: 'All readers learn which questions were answered, as the protocol has it and the official client expects.',
  },
  {
    operation: COMMANDS,
    path: 'body/result/run_id',
    when: onlyBaton,
    reason: 'An answer to a question says which run it began.',
  },
  {
    operation: COMMANDS,
    path: 'body/result/tree/status',
    when: is('running', 'completed'),
    varies: true,
    reason: 'The tree of a run that has ended says so.',
  },
  {
    operation: 'GET /threads/{thread_id}',
    scenario: ['events: *', 'socket: *', 'protocol: *'],
    path: ['body/status', 'body/values*', 'body/values/**', 'body/interrupts**'],
    varies: true,
    reason:
      'What a stream has told, the thread shows when the stream has told it; the development server is late by a moment.',
  },
  {
    operation: 'GET /threads/{thread_id}',
    path: 'body/config/configurable/thread_id',
    when: onlyReference,
    reason: 'A thread’s configuration does not repeat the thread’s id.',
  },
];

/** What Baton does in its own way, for a reason of its own. */
const OWN: readonly Rule[] = [
  {
    scenario: 'command: goto nowhere',
    path: '**',
    reason:
      'A node to go to that the graph does not have is refused, and the nodes that it has are named; the development server does nothing and calls that a success.',
  },
  {
    operation: 'DELETE /threads/{thread_id}/runs/{run_id}',
    path: 'status',
    when: status(204, 409),
    reason: 'A run that runs is cancelled before it can be deleted: nothing goes on that nobody sees.',
  },
  {
    operation: 'GET /threads/{thread_id}/state',
    scenario: 'runs: delete leaves the state',
    path: 'body**',
    reason:
      'Deleting a run deletes its row and its events. What it did to the state stays, since later steps stand on it: the official servers delete its checkpoints, too (the platform not those of threads with delta channels, which would break). A rollback undoes a run; deleting or pruning the thread frees the space.',
  },
  {
    scenario: 'stateless: create',
    path: 'status',
    when: status(404, 200),
    reason:
      'The thread of a run without a thread is swept some time after the run’s end, so that late readers of its stream still come.',
  },
  {
    operation: 'PATCH /threads/{thread_id}',
    path: 'status',
    when: status(400, 200),
    reason: '`metadata` may be left out, as in production.',
  },
  {
    operation: 'POST /runs',
    scenario: 'stateless: kept',
    path: 'headers/content-location',
    reason: 'When the thread of a run stays, the address of the run names it.',
  },
  {
    path: ['body/config/configurable/*', 'body/*/config/configurable/*'],
    when: ({ path, baton }) => baton === ABSENT && /\/(user-agent|x-[a-z-]+)$/.test(path),
    reason: 'Request headers configure the run that the request makes; a thread does not keep them for later ones.',
  },
  {
    path: ['', '*/'].flatMap((item) =>
      ['config/configurable/*', 'config/metadata', '*'].map((field) => `body/${item}kwargs/${field}`),
    ),
    when: ({ reference, baton }) => reference === ABSENT || baton === ABSENT,
    reason: '`kwargs` holds what the run was asked for, under the names of the request; no client reads it.',
  },
  {
    operation: ['POST /runs', 'POST /runs/batch', 'GET /threads/{thread_id}/runs/{run_id}'],
    scenario: 'stateless: *',
    path: ['body/metadata/*', 'body/*/metadata/*'],
    when: onlyBaton,
    reason: 'Runs without a thread have the ids of graph and assistant in their metadata as all others have.',
  },
  {
    operation: READ_STATE,
    path: '**/metadata/*',
    when: onlyReference,
    reason:
      'The metadata of a checkpoint holds the caller’s metadata and what the loop says. The development server copies the whole configuration in, secrets and all.',
  },
  {
    operation: READ_STATE,
    path: '**/metadata/assistant_id',
    when: onlyBaton,
    reason: 'An edit by hand carries the thread’s metadata, as a run does.',
  },
  {
    path: ['**/metadata/langgraph_api_url', '**/1/langgraph_api_url'],
    when: onlyReference,
    reason: 'A server behind a proxy does not know its own address, so it does not tell it to the graph.',
  },
  {
    path: ['**/messages/*/id', '**/messages/*/tool_call_chunks'],
    scenario: ['wait: messages', 'state: with messages', 'stateless: wait for messages', 'stream: *, tokens'],
    reason:
      'The development server makes every model stream, whether anybody listens or not, so its messages are those that streaming makes.',
  },
  {
    operation: 'GET /info',
    path: ['body/flags/langsmith_tracing_replicas', 'body/flags/crons', 'body/baton'],
    reason: 'Baton has crons, does not trace to LangSmith by itself, and says which version it is.',
  },
  {
    path: 'headers/access-control-expose-headers',
    reason: 'A page of another origin may read more headers: `Location`, `Warning`, `X-Pagination-Next`.',
  },
];

/** What no scenario can compare, since the development server cannot do it alone. */
export const UNCOMPARED: readonly string[] = [
  '`feedback_keys` of a run are taken, and a `Warning` header says that no `feedback` event will follow: its addresses are LangSmith’s. The development server asks LangSmith for them, and without its key the stream does not end for a long time.',
];

export const RULES: readonly Rule[] = [...PLATFORM, ...FLAWS, ...PROTOCOL, ...OWN];
