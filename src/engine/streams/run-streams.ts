import type { Logger } from 'pino';
import { END_EVENT, type RunEvent } from '../../core/run-event.ts';
import { CHANNELS } from '../../database/channels.ts';
import type { Listener } from '../../database/listener.ts';
import type { RunEvents } from '../../database/run-events.ts';

const PAGE = 500;
/** Beyond this many events handed over and not yet read, a reader goes back to the log instead of holding them in memory. */
const MAX_HELD = 1000;
/** How late a reader is at most when the hint for him got lost. */
const NET_MS = 5000;

/** Of a run or a thread: what waits for one reader, which is events fresh from a run's log, and whether there may be more to find. */
class Inbox {
  fresh: RunEvent[] = [];
  /** A reader subscribes first and replays then: it starts by looking. */
  mustLook = true;
  /** Everything up to this number was handed over or read, or will be by the next look. */
  #known = -1;
  #wake: (() => void) | null = null;

  deliver(events: readonly RunEvent[]): void {
    this.has(events);
    if (this.fresh.length + events.length > MAX_HELD) {
      this.fresh = [];
      this.mustLook = true;
    } else {
      this.fresh.push(...events);
    }
    this.wake();
  }

  /** `seq`: there is something up to this number; null: who knows. */
  look(seq: number | null): void {
    if (seq !== null && seq <= this.#known) return;
    this.mustLook = true;
    this.wake();
  }

  has(events: readonly RunEvent[]): void {
    this.#known = Math.max(this.#known, events.at(-1)?.seq ?? -1);
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

export interface ThreadWatch {
  /** Resolves at once the first time, later when something happened on the thread since, or when the signal says so. */
  changed(): Promise<void>;
  close(): void;
}

/**
 * Feeds readers of run logs, on any process, at any time: an event reaches a reader only once the log has it. Events of
 * this process are handed over as they are committed; of others a NOTIFY says only that there is something to look for.
 */
export class RunStreams {
  readonly #events: RunEvents;
  readonly #log: Logger;
  /** By the id of a run or a thread. */
  readonly #inboxes = new Map<string, Set<Inbox>>();
  #unlisten: (() => void) | null = null;
  #net: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor({ events, log }: { events: RunEvents; log: Logger }) {
    this.#events = events;
    this.#log = log;
  }

  async start(listener: Listener): Promise<void> {
    this.#unlisten = await listener.listen(CHANNELS.events, (ids) => this.#hint(ids));
    this.#net = setInterval(() => void this.lookAround(), NET_MS).unref();
  }

  /** Whether the process is about to end: readers that go now were sent away. */
  get stopped(): boolean {
    return this.#stopped;
  }

  stop(): void {
    this.#stopped = true;
    this.#unlisten?.();
    this.#unlisten = null;
    if (this.#net) clearInterval(this.#net);
  }

  /** The net under the notifications: asks, in one statement for all readers, how far the logs are. */
  async lookAround(): Promise<void> {
    if (this.#inboxes.size === 0) return;
    try {
      for (const { id, seq } of await this.#events.heights([...this.#inboxes.keys()])) {
        for (const inbox of this.#inboxes.get(id) ?? []) inbox.look(seq);
      }
    } catch (error) {
      this.#log.debug({ err: error }, 'could not look for missed notifications; will look again');
    }
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

  /** Tells when there may be news of a thread: a run that began, went on or went away, or a change of its state. */
  watch(threadId: string, signal: AbortSignal): ThreadWatch {
    const inbox = this.#subscribe(threadId);
    const onAbort = () => inbox.wake();
    signal.addEventListener('abort', onAbort);
    return {
      changed: async () => {
        await inbox.wait(signal);
        inbox.mustLook = false;
      },
      close: () => {
        signal.removeEventListener('abort', onAbort);
        this.#unsubscribe(threadId, inbox);
      },
    };
  }

  /** The events that follow `last` as far as they are known here; null when there will be none. */
  async #next(runId: string, inbox: Inbox, last: number): Promise<RunEvent[] | null> {
    const fresh = inbox.fresh.filter((event) => event.seq > last);
    const hasEnded = inbox.fresh.at(-1)?.event === END_EVENT;
    inbox.fresh = [];
    if (fresh[0]?.seq === last + 1) return fresh;
    // Nothing, or something with a gap before it, which only the log can fill; or an end before the place it asked for.
    if (fresh.length === 0 && !inbox.mustLook && !hasEnded) return [];
    inbox.mustLook = false;
    const page = await this.#events.after(runId, last, PAGE);
    inbox.has(page);
    if (page.length === PAGE) inbox.mustLook = true;
    if (page.length > 0 || (await this.#events.isExpected(runId))) return page;
    // It has ended or is gone. The end may have come between the two questions; else the reader has asked for what is past it.
    const rest = await this.#events.after(runId, last, PAGE);
    return rest.length > 0 ? rest : null;
  }

  #hint(payload: string | null): void {
    if (payload === null) {
      this.#log.debug('notifications may have been missed: every reader looks at its log');
      for (const inboxes of this.#inboxes.values()) for (const inbox of inboxes) inbox.look(null);
      return;
    }
    const [threadId = '', runId = '', seq] = payload.split(' ');
    for (const inbox of this.#inboxes.get(threadId) ?? []) inbox.look(null);
    const tell = () => {
      for (const inbox of this.#inboxes.get(runId) ?? []) inbox.look(seq === undefined ? null : Number(seq));
    };
    // What this process has added itself is handed over in this turn, if its own answer came with the notification.
    if (seq === undefined) tell();
    else setImmediate(tell);
  }

  #subscribe(id: string): Inbox {
    const inbox = new Inbox();
    const inboxes = this.#inboxes.get(id) ?? new Set();
    this.#inboxes.set(id, inboxes.add(inbox));
    return inbox;
  }

  #unsubscribe(id: string, inbox: Inbox): void {
    const inboxes = this.#inboxes.get(id);
    inboxes?.delete(inbox);
    if (inboxes?.size === 0) this.#inboxes.delete(id);
  }
}
