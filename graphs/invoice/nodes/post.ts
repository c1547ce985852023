import { costUsd } from '../pricing.ts';
import type { InvoiceServices } from '../services.ts';
import type { InvoiceState, InvoiceUpdate } from '../state.ts';

type PostState = Pick<InvoiceState, 'document' | 'invoice' | 'booked_lines' | 'model' | 'usage'>;

/** Safe to repeat: the ledger knows an invoice by its supplier and number. */
export function post(services: Pick<InvoiceServices, 'post'>) {
  return async ({ document, invoice, booked_lines, model, usage }: PostState): Promise<InvoiceUpdate> => {
    const result = await services.post({ document, invoice, lines: booked_lines });
    return { outcome: { status: 'posted', ...result, reason: null, model, cost_usd: costUsd(usage) } };
  };
}
