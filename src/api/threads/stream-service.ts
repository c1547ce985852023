import type { Guarded } from '../../core/access.ts';
import { asSeenBy, type Caller } from '../../core/caller.ts';
import { NotFoundError } from '../../core/errors.ts';
import { END_EVENT, type RunEvent } from '../../core/run-event.ts';
import type { Thread } from '../../core/thread.ts';
import type { ChangeTurn } from '../../database/thread-turns.ts';
import type { Threads } from '../../database/threads.ts';
import { THREAD_START, type ThreadPlace, type ThreadStreams } from '../../engine/streams/thread-streams.ts';
import type { ThreadStates } from '../../engine/threads/thread-state.ts';

/** What a reader of a thread wants: the events of its runs, only their begins and ends, changes of the state by hand. */
export const THREAD_STREAM_MODES = ['run_modes', 'lifecycle', 'state_update'] as const;
type ThreadStreamMode = (typeof THREAD_STREAM_MODES)[number];

export interface ThreadStreamEvent {
  event: string;
  data: string;
  id: string;
}

export interface ThreadStreamQuery {
  /** The id of the last event that the reader has; `-` = none of those that were; undefined = only what comes. */
  lastEventId: string | undefined;
  modes: readonly ThreadStreamMode[];
  signal: AbortSignal;
}

export interface ThreadStreamServiceParts {
  threads: Guarded<Threads>;
  states: ThreadStates;
  threadStreams: Guarded<ThreadStreams>;
}

/** Streams over all runs of a thread. */
export class ThreadStreamService {
  readonly #parts: ThreadStreamServiceParts;
  constructor(parts: ThreadStreamServiceParts) {
    this.#parts = parts;
  }

  /** Throws NotFoundError. The stream itself ends when the thread is deleted, or on `signal`. */
  async open(
    caller: Caller,
    threadId: string,
    query: ThreadStreamQuery,
  ): Promise<AsyncGenerator<ThreadStreamEvent, void>> {
    const access = await caller.may('threads:read', { thread_id: threadId });
    const threads = this.#parts.threads.within(access);
    if (!(await threads.get(threadId))) throw new NotFoundError('Thread', threadId);
    const streams = this.#parts.threadStreams.within(access);
    const after = placeOf(query.lastEventId) ?? (await streams.end(threadId));
    const thread = async () => {
      const found = await threads.get(threadId);
      return found && asSeenBy(caller, found);
    };
    return this.#events(streams, thread, { ...query, threadId, after });
  }

  async *#events(
    streams: ThreadStreams,
    thread: () => Promise<Thread | null>,
    { threadId, after, modes, signal }: ThreadStreamQuery & { threadId: string; after: ThreadPlace },
  ): AsyncGenerator<ThreadStreamEvent, void> {
    for await (const entry of streams.follow(threadId, { after, signal })) {
      const { turn } = entry;
      if (!('event' in entry)) {
        const data = modes.includes('state_update') ? await this.#stateText(await thread(), entry.turn) : null;
        if (data !== null) yield { event: 'state_update', data, id: `${turn.turn}-0` };
      } else if (
        entry.event &&
        (modes.includes('run_modes') || (modes.includes('lifecycle') && isBound(entry.event)))
      ) {
        yield toStreamEvent(entry.turn.run_id, entry.event, `${turn.turn}-${entry.event.seq}`);
      }
    }
  }

  /** Null when the state is no longer there. */
  async #stateText(thread: Thread | null, { checkpoint }: ChangeTurn): Promise<string | null> {
    if (!thread) return null;
    try {
      const state = await this.#parts.states.get(thread, { checkpoint });
      return JSON.stringify({ thread_id: thread.thread_id, state });
    } catch (error) {
      if (error instanceof NotFoundError) return null;
      throw error;
    }
  }
}

function isBound({ event }: RunEvent): boolean {
  return event === 'metadata' || event === END_EVENT;
}

/** The end of a run is told as the platform does. */
function toStreamEvent(runId: string, { event, data }: RunEvent, id: string): ThreadStreamEvent {
  if (event !== END_EVENT) return { event, data, id };
  return { event: 'metadata', data: JSON.stringify({ status: 'run_done', run_id: runId }), id };
}

/** Undefined: only what comes. */
function placeOf(lastEventId: string | undefined): ThreadPlace | undefined {
  if (lastEventId === '-' || lastEventId === '-1') return THREAD_START;
  const [, turn, seq] = /^(\d{1,15})-(\d{1,9})$/.exec(lastEventId ?? '') ?? [];
  return turn === undefined || seq === undefined ? undefined : { turn: Number(turn), seq: Number(seq) };
}
