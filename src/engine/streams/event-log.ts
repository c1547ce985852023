import { outliveConnections } from '../../core/connection-loss.ts';
import { FencedError } from '../../core/errors.ts';
import type { RunEvent } from '../../core/run-event.ts';
import type { AttributedEvent, RunEvents } from '../../database/run-events.ts';
import type { AttemptRef } from '../../database/run-queue.ts';
import type { RunStreams } from './run-streams.ts';

/** Events that one attempt may have on the way to the log before it has to wait. */
const MAX_BACKLOG = 500;
const MAX_BATCH = 1000;
/** Of JSON text in one statement. */
const MAX_BATCH_CHARS = 8_000_000;

/**
 * Writes the events of all runs of the process: what gathers while one statement is on its way goes with the next. Readers
 * get an event once the log has it.
 */
export class EventLog {
  readonly #events: RunEvents;
  readonly #streams: RunStreams;
  #queue: { event: AttributedEvent; owner: RunLog }[] = [];
  #flushing = false;

  constructor({ events, streams }: { events: RunEvents; streams: RunStreams }) {
    this.#events = events;
    this.#streams = streams;
  }

  /** The log of one attempt, going on after `lastSeq`. */
  open(attempt: AttemptRef, lastSeq: number): RunLog {
    return new RunLog(attempt, lastSeq, (event, owner) => this.#enqueue(event, owner));
  }

  #enqueue(event: AttributedEvent, owner: RunLog): void {
    this.#queue.push({ event, owner });
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => void this.#drain());
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, this.#batchSize());
      const byOwner = groupByOwner(batch);
      const events = batch.map((item) => item.event);
      try {
        this.#settle(byOwner, await this.#append(events));
      } catch {
        // Which of the runs is at fault is unknown: each tries alone, so that none suffers for another.
        await Promise.all(
          [...byOwner].map(([owner, items]) =>
            this.#appendAlone(
              owner,
              items.map((item) => item.event),
            ),
          ),
        );
      }
    }
    this.#flushing = false;
  }

  #batchSize(): number {
    let chars = 0;
    const end = this.#queue.findIndex(
      ({ event }, index) => index >= MAX_BATCH || (chars += event.data.length) > MAX_BATCH_CHARS,
    );
    return end < 0 ? this.#queue.length : Math.max(end, 1);
  }

  #settle(byOwner: Map<RunLog, { event: AttributedEvent }[]>, taken: Set<string>): void {
    for (const [owner, items] of byOwner) {
      const events = items.map((item) => item.event);
      if (taken.has(owner.attempt.run_id)) {
        this.#streams.publish(owner.attempt.run_id, events);
        owner.logged(events.length);
      } else {
        owner.refused(new FencedError(owner.attempt.thread_id));
      }
    }
  }

  async #appendAlone(owner: RunLog, events: AttributedEvent[]): Promise<void> {
    try {
      const items = events.map((event) => ({ event }));
      this.#settle(new Map([[owner, items]]), await this.#append(events));
    } catch (error) {
      owner.refused(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Appending twice adds nothing twice, so a lost connection is answered by trying again. */
  #append(events: AttributedEvent[]): Promise<Set<string>> {
    return outliveConnections(() => this.#events.append(events));
  }
}

/** The log of one attempt. `write` never waits; `room` and `flush` do, and throw what kept an event out of the log. */
export class RunLog {
  readonly attempt: AttemptRef;
  #nextSeq: number;
  #unlogged = 0;
  #fault: Error | null = null;
  #waiters: (() => void)[] = [];
  readonly #enqueue: (event: AttributedEvent, owner: RunLog) => void;

  constructor(attempt: AttemptRef, lastSeq: number, enqueue: (event: AttributedEvent, owner: RunLog) => void) {
    this.attempt = attempt;
    this.#nextSeq = lastSeq + 1;
    this.#enqueue = enqueue;
  }

  /** The number that the next event gets. */
  get nextSeq(): number {
    return this.#nextSeq;
  }

  write(event: string, data: unknown): void {
    const { run_id, thread_id, fencing_token } = this.attempt;
    const entry: RunEvent = { seq: this.#nextSeq++, event: oneLine(event), data: JSON.stringify(data), at: Date.now() };
    this.#unlogged += 1;
    this.#enqueue({ ...entry, run_id, thread_id, fencing_token }, this);
  }

  /** Resolves when the backlog is short enough to write more. */
  room(): Promise<void> {
    return this.#until(MAX_BACKLOG);
  }

  /** Resolves when everything written so far can be replayed. */
  flush(): Promise<void> {
    return this.#until(0);
  }

  logged(count: number): void {
    this.#unlogged -= count;
    this.#wake();
  }

  refused(fault: Error): void {
    this.#fault = fault;
    this.#wake();
  }

  async #until(backlog: number): Promise<void> {
    while (this.#fault === null && this.#unlogged > backlog) {
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
    if (this.#fault) throw this.#fault;
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }
}

/** A name of an event may hold a node's name, and that anything: neither the log nor SSE takes control characters. */
function oneLine(name: string): string {
  return name.replaceAll(/\p{Cc}/gu, '\uFFFD').toWellFormed();
}

function groupByOwner<T extends { owner: RunLog }>(items: T[]): Map<RunLog, T[]> {
  const groups = new Map<RunLog, T[]>();
  for (const item of items) {
    const group = groups.get(item.owner);
    if (group) group.push(item);
    else groups.set(item.owner, [item]);
  }
  return groups;
}
