import { calcPrice } from '@pydantic/genai-prices';
import type { ModelPrices, TokenCount } from '../../core/usage.ts';

/** What is known of the model that was called. */
export interface CalledModel {
  /** As its provider answers with it. */
  answered: string | null;
  /** As the graph asks for it. */
  asked: string | null;
  provider: string | null;
}

const MILLION = 1_000_000;

/** What calls of models cost: by the prices that the project gives, else by the list that comes with Baton. Asks nobody. */
export class PriceList {
  readonly #own: ModelPrices;
  constructor(own: ModelPrices) {
    this.#own = own;
  }

  /** In US dollars; null when the price is not known. */
  cost({ answered, asked, provider }: CalledModel, tokens: TokenCount): number | null {
    const names = [answered, asked].filter((name) => name !== null);
    const own = names.find((name) => Object.hasOwn(this.#own, name));
    if (own !== undefined) return this.#ownCost(own, tokens);
    for (const name of names) {
      const cost = listCost(name, provider, tokens) ?? listCost(name, null, tokens);
      if (cost !== null) return cost;
    }
    return null;
  }

  #ownCost(name: string, tokens: TokenCount): number | null {
    const price = this.#own[name];
    if (!price) return null;
    const { input, output, cache_read = input, cache_write = input } = price;
    const { input_tokens, output_tokens, cache_read_tokens, cache_write_tokens } = tokens;
    const uncached = input_tokens - cache_read_tokens - cache_write_tokens;
    const sum =
      uncached * input + cache_read_tokens * cache_read + cache_write_tokens * cache_write + output_tokens * output;
    return sum / MILLION;
  }
}

function listCost(name: string, provider: string | null, tokens: TokenCount): number | null {
  try {
    return calcPrice({ ...tokens }, name, provider === null ? {} : { providerId: provider })?.total_price ?? null;
  } catch {
    // It knows the model, and not a price for each kind of these tokens.
    return null;
  }
}
