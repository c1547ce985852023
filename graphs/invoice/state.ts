import { ReducedValue, StateSchema } from '@langchain/langgraph';
import { z } from 'zod';
import { BookedLine, Invoice } from './invoice.ts';

/** What one call of a model took. `cost_usd` is an estimate from `pricing.ts`, for a simulated model too. */
export const Usage = z.object({
  node: z.string(),
  model: z.string(),
  input_tokens: z.number(),
  output_tokens: z.number(),
  cost_usd: z.number(),
});
export type Usage = z.infer<typeof Usage>;

const Outcome = z.object({
  status: z.enum(['posted', 'rejected']),
  /** Row in accounting.invoices; null when the invoice was rejected. */
  invoice_id: z.number().nullable(),
  /** True when this supplier and number had been posted before: nothing was written now. */
  already_posted: z.boolean(),
  /** Why a person rejected it. */
  reason: z.string().nullable(),
  /** Who read the document: the model's name, or "simulated (aimock)". */
  model: z.string(),
  cost_usd: z.number(),
});

/** What a run is started with. */
export const InvoiceInput = new StateSchema({
  document: z.string().describe('a file in the bucket, as in "disk:text-invoice.pdf"'),
});

/** The baton. It carries the document by reference and the text of its pages, never the bytes of the PDF. */
export const InvoiceState = new StateSchema({
  ...InvoiceInput.fields,
  file: z.object({ bytes: z.number(), sha256: z.string() }),
  /** Null once the invoice is read and agreed upon: nothing needs it any more, and every later checkpoint would name it. */
  text: z.string().nullable(),
  text_source: z.enum(['text_layer', 'ocr']),
  /** How sure the OCR is of its worst page, 0-100; null for a text layer. */
  ocr_confidence: z.number().nullable().default(null),
  invoice: Invoice,
  /** Extractions so far, for this document. */
  attempts: z.number().default(0),
  /** What the check found; empty = the invoice adds up. */
  problems: z.array(z.string()).default([]),
  /** What a person decided, when one was asked. */
  decision: z.enum(['approved', 'corrected', 'rejected']).nullable().default(null),
  booked_lines: z.array(BookedLine).default([]),
  model: z.string(),
  usage: new ReducedValue(z.array(Usage).default([]), {
    inputSchema: z.array(Usage),
    reducer: (calls, more) => [...calls, ...more],
  }),
  outcome: Outcome.nullable().default(null),
});
export type InvoiceState = typeof InvoiceState.State;
export type InvoiceUpdate = typeof InvoiceState.Update;
