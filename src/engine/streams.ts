import type { Logger } from 'pino';
import { END_EVENT, type RunEvent } from '../core/run-event.ts';
import { CHANNELS } from '../database/channels.ts';
import type { Listener } from '../database/listener.ts';
import type { RunEvents } from '../database/run-events.ts';

const PAGE = 500;
/** Beyond this many events handed over and not yet read, a reader goes back to the log instead of holding them in memory. */
const MAX_HELD = 1000;

/** What waits for one reader: events fresh from the log, and whether the log may hold more. */
class Inbox {
  fresh: RunEvent[] = [];
  /** A reader subscribes first and replays then: it starts by looking. */
  mustLook = true;
  #wake: (() => void) | null = null;

  deliver(events: readonly RunEvent[]): void {
    if (this.fresh.length + events.length > MAX_HELD) {
      this.fresh = [];
      this.mustLook = true;
    } else {
      this.fresh.push(...events);
    }
    this.wake();
  }

  look(): void {
    this.mustLook = true;
    this.wake();
  }

  wake(): void {
    this.#wake?.();
    this.#wake = null;
  }

  async wait(signal: AbortSignal): Promise<void> {
    if (this.mustLook || this.fresh.length > 0 || signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }
}

/**
 * Feeds readers of run logs, on any process, at any time: an event reaches a reader only once the log has it. Events of
 * this process are handed over as they are committed; of others a NOTIFY says only that there is something to look for.
 */
export class RunStreams {
  readonly #events: RunEvents;
  readonly #log: Logger;
  readonly #inboxes = new Map<string, Set<Inbox>>();
  #unlisten: (() => void) | null = null;
  #stopped = false;

  constructor({ events, log }: { events: RunEvents; log: Logger }) {
    this.#events = events;
    this.#log = log;
  }

  async start(listener: Listener): Promise<void> {
    this.#unlisten = await listener.listen(CHANNELS.events, (runId) => this.#hint(runId));
  }

  /** Whether the process is about to end: readers that go now were sent away. */
  get stopped(): boolean {
    return this.#stopped;
  }

  stop(): void {
    this.#stopped = true;
    this.#unlisten?.();
    this.#unlisten = null;
  }

  /** Hands events over that the log has taken. */
  publish(runId: string, events: readonly RunEvent[]): void {
    for (const inbox of this.#inboxes.get(runId) ?? []) inbox.deliver(events);
  }

  /**
   * The log after `afterSeq` (-1 = from the start), then what is added to it, in order, without a gap or a duplicate.
   * The last one is END_EVENT; when the run is removed (a rollback) the iteration just ends, as it does on `signal`.
   */
  async *follow(
    runId: string,
    { afterSeq, signal }: { afterSeq: number; signal: AbortSignal },
  ): AsyncGenerator<RunEvent, void> {
    const inbox = this.#subscribe(runId);
    const onAbort = () => inbox.wake();
    signal.addEventListener('abort', onAbort);
    let last = afterSeq;
    try {
      while (!signal.aborted) {
        const batch = await this.#next(runId, inbox, last);
        if (batch === null) return;
        for (const event of batch) {
          yield event;
          last = event.seq;
          if (event.event === END_EVENT) return;
        }
        if (batch.length === 0) await inbox.wait(signal);
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#unsubscribe(runId, inbox);
    }
  }

  /** The events that follow `last` as far as they are known here; null when the run is gone. */
  async #next(runId: string, inbox: Inbox, last: number): Promise<RunEvent[] | null> {
    const fresh = inbox.fresh.filter((event) => event.seq > last);
    inbox.fresh = [];
    if (fresh[0]?.seq === last + 1) return fresh;
    // Nothing, or something with a gap before it, which only the log can fill.
    if (fresh.length === 0 && !inbox.mustLook) return [];
    inbox.mustLook = false;
    const page = await this.#events.after(runId, last, PAGE);
    if (page.length === PAGE) inbox.mustLook = true;
    if (page.length === 0 && !(await this.#events.runExists(runId))) return null;
    return page;
  }

  #hint(runId: string | null): void {
    if (runId === null) {
      this.#log.debug('notifications may have been missed: every reader looks at its log');
      for (const inboxes of this.#inboxes.values()) for (const inbox of inboxes) inbox.look();
    } else {
      for (const inbox of this.#inboxes.get(runId) ?? []) inbox.look();
    }
  }

  #subscribe(runId: string): Inbox {
    const inbox = new Inbox();
    const inboxes = this.#inboxes.get(runId) ?? new Set();
    this.#inboxes.set(runId, inboxes.add(inbox));
    return inbox;
  }

  #unsubscribe(runId: string, inbox: Inbox): void {
    const inboxes = this.#inboxes.get(runId);
    inboxes?.delete(inbox);
    if (inboxes?.size === 0) this.#inboxes.delete(runId);
  }
}
