import { z } from 'zod';
import { queryList } from '../../http/fields.ts';
import { route, type Route } from '../../http/route.ts';
import { departure, sendEvents } from '../../http/sse.ts';
import { threadPath } from './schemas.ts';
import { THREAD_STREAM_MODES, type ThreadStreamService } from './stream-service.ts';

const modes = queryList(z.enum(THREAD_STREAM_MODES)).optional();

export function threadStreamRoute(streams: ThreadStreamService, { heartbeatMs }: { heartbeatMs: number }): Route {
  return route(
    {
      method: 'get',
      path: '/threads/:thread_id/stream',
      summary: 'Stream the events of all runs of a thread, one after the other',
      description:
        'Begins with what comes; with a `Last-Event-ID` header after that event, with `-` at the beginning. Stays open until the client leaves.',
      params: threadPath,
      // The platform's document says the one, its clients the other.
      query: z.strictObject({ stream_modes: modes, stream_mode: modes }),
      answer: 'events',
    },
    async ({ params, query, caller, req, res }) => {
      const signal = departure(res);
      const asked = [...(query.stream_modes ?? []), ...(query.stream_mode ?? [])];
      const events = await streams.open(caller, params.thread_id, {
        lastEventId: req.get('last-event-id'),
        modes: asked.length > 0 ? asked : ['run_modes'],
        signal,
      });
      // Where the official client comes back to when its connection breaks.
      res.setHeader('Location', `/threads/${params.thread_id}/stream`);
      await sendEvents(res, events, { signal, heartbeatMs });
    },
  );
}
