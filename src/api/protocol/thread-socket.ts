import type { WebSocket } from 'ws';
import type { Logger } from 'pino';
import type { Caller } from '../../core/caller.ts';
import { uuidv7 } from '../../core/ids.ts';
import type { JsonObject } from '../../core/json.ts';
import { isWanted, type Subscription } from '../../engine/protocol/subscription.ts';
import type { ThreadEvents } from '../../engine/protocol/thread-events.ts';
import { assertShallow } from '../../http/json-depth.ts';
import { parse } from '../../http/parse.ts';
import { commandIn, type CommandAnswer, type Commands } from './commands.ts';
import { Refusal } from './refusal.ts';
import * as schemas from './schemas.ts';

/** Close codes: https://www.iana.org/assignments/websocket; 4000 and more are 4000 + the HTTP status. */
const INTERNAL_ERROR = 1011;
const NOT_FOUND = 4404;

export interface ThreadSocketParts {
  socket: WebSocket;
  threadId: string;
  caller: Caller;
  events: ThreadEvents;
  commands: Commands;
  log: Logger;
}

/** A subscription with the number of the last event that it has seen go by. */
type Active = Subscription & { seenSeq: number };

/**
 * One WebSocket of the protocol of threads: commands come in, their answers and the events of its subscriptions go out. All
 * subscriptions are fed by one reader in the thread's order: clients take the end of a run for the end of all its events.
 */
export class ThreadSocket {
  readonly #parts: ThreadSocketParts;
  readonly #subscriptions = new Map<string, Active>();
  readonly #closed = new AbortController();
  #reader: { stop: AbortController; ended: Promise<void> } | null = null;
  /** Messages are worked on one after the other. */
  #work: Promise<void> = Promise.resolve();

  constructor(parts: ThreadSocketParts) {
    this.#parts = parts;
    const { socket } = parts;
    socket.on('message', (data: Buffer) => {
      // No more is read than is worked on.
      socket.pause();
      this.#work = this.#work.then(() => this.#take(data)).finally(() => socket.resume());
    });
    socket.on('close', () => this.#closed.abort());
    socket.on('error', (error) => parts.log.debug({ err: error }, 'a WebSocket broke'));
  }

  async #take(text: Buffer): Promise<void> {
    if (this.#closed.signal.aborted) return;
    const body = bodyOf(text);
    const isSubscribe = methodOf(body) === 'subscription.subscribe';
    if (isSubscribe) return this.#subscribe(body);
    await this.#send(JSON.stringify(await this.#answer(body)));
  }

  #answer(body: unknown): Promise<CommandAnswer> {
    const { commands, caller, threadId } = this.#parts;
    if (methodOf(body) !== 'subscription.unsubscribe') return commands.execute(caller, threadId, body);
    return commands.answer(body, async () => this.#unsubscribe(commandIn(body).params));
  }

  /** The answer goes out before the first event; then all events so far, then those that come. */
  async #subscribe(body: unknown): Promise<void> {
    const { commands, events, threadId } = this.#parts;
    await this.#stopReader();
    let active: Active | null = null;
    const id = uuidv7();
    const answer = await commands.answer(body, async () => {
      const { since = 0, ...subscription } = parse(schemas.subscribe, commandIn(body).params, 'params').value;
      let replayed = 0;
      for await (const event of events.replay(threadId)) {
        if (event.seq > since && isWanted(subscription, event)) replayed += 1;
      }
      active = { ...subscription, seenSeq: since };
      return { result: { subscription_id: id, replayed_events: replayed }, meta: { thread_id: threadId } };
    });
    await this.#send(JSON.stringify(answer));
    if (active) this.#subscriptions.set(id, active);
    this.#startReader();
  }

  #unsubscribe(params: JsonObject): { result: JsonObject; meta: JsonObject } {
    const { subscription_id } = parse(schemas.unsubscribe, params, 'params').value;
    if (!this.#subscriptions.delete(subscription_id)) {
      throw new Refusal('no_such_subscription', `This socket has no subscription ${subscription_id}`);
    }
    return { result: {}, meta: { thread_id: this.#parts.threadId } };
  }

  #startReader(): void {
    if (this.#subscriptions.size === 0 || this.#closed.signal.aborted) return;
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.#closed.signal]);
    this.#reader = { stop, ended: this.#read(signal) };
  }

  async #stopReader(): Promise<void> {
    this.#reader?.stop.abort();
    await this.#reader?.ended;
    this.#reader = null;
  }

  async #read(signal: AbortSignal): Promise<void> {
    const { socket, events, threadId, log } = this.#parts;
    const since = Math.min(...[...this.#subscriptions.values()].map(({ seenSeq }) => seenSeq));
    try {
      for await (const event of events.follow(threadId, { since, signal })) {
        if (signal.aborted) return;
        let wanted = false;
        for (const subscription of this.#subscriptions.values()) {
          if (event.seq <= subscription.seenSeq) continue;
          subscription.seenSeq = event.seq;
          wanted ||= isWanted(subscription, event);
        }
        if (wanted) await this.#send(event.text);
      }
      if (!signal.aborted) socket.close(NOT_FOUND, 'The thread was deleted');
    } catch (error) {
      log.warn({ err: error, thread_id: threadId }, 'the events of a thread could not be read');
      socket.close(INTERNAL_ERROR);
    }
  }

  /** Resolves when the connection has taken it, so that a slow client costs no memory. */
  async #send(text: string): Promise<void> {
    if (this.#closed.signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.#parts.socket.send(text, () => resolve());
    });
  }
}

/** Undefined for what is no JSON, or too deep for it: the answer says what a command has to be. */
function bodyOf(text: Buffer): unknown {
  try {
    assertShallow(text);
    return JSON.parse(text.toString()) as unknown;
  } catch {
    return undefined;
  }
}

function methodOf(body: unknown): unknown {
  return (body as { method?: unknown } | null | undefined)?.method;
}
