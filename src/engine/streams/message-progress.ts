import { isBaseMessageChunk, type BaseMessage, type BaseMessageChunk } from '@langchain/core/messages';
import type { Json } from '../../core/json.ts';
import type { EmittedEvent } from '../../core/run-event.ts';
import { toWire } from '../wire.ts';

/**
 * The wire's older `messages` mode: of a message that a model writes, `messages/metadata` once and `messages/partial` with all
 * of it so far at each piece; `messages/complete` for those that the state has got since it was shown last.
 */
export class MessageProgress {
  readonly #sofar = new Map<string, BaseMessageChunk>();
  readonly #completed = new Set<string>();

  /** Messages that come whole are told about when the state has them. */
  *piece(message: BaseMessage, metadata: object): Generator<EmittedEvent, void> {
    const { id } = message;
    if (id === undefined || !isBaseMessageChunk(message)) return;
    const before = this.#sofar.get(id);
    if (!before) yield { event: 'messages/metadata', data: { [id]: { metadata: toWire(withoutTracing(metadata)) } } };
    const accumulated = before ? before.concat(message) : message;
    this.#sofar.set(id, accumulated);
    yield { event: 'messages/partial', data: [wholeType(toWire(accumulated))] };
  }

  *state(values: unknown): Generator<EmittedEvent, void> {
    const messages = isRecord(values) ? [values['messages']].flat() : [];
    const fresh = messages.filter((message): message is { id: string } => {
      if (!isRecord(message) || typeof message['id'] !== 'string' || this.#completed.has(message['id'])) return false;
      this.#completed.add(message['id']);
      return true;
    });
    if (fresh.length > 0) yield { event: 'messages/complete', data: toWire(fresh) };
  }
}

/** This mode is older than the tags and the name that LangGraph puts beside the metadata. */
function withoutTracing(metadata: object): object {
  const { tags: _tags, name: _name, ...rest } = metadata as { tags?: unknown; name?: unknown };
  return rest;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** What is accumulated is shown as the message that it becomes: `ai`, not `AIMessageChunk`. */
function wholeType(message: Json): Json {
  if (message === null || typeof message !== 'object' || Array.isArray(message)) return message;
  const { type } = message;
  return typeof type === 'string' ? { ...message, type: type.replace(/MessageChunk$/, '').toLowerCase() } : message;
}
