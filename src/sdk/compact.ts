import { type BaseMessage, RemoveMessage, SystemMessage } from '@langchain/core/messages';
import { Overwrite, REMOVE_ALL_MESSAGES } from '@langchain/langgraph';
import { messageGroups } from './message-groups.ts';
import { estimateTokens, type TokenCounter } from './tokens.ts';

/** What a channel takes for "this is all there is now". */
export type Replacement =
  /** One with `messagesStateReducer`: all messages are removed and those that stay put again. */
  | 'messages'
  /** One with any other reducer, and a DeltaChannel. */
  | 'overwrite'
  /** One without a reducer. */
  | 'value';

export interface CompactMessagesOptions {
  /** Compacts when the messages take more tokens than this. */
  above: number;
  /** Of the newest messages so many tokens stay as they are. Default: half of `above`. */
  keep?: number;
  /**
   * What stands for the messages that go: ask a model, or make it of what they say. The summary before it is among them.
   * Without it they go without a trace.
   */
  summarise?: (old: BaseMessage[]) => string | Promise<string>;
  /** Default: `messages`. */
  replace?: Replacement;
}

export interface CompactOptions<State> {
  /** By channel: lists of messages that grow. */
  messages?: { [K in keyof State]?: CompactMessagesOptions };
  /** Channels that have done their work: they become null. They must allow it and have no reducer. */
  drop?: readonly (keyof State)[];
  /** Channels that are rarely needed from now on: what `store` makes of the value, such as a reference, takes its place. */
  move?: { [K in keyof State]?: (value: NonNullable<State[K]>) => unknown };
  /** Default: an estimate from the length of the text. */
  tokens?: TokenCounter;
}

/** The id of the message that stands for those that went. */
const SUMMARY_ID = 'baton-summary';

/**
 * A node that keeps the state small: old messages become a summary, what has done its work goes, what is rarely needed
 * moves to a cold store. Earlier checkpoints keep what they have, so nothing is lost to time travel until it is pruned.
 *
 *     .addNode('compact', compact({
 *       messages: { messages: { above: 6000, summarise: (old) => askForSummary(old) } },
 *       drop: ['raw_text'],
 *       move: { pages: (pages) => archive(pages) },
 *     }))
 *
 * The update is empty when there is nothing to do. It can also be made a part of another node's:
 * `return { booked, ...(await compact({ drop: ['text'] })(state)) }`.
 * A call of a model in `summarise` that must not be paid for twice belongs into an `effect`.
 */
export function compact<State extends object>({
  messages = {},
  drop = [],
  move = {},
  tokens = estimateTokens,
}: CompactOptions<State>) {
  return async (state: State): Promise<Partial<Record<keyof State, unknown>>> => {
    const update: Partial<Record<keyof State, unknown>> = {};
    for (const [key, options] of entriesOf(messages)) {
      if (options === undefined) continue;
      const list = (state[key] ?? []) as BaseMessage[];
      const kept = await compacted(list, options, tokens);
      if (kept !== null) update[key] = replacement(kept, options.replace ?? 'messages');
    }
    for (const key of drop) if (!isEmpty(state[key])) update[key] = null;
    for (const [key, store] of entriesOf(move)) {
      const value = state[key];
      if (store !== undefined && !isEmpty(value)) update[key] = await store(value as NonNullable<typeof value>);
    }
    return update;
  };
}

/** The messages that stay, the summary before them; null when all of them may stay. */
async function compacted(
  list: readonly BaseMessage[],
  { above, keep = above / 2, summarise }: CompactMessagesOptions,
  tokens: TokenCounter,
): Promise<BaseMessage[] | null> {
  const groups = messageGroups(list, tokens);
  if (groups.reduce((sum, group) => sum + group.tokens, 0) <= above) return null;
  let from = groups.length - 1;
  let kept = groups[from]?.tokens ?? 0;
  while (from > 0 && kept + (groups[from - 1]?.tokens ?? 0) <= keep) kept += groups[(from -= 1)]?.tokens ?? 0;
  const old = groups.slice(0, from).flatMap((group) => group.messages);
  if (old.length === 0) return null;
  const recent = groups.slice(from).flatMap((group) => group.messages);
  if (summarise === undefined) return recent;
  return [new SystemMessage({ id: SUMMARY_ID, content: await summarise(old) }), ...recent];
}

function replacement(kept: BaseMessage[], replace: Replacement): unknown {
  switch (replace) {
    case 'messages':
      return [new RemoveMessage({ id: REMOVE_ALL_MESSAGES }), ...kept];
    case 'overwrite':
      return new Overwrite(kept);
    case 'value':
      return kept;
  }
}

function isEmpty(value: unknown): boolean {
  return value === null || value === undefined;
}

function entriesOf<T extends object>(record: T): [keyof T, T[keyof T]][] {
  return Object.entries(record) as [keyof T, T[keyof T]][];
}
