import type { Access, Guarded } from '../../core/access.ts';
import type { ThreadEntry, ThreadStreams } from '../streams/thread-streams.ts';
import { RunTranslation, TURN_SPAN, type AgentNode, type ProtocolEvent } from './run-translation.ts';

/** What happens on threads, as events of the protocol of threads. */
export class ThreadEvents implements Guarded<ThreadEvents> {
  readonly #streams: ThreadStreams;
  constructor(streams: ThreadStreams) {
    this.#streams = streams;
  }

  /** The same, as if there were no threads beyond the access. */
  within(access: Access): ThreadEvents {
    return new ThreadEvents(this.#streams.within(access));
  }

  /** The events after that number, then those that come. Ends when the thread is deleted, or on `signal`. */
  async *follow(
    threadId: string,
    { since, signal }: { since: number; signal: AbortSignal },
  ): AsyncGenerator<ProtocolEvent, void> {
    const after = { turn: Math.floor(since / TURN_SPAN), seq: -1 };
    for await (const event of translated(this.#streams.follow(threadId, { after, signal }))) {
      if (event.seq > since) yield event;
    }
  }

  /** The events so far. */
  replay(threadId: string): AsyncGenerator<ProtocolEvent, void> {
    return translated(this.#streams.replay(threadId));
  }

  /** A number that no event up to now exceeds, and every event of a run that begins later does. */
  async latestSeq(threadId: string): Promise<number> {
    const end = await this.#streams.end(threadId);
    if (end.seq < 0) return Math.max(0, end.turn * TURN_SPAN - 1);
    let seq = end.turn * TURN_SPAN;
    for await (const event of translated(this.#streams.replay(threadId, end.turn))) seq = event.seq;
    return seq;
  }

  /** The graphs of a run, the latest one when it is not named; null when none has begun. */
  async agents(threadId: string, runId: string | undefined): Promise<AgentNode[] | null> {
    const run = await this.#streams.run(threadId, runId);
    if (!run) return null;
    const translation = new RunTranslation(run.turn);
    for await (const row of run.log) translation.translate(row);
    return translation.agents;
  }
}

async function* translated(entries: AsyncIterable<ThreadEntry>): AsyncGenerator<ProtocolEvent, void> {
  let run: RunTranslation | null = null;
  let turn = -1;
  for await (const entry of entries) {
    if (!('event' in entry)) continue;
    if (entry.turn.turn !== turn) run = new RunTranslation(entry.turn);
    turn = entry.turn.turn;
    if (run) yield* entry.event ? run.translate(entry.event) : run.removed();
  }
}
