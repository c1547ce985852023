import { effect } from 'batonjs/sdk';
import { costUsd } from '../pricing.ts';
import type { InvoiceServices } from '../services.ts';
import type { InvoiceState, InvoiceUpdate } from '../state.ts';

type PostState = Pick<InvoiceState, 'document' | 'invoice' | 'booked_lines' | 'model' | 'usage'>;

/**
 * Recorded before the node goes on, so that one that is executed again says what the first one said. Killed in the middle it
 * is posted again, which is safe: the ledger knows an invoice by its supplier and number.
 */
export function post(services: Pick<InvoiceServices, 'post'>) {
  return async ({ document, invoice, booked_lines: lines, model, usage }: PostState): Promise<InvoiceUpdate> => {
    const result = await effect('post', () => services.post({ document, invoice, lines }), {
      args: { invoice, lines },
    });
    return { outcome: { status: 'posted', ...result, reason: null, model, cost_usd: costUsd(usage) } };
  };
}
