import type { Json, JsonObject } from '../../core/json.ts';
import type { Interrupt } from '../../core/thread.ts';
import { RpcError } from './rpc-error.ts';
import { resumeData, type IncomingMessage, type Message, type Part } from './schemas.ts';

/** What a run is started with: the texts as one message of a person, the data as fields beside it. */
export function inputOf({ parts, messageId }: IncomingMessage): JsonObject {
  const text = textOf(parts);
  return {
    ...Object.assign({}, ...parts.map((part) => (part.kind === 'data' ? part.data : {}))),
    ...(text !== null && { messages: [{ role: 'user', content: text, id: messageId }] }),
  } as JsonObject;
}

/**
 * The answer to what a task asks: `{resume: [{id, value}]}` names the questions; any other data, or else the text, answers the
 * only one. Throws RpcError when that is not clear.
 */
export function answerOf({ parts }: IncomingMessage, questions: readonly Interrupt[]): JsonObject {
  const data = parts.find((part) => part.kind === 'data')?.data;
  if (Array.isArray(data?.['resume'])) {
    const { success, data: answers } = resumeData.safeParse(data['resume']);
    if (!success) throw new RpcError('invalid_params', 'data.resume: each answer is {"id": …, "value": …}');
    return Object.fromEntries(answers.map(({ id, value }) => [id, value ?? null]));
  }
  const [question] = questions;
  if (questions.length !== 1 || question?.id === undefined) {
    throw new RpcError(
      'invalid_params',
      'The task asks several things: send a data part {"resume": [{"id", "value"}]}',
    );
  }
  return { [question.id]: (data as Json | undefined) ?? textOf(parts) };
}

/** What a run came to: the last thing that the agent said, or else its values. */
export function resultParts(values: Json): Part[] {
  const said = isObject(values) && Array.isArray(values['messages']) ? values['messages'].at(-1) : undefined;
  const text = isObject(said ?? null) && (said as JsonObject)['type'] === 'ai' ? contentOf(said as JsonObject) : '';
  if (text !== '') return [{ kind: 'text', text }];
  return [{ kind: 'data', data: isObject(values) ? values : { result: values } }];
}

/** The questions of a task, to be read by people and by programs. */
export function questionParts(questions: readonly Interrupt[]): Part[] {
  const texts = questions.map(({ value }) => (typeof value === 'string' ? value : JSON.stringify(value ?? null)));
  return [
    { kind: 'text', text: texts.join('\n') },
    { kind: 'data', data: { interrupts: questions as unknown as Json } },
  ];
}

/** The messages of a thread as the protocol has them, the latest `limit` of them. */
export function historyOf(values: Json, place: Pick<Message, 'contextId' | 'taskId'>, limit: number): Message[] {
  const messages = isObject(values) && Array.isArray(values['messages']) ? values['messages'] : [];
  return (limit === 0 ? [] : messages.slice(-limit)).flatMap((message, index): Message[] => {
    if (!isObject(message)) return [];
    const role = message['type'] === 'human' ? 'user' : 'agent';
    const messageId = typeof message['id'] === 'string' ? message['id'] : `${place.taskId}:${index}`;
    return [{ kind: 'message', role, messageId, parts: [{ kind: 'text', text: contentOf(message) }], ...place }];
  });
}

/** The text of a message as LangChain writes it: a text, or blocks. */
export function contentOf({ content }: { content?: Json }): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((block) => (isObject(block) && typeof block['text'] === 'string' ? block['text'] : '')).join('');
}

function textOf(parts: IncomingMessage['parts']): string | null {
  const texts = parts.flatMap((part) => (part.kind === 'text' ? [part.text] : []));
  return texts.length > 0 ? texts.join('\n') : null;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
