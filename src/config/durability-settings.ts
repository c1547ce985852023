import { z } from 'zod';
import { DURABILITIES } from '../core/run.ts';
import { BudgetLimits } from './usage-settings.ts';

/** `baton.graphs` of langgraph.json, by graph id. */
export const GraphSettings = z.record(
  z.string(),
  z.strictObject({
    state: z.string().optional(),
    durability: z.enum(DURABILITIES).optional(),
    budget: BudgetLimits.optional(),
  }),
);

/** `baton.auto_durability`: the worth of unsaved work that is saved, with durability `auto`. */
export const AutoDurability = z
  .strictObject({ seconds: z.number().min(0).default(2), cost: z.number().min(0).default(0.01) })
  .transform(({ seconds, cost }) => ({ ms: seconds * 1000, cost }));
