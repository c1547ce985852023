import type { UsageMetadata } from '@langchain/core/messages';
import type { Usage } from './state.ts';

/** US dollars a million tokens: a small model's list price (gpt-4o-mini). An estimate; a bill comes from the provider. */
const INPUT_USD_PER_MILLION = 0.15;
const OUTPUT_USD_PER_MILLION = 0.6;

/** Eight decimals hide the noise of binary fractions. */
const rounded = (usd: number): number => Math.round(usd * 1e8) / 1e8;

export function usageOf(node: string, model: string, tokens: UsageMetadata | undefined): Usage {
  const inputTokens = tokens?.input_tokens ?? 0;
  const outputTokens = tokens?.output_tokens ?? 0;
  return {
    node,
    model,
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    cost_usd: rounded((inputTokens * INPUT_USD_PER_MILLION + outputTokens * OUTPUT_USD_PER_MILLION) / 1_000_000),
  };
}

export function costUsd(calls: Usage[]): number {
  return rounded(calls.reduce((sum, call) => sum + call.cost_usd, 0));
}
