import { type BaseMessage, HumanMessage, SystemMessage } from '@langchain/core/messages';
import { InvalidInputError } from '../core/errors.ts';
import { messageGroups } from './message-groups.ts';
import { estimateTokens, type TokenCounter } from './tokens.ts';

/** Something of the state that a model should see. */
export interface ViewPart {
  /** For what was left out: see `View.left_out`. */
  name: string;
  /** A text, or a conversation, of which the newest messages count most. */
  content: string | readonly BaseMessage[];
  /** The greater, the sooner it is taken in, and the nearer it stands to the beginning or the end. Default: 0. */
  priority?: number;
  /** Who says a text. Texts of a `system` stand before all else. Default: `human`. */
  role?: 'system' | 'human';
  /** A text that is too long may lose its middle. Without it a text is there as a whole or not at all. */
  cut?: boolean;
}

export interface ViewOptions {
  /** In tokens. */
  budget: number;
  /** Default: an estimate from the length of the text. */
  tokens?: TokenCounter;
}

export interface LeftOut {
  name: string;
  /** Of a conversation; 0 of a text. */
  messages: number;
  tokens: number;
}

export interface View {
  /** For the model. */
  messages: BaseMessage[];
  /** What they take. */
  tokens: number;
  /** What the budget had no room for, if anything. */
  left_out: LeftOut[];
}

interface Taken {
  part: ViewPart;
  content: string | BaseMessage[];
  tokens: number;
}

/**
 * What a model is shown of the state, under a budget of tokens.
 *
 *     const { messages, left_out } = view(
 *       [
 *         { name: 'rules', content: RULES, role: 'system', priority: 3 },
 *         { name: 'document', content: state.text, priority: 2, cut: true },
 *         { name: 'conversation', content: state.messages, priority: 1 },
 *       ],
 *       { budget: 8000 },
 *     );
 *
 * Parts are taken in by their priority. The most important stand first and last, since models overlook what is in the
 * middle: the first of them at the beginning, the second at the end, and so on inwards. Of a conversation the newest
 * messages are taken, in their order, a tool's answer never without its call; a message is never cut in two. Texts of one
 * role that come to stand side by side are one message.
 * @throws InvalidInputError when the budget is no positive number.
 */
export function view(parts: readonly ViewPart[], { budget, tokens = estimateTokens }: ViewOptions): View {
  if (!(budget > 0)) throw new InvalidInputError(`A view needs a budget of tokens above 0, not ${budget}`);
  const byPriority = parts.toSorted((a, b) => (b.priority ?? 0) - (a.priority ?? 0));
  const taken: Taken[] = [];
  const leftOut: LeftOut[] = [];
  let left = budget;
  for (const part of byPriority) {
    const { content, ...size } =
      typeof part.content === 'string'
        ? fitText(part, part.content, left, tokens)
        : fitMessages(part.content, left, tokens);
    if (size.lostTokens > 0) leftOut.push({ name: part.name, messages: size.lostMessages, tokens: size.lostTokens });
    if (content.length > 0) taken.push({ part, content, tokens: size.tokens });
    left -= size.tokens;
  }
  const system = taken.filter(({ part }) => part.role === 'system');
  const others = taken.filter(({ part }) => part.role !== 'system');
  return { messages: messagesOf([...system, ...outsideIn(others)]), tokens: budget - left, left_out: leftOut };
}

interface Fit<T> {
  content: T;
  tokens: number;
  lostMessages: number;
  lostTokens: number;
}

function fitText({ cut = false }: ViewPart, text: string, room: number, tokens: TokenCounter): Fit<string> {
  const all = tokens(text);
  if (all <= room) return { content: text, tokens: all, lostMessages: 0, lostTokens: 0 };
  const content = cut ? shortened(text, room, tokens) : '';
  const kept = content === '' ? 0 : tokens(content);
  return { content, tokens: kept, lostMessages: 0, lostTokens: all - kept };
}

const GAP = '\n[… left out …]\n';

/** As much of the beginning and of the end as fits; found by halving, since a counter need not be linear. */
function shortened(text: string, room: number, tokens: TokenCounter): string {
  const withChars = (chars: number): string =>
    text.slice(0, Math.ceil(chars / 2)) + GAP + text.slice(text.length - Math.floor(chars / 2));
  let fits = 0;
  for (let tooMany = text.length; tooMany - fits > 1;) {
    const chars = Math.floor((fits + tooMany) / 2);
    if (tokens(withChars(chars)) <= room) fits = chars;
    else tooMany = chars;
  }
  return fits > 0 ? withChars(fits) : '';
}

function fitMessages(messages: readonly BaseMessage[], room: number, tokens: TokenCounter): Fit<BaseMessage[]> {
  const groups = messageGroups(messages, tokens);
  let used = 0;
  let from = groups.length;
  while (from > 0 && used + (groups[from - 1]?.tokens ?? 0) <= room) used += groups[(from -= 1)]?.tokens ?? 0;
  const content = groups.slice(from).flatMap((group) => group.messages);
  const lostTokens = groups.slice(0, from).reduce((sum, group) => sum + group.tokens, 0);
  return { content, tokens: used, lostMessages: messages.length - content.length, lostTokens };
}

/** The first stays first, the second becomes the last, the third the second, and so on. */
function outsideIn<T>(items: readonly T[]): T[] {
  const front = items.filter((_, index) => index % 2 === 0);
  const back = items.filter((_, index) => index % 2 === 1);
  return [...front, ...back.toReversed()];
}

function messagesOf(taken: readonly Taken[]): BaseMessage[] {
  const messages: BaseMessage[] = [];
  let texts: string[] = [];
  const close = (role: ViewPart['role']): void => {
    const content = texts.join('\n\n');
    if (texts.length > 0) messages.push(role === 'system' ? new SystemMessage(content) : new HumanMessage(content));
    texts = [];
  };
  for (const [index, { part, content }] of taken.entries()) {
    if (typeof content === 'string') texts.push(content);
    else messages.push(...content);
    const next = taken[index + 1];
    const goesOn = typeof next?.content === 'string' && (next.part.role ?? 'human') === (part.role ?? 'human');
    if (!goesOn) close(part.role);
  }
  return messages;
}
