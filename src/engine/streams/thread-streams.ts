import type { Access, Guarded } from '../../core/access.ts';
import { END_EVENT, type RunEvent } from '../../core/run-event.ts';
import type { RunEvents } from '../../database/run-events.ts';
import type { ChangeTurn, RunTurn, ThreadTurns, Turn } from '../../database/thread-turns.ts';
import type { RunStreams } from './run-streams.ts';

/** Turns asked for at once. */
const TURNS = 100;
const PAGE = 500;

/** A place in what happened on a thread: after that event of that turn; -1 = before the turn's first. */
export interface ThreadPlace {
  turn: number;
  seq: number;
}

export const THREAD_START: ThreadPlace = { turn: 0, seq: -1 };

/** One thing that happened on a thread. */
export type ThreadEntry =
  | { turn: RunTurn; event: RunEvent }
  /** The run was removed while it was followed: what it did was undone. */
  | { turn: RunTurn; event: null }
  | { turn: ChangeTurn };

/** Feeds readers of threads: the logs of all runs, one after the other. Like the logs, on any process and at any time. */
export class ThreadStreams implements Guarded<ThreadStreams> {
  readonly #turns: ThreadTurns;
  readonly #events: RunEvents;
  readonly #streams: RunStreams;

  constructor({ turns, events, streams }: { turns: ThreadTurns; events: RunEvents; streams: RunStreams }) {
    this.#turns = turns;
    this.#events = events;
    this.#streams = streams;
  }

  /** The same, as if there were no threads beyond the access. */
  within(access: Access): ThreadStreams {
    return new ThreadStreams({ turns: this.#turns.within(access), events: this.#events, streams: this.#streams });
  }

  /**
   * What happened after a place, then what happens, without a gap or a duplicate. A thread that does not exist is waited
   * for; the iteration ends when it is deleted, or on `signal`.
   */
  async *follow(
    threadId: string,
    { after, signal }: { after: ThreadPlace; signal: AbortSignal },
  ): AsyncGenerator<ThreadEntry, void> {
    const watch = this.#streams.watch(threadId, signal);
    let place = after;
    let seen = false;
    try {
      while (!signal.aborted) {
        const turns = await this.#turns.from(threadId, place.turn, TURNS);
        if (turns === null && seen) return;
        seen ||= turns !== null;
        for (const turn of turns ?? []) {
          yield* this.#followTurn(turn, place, signal);
          if (signal.aborted) return;
          place = { turn: turn.turn + 1, seq: -1 };
        }
        if (!turns || turns.length < TURNS) await watch.changed();
      }
    } finally {
      watch.close();
    }
  }

  /** What has happened so far, from the turn on. */
  async *replay(threadId: string, fromTurn = 0): AsyncGenerator<ThreadEntry, void> {
    let place = fromTurn;
    for (;;) {
      const turns = (await this.#turns.from(threadId, place, TURNS)) ?? [];
      for (const turn of turns) {
        if (turn.run_id === null) yield { turn };
        else for await (const event of this.#log(turn.run_id)) yield { turn, event };
        place = turn.turn + 1;
      }
      if (turns.length < TURNS) return;
    }
  }

  /** A run that has begun, the latest one when it is not named, and what its log has so far. */
  async run(
    threadId: string,
    runId: string | undefined,
  ): Promise<{ turn: RunTurn; log: AsyncIterable<RunEvent> } | null> {
    const turn = await this.#turns.ofRun(threadId, runId);
    return turn && { turn, log: this.#log(turn.run_id) };
  }

  /** Where the thread stands now. */
  async end(threadId: string): Promise<ThreadPlace> {
    const latest = await this.#turns.latest(threadId);
    if (!latest) return THREAD_START;
    return latest.ended ? { turn: latest.turn + 1, seq: -1 } : { turn: latest.turn, seq: latest.seq };
  }

  async *#followTurn(turn: Turn, place: ThreadPlace, signal: AbortSignal): AsyncGenerator<ThreadEntry, void> {
    const isPlace = turn.turn === place.turn;
    if (turn.run_id === null) {
      if (!isPlace || place.seq < 0) yield { turn };
      return;
    }
    const afterSeq = isPlace ? place.seq : -1;
    // A reader that has seen the last row would wait for one more.
    if (afterSeq >= 0 && ((await this.#events.last(turn.run_id, END_EVENT))?.seq ?? Infinity) <= afterSeq) return;
    for await (const event of this.#streams.follow(turn.run_id, { afterSeq, signal })) {
      yield { turn, event };
      if (event.event === END_EVENT) return;
    }
    if (!signal.aborted) yield { turn, event: null };
  }

  async *#log(runId: string): AsyncGenerator<RunEvent, void> {
    let last = -1;
    for (;;) {
      const page = await this.#events.after(runId, last, PAGE);
      yield* page;
      last = page.at(-1)?.seq ?? last;
      if (page.length < PAGE) return;
    }
  }
}
