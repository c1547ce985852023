import { z } from 'zod';

const tokens = z.int();

const sums = z.object({
  calls: z.int().describe('Of models'),
  unpriced_calls: z.int().describe('Calls whose price is not known: their cost is in no sum'),
  input_tokens: tokens,
  output_tokens: tokens,
  cache_read_tokens: tokens.describe('Of the input'),
  cache_write_tokens: tokens.describe('Of the input'),
  total_tokens: tokens,
  cost: z.number().nullable().describe('In US dollars; null when no call has a known price'),
});
const nodeSums = sums.extend({
  executions: z.int().describe('Of nodes that called a model or took 10 ms'),
  seconds: z.number().describe('Time of these nodes; of those that ran side by side, the sum'),
});

export const usage = z
  .object({
    totals: nodeSums,
    by_node: z.array(nodeSums.extend({ node: z.string() })),
    by_model: z.array(sums.extend({ model: z.string().nullable() })),
    saved: nodeSums.describe('Finished nodes that were not executed again after a worker was lost'),
  })
  .meta({ title: 'Usage' });

export const usageQuery = z.strictObject({ graph_id: z.string() });
