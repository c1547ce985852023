import { isBaseMessageChunk, type BaseMessage, type BaseMessageChunk } from '@langchain/core/messages';
import type { Json } from '../core/json.ts';
import type { EmittedEvent } from '../core/run-event.ts';
import { toWire } from './wire.ts';

/**
 * The wire's older `messages` mode: `messages/metadata` once a message, `messages/partial` with all of it so far at each
 * chunk, `messages/complete` for one that came whole.
 */
export class MessageProgress {
  readonly #sofar = new Map<string, BaseMessageChunk>();
  readonly #announced = new Set<string>();

  *advance(message: BaseMessage, metadata: unknown): Generator<EmittedEvent, void> {
    const id = message.id ?? '';
    if (!this.#announced.has(id)) {
      this.#announced.add(id);
      yield { event: 'messages/metadata', data: { [id]: { metadata: toWire(metadata) } } };
    }
    if (!isBaseMessageChunk(message)) {
      yield { event: 'messages/complete', data: [toWire(message)] };
      return;
    }
    const before = this.#sofar.get(id);
    const accumulated = before ? before.concat(message) : message;
    this.#sofar.set(id, accumulated);
    yield { event: 'messages/partial', data: [wholeType(toWire(accumulated))] };
  }
}

/** What is accumulated is shown as the message that it becomes: `ai`, not `AIMessageChunk`. */
function wholeType(message: Json): Json {
  if (message === null || typeof message !== 'object' || Array.isArray(message)) return message;
  const { type } = message;
  return typeof type === 'string' ? { ...message, type: type.replace(/MessageChunk$/, '').toLowerCase() } : message;
}
