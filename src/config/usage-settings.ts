import { z } from 'zod';

const usd = z.number().min(0);

/** `baton.prices` of langgraph.json: US dollars per million tokens, by the model's name. They go before the list that comes with Baton. */
export const Prices = z.record(
  z.string(),
  z.strictObject({ input: usd, output: usd, cache_read: usd.optional(), cache_write: usd.optional() }),
);

/** What a run may spend before it asks: US dollars, tokens, seconds. */
export const BudgetLimits = z.strictObject({
  cost: z.number().positive().optional(),
  tokens: z.int().positive().optional(),
  seconds: z.number().positive().optional(),
});
