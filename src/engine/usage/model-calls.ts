import { BaseCallbackHandler } from '@langchain/core/callbacks/base';
import type { AIMessage, UsageMetadata } from '@langchain/core/messages';
import type { ChatGeneration, LLMResult } from '@langchain/core/outputs';
import type { TokenCount } from '../../core/usage.ts';
import type { CalledModel } from './price-list.ts';

export interface ModelCall {
  model: CalledModel;
  /** All zero when the provider says nothing. */
  tokens: TokenCount;
  /** Where in the graph: `node:task|node:task`. */
  place: string;
}

interface Begun {
  asked: string | null;
  provider: string | null;
  place: string;
}

/** Reports each model call that has ended. One that fails reports no tokens, as its provider says none. */
export class ModelCalls extends BaseCallbackHandler {
  override readonly name = 'baton_usage';
  /** At once, not when somebody finds the time. */
  override awaitHandlers = true;
  override ignoreChain = true;
  override ignoreAgent = true;
  override ignoreRetriever = true;
  override ignoreCustomEvent = true;
  readonly #begun = new Map<string, Begun>();
  readonly #report: (call: ModelCall) => void;

  constructor(report: (call: ModelCall) => void) {
    super();
    this.#report = report;
  }

  override handleChatModelStart(...[, , runId, , , , metadata]: Parameters<ChatStart>): void {
    this.#begin(runId, metadata);
  }

  override handleLLMStart(...[, , runId, , , , metadata]: Parameters<Start>): void {
    this.#begin(runId, metadata);
  }

  override handleLLMError(_error: unknown, runId: string): void {
    this.#begun.delete(runId);
  }

  override handleLLMEnd({ generations }: LLMResult, runId: string): void {
    const { asked = null, provider = null, place = '' } = this.#begun.get(runId) ?? {};
    this.#begun.delete(runId);
    // Of several answers to one question, each has the tokens of all.
    const messages = generations.flat().flatMap((generation) => (generation as Partial<ChatGeneration>).message ?? []);
    const message = (messages.find((candidate) => 'usage_metadata' in candidate && candidate.usage_metadata) ??
      messages[0]) as AIMessage | undefined;
    const { model_name, model, model_provider } = message?.response_metadata ?? {};
    this.#report({
      model: { answered: textOf(model_name) ?? textOf(model), asked, provider: provider ?? textOf(model_provider) },
      tokens: tokensOf(message?.usage_metadata),
      place,
    });
  }

  #begin(runId: string, metadata: Record<string, unknown> = {}): void {
    const { ls_model_name, ls_provider, langgraph_checkpoint_ns } = metadata;
    const place = textOf(langgraph_checkpoint_ns) ?? '';
    this.#begun.set(runId, { asked: textOf(ls_model_name), provider: textOf(ls_provider), place });
  }
}

type ChatStart = NonNullable<BaseCallbackHandler['handleChatModelStart']>;
type Start = NonNullable<BaseCallbackHandler['handleLLMStart']>;

function tokensOf(usage: UsageMetadata | undefined): TokenCount {
  const { input_tokens = 0, output_tokens = 0, input_token_details } = usage ?? {};
  const { cache_read = 0, cache_creation = 0 } = input_token_details ?? {};
  // Some providers' classes leave the cached ones out of the input.
  const isApart = cache_read + cache_creation > input_tokens;
  return {
    input_tokens: isApart ? input_tokens + cache_read + cache_creation : input_tokens,
    output_tokens,
    cache_read_tokens: cache_read,
    cache_write_tokens: cache_creation,
  };
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
