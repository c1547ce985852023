import { AIMessage } from '@langchain/core/messages';
import { fakeModel } from '@langchain/core/testing';
import type { Invoice } from '../../../graphs/invoice/invoice.ts';
import type { InvoiceServices, Posting } from '../../../graphs/invoice/services.ts';
import { chatModel } from '../../../graphs/invoice/services/chat-model.ts';

export const PDF = new TextEncoder().encode('%PDF-1.7 a document');

/** An invoice that adds up. */
export const INVOICE: Invoice = {
  supplier: 'Harbour Paper Ltd',
  number: 'HP-2041',
  issue_date: '2026-05-04',
  due_date: null,
  currency: 'EUR',
  lines: [
    { description: 'Copy paper A4', quantity: 10, unit_price: 4.5, amount: 45 },
    { description: 'Courier delivery', quantity: 1, unit_price: 5, amount: 5 },
  ],
  subtotal: 50,
  tax: 10,
  total: 60,
};

/** A page as it is printed; `rows` stand between the table's head and its sums. */
export function page(rows: string[], { subtotal = '50.00', total = '60.00' } = {}): string {
  return [
    'Harbour Paper Ltd',
    'Invoice number: HP-2041',
    'Invoice date: 4 May 2026',
    'Description Qty Unit price Amount',
    ...rows,
    `Subtotal EUR ${subtotal}`,
    'VAT 20% EUR 10.00',
    `Total EUR ${total}`,
  ].join('\n');
}

export const GOOD_PAGE = page(['Copy paper A4 10 4.50 45.00', 'Courier delivery 1 5.00 5.00']);

/** A chat model that answers every structured question with `answer`. */
export function answering(answer: Record<string, unknown>): InvoiceServices['model'] {
  const raw = new AIMessage({
    content: JSON.stringify(answer),
    usage_metadata: { input_tokens: 1000, output_tokens: 200, total_tokens: 1200 },
  });
  const chat = fakeModel().structuredResponse({ raw, parsed: answer });
  return async () => ({ chat, name: 'fake-model' });
}

/** A world where every document says `text`, scanned or not, and the ledger is an array. */
export function world(text: string, { scanned = false } = {}) {
  const posted: Posting[] = [];
  const calls = { scanPages: 0, post: 0 };
  const services: InvoiceServices = {
    readDocument: async () => PDF,
    textLayer: async () => (scanned ? [''] : [text]),
    scanPages: async () => {
      calls.scanPages += 1;
      return { pages: [text], confidence: 91 };
    },
    model: chatModel({}),
    post: async (posting) => {
      calls.post += 1;
      posted.push(posting);
      return { invoice_id: posted.length, already_posted: false };
    },
  };
  return { services, posted, calls };
}
