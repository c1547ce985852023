import { z } from 'zod';

/** One charged row of an invoice. Money is in the invoice's currency, as printed: 19.9 is 19 units and 90 hundredths. */
export const InvoiceLine = z.object({
  description: z.string(),
  quantity: z.number(),
  unit_price: z.number(),
  amount: z.number().describe('quantity x unit_price, as printed'),
});
export type InvoiceLine = z.infer<typeof InvoiceLine>;

/**
 * What a model reads from a document. Every field is required and nullable instead of optional, as structured output
 * wants it; an unreadable text is an empty string, and the check complains about it.
 */
export const Invoice = z.object({
  supplier: z.string().describe('the company that sent the invoice'),
  number: z.string().describe("the supplier's own number of the invoice"),
  issue_date: z.string().describe('YYYY-MM-DD'),
  due_date: z.string().nullable().describe('YYYY-MM-DD, null when none is printed'),
  currency: z.string().describe('ISO 4217 code'),
  lines: z.array(InvoiceLine).describe('every charged row, freight and fees too, but no subtotal, tax or total'),
  subtotal: z.number().describe('sum of the lines before tax, as printed'),
  tax: z.number().describe('0 when none is printed'),
  total: z.number().describe('the amount to pay, as printed'),
});
export type Invoice = z.infer<typeof Invoice>;

/** A line with the ledger account that it is booked on. */
export const BookedLine = InvoiceLine.extend({ account: z.string() });
export type BookedLine = z.infer<typeof BookedLine>;
