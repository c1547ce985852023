import type { Caller } from '../../core/caller.ts';
import type { ProtocolEvent } from '../../engine/protocol/run-translation.ts';
import { isWanted, type Subscription } from '../../engine/protocol/subscription.ts';
import { route, type Route } from '../../http/route.ts';
import { departure, sendEvents, type SseEvent } from '../../http/sse.ts';
import type { SocketRoute } from '../../http/sockets.ts';
import { parse } from '../../http/parse.ts';
import { threadPath } from '../threads/schemas.ts';
import type { Commands } from './commands.ts';
import * as schemas from './schemas.ts';
import type { ProtocolService } from './service.ts';
import { ThreadSocket } from './thread-socket.ts';
import type { Logger } from 'pino';

const EVENTS = '/threads/:thread_id/stream/events';

/** The protocol of threads over HTTP. */
export function protocolRoutes(
  service: ProtocolService,
  commands: Commands,
  { heartbeatMs }: { heartbeatMs: number },
): Route[] {
  return [
    route(
      {
        method: 'post',
        path: '/threads/:thread_id/commands',
        summary: 'A command of the protocol of threads (v2)',
        description:
          'Always 200: `{"type": "success", id, result, meta}` or `{"type": "error", id, error, message}`. Commands: run.start, input.respond, state.get, state.listCheckpoints, state.fork, agent.getTree.',
        params: threadPath,
        body: schemas.commandBody,
        answer: schemas.answer,
      },
      ({ params, body, caller }) => commands.execute(caller, params.thread_id, body),
    ),
    route(
      {
        method: 'post',
        path: EVENTS,
        summary: 'Stream the events of a thread in the protocol of threads (v2): all that were, then those that come',
        description:
          'Stays open over runs, and waits for a thread that does not exist yet. A WebSocket on this path takes commands, too.',
        params: threadPath,
        body: schemas.eventStream,
        answer: 'events',
      },
      async ({ params, body, caller, res }) => {
        const { since = 0, ...subscription } = body;
        const events = await service.events(caller, params.thread_id);
        const signal = departure(res);
        const followed = events.follow(params.thread_id, { since, signal });
        await sendEvents(res, asSse(followed, subscription), { signal, heartbeatMs });
      },
    ),
  ];
}

/** The same over one WebSocket. */
export function protocolSocket(service: ProtocolService, commands: Commands, log: Logger): SocketRoute {
  return {
    path: new RegExp(`^${EVENTS.replace(':thread_id', '(?<thread_id>[^/]+)')}/?$`),
    open: async (caller: Caller, groups) => {
      const threadId = parse(threadPath, groups, 'path').value.thread_id;
      const events = await service.events(caller, threadId);
      return (socket) => void new ThreadSocket({ socket, threadId, caller, events, commands, log });
    },
  };
}

async function* asSse(events: AsyncIterable<ProtocolEvent>, subscription: Subscription): AsyncGenerator<SseEvent> {
  for await (const event of events) {
    if (isWanted(subscription, event)) yield { event: event.method, data: event.text, id: event.event_id };
  }
}
