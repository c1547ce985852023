import { type BaseMessage, isAIMessage, isToolMessage } from '@langchain/core/messages';
import type { TokenCounter } from './tokens.ts';

/** Messages that stay together: an answer that calls tools, and what the tools said. No model takes one without the other. */
export interface MessageGroup {
  messages: BaseMessage[];
  tokens: number;
}

/** What the frame of a message takes besides its text. */
const FRAME_TOKENS = 4;

export function messageGroups(messages: readonly BaseMessage[], tokens: TokenCounter): MessageGroup[] {
  const groups: MessageGroup[] = [];
  let waiting = new Set<string>();
  for (const message of messages) {
    const last = groups.at(-1);
    const size = tokensOf(message, tokens);
    if (last !== undefined && isToolMessage(message) && waiting.has(message.tool_call_id)) {
      last.messages.push(message);
      last.tokens += size;
      continue;
    }
    waiting = new Set(isAIMessage(message) ? message.tool_calls?.flatMap(({ id }) => id ?? []) : []);
    groups.push({ messages: [message], tokens: size });
  }
  return groups;
}

function tokensOf(message: BaseMessage, tokens: TokenCounter): number {
  const calls = isAIMessage(message) && message.tool_calls?.length ? JSON.stringify(message.tool_calls) : '';
  const text = typeof message.content === 'string' ? message.content : JSON.stringify(message.content);
  return tokens(text + calls) + FRAME_TOKENS;
}
