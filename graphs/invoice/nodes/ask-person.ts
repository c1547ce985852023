import { interrupt } from '@langchain/langgraph';
import { z } from 'zod';
import { Invoice } from '../invoice.ts';
import { costUsd } from '../pricing.ts';
import type { InvoiceState, InvoiceUpdate } from '../state.ts';
import { unusableFields } from './check.ts';

/** What a person answers: `{"approve": true}`, `{"reject": "a copy"}`, or the fields to change: `{"total": 120}`. */
const PersonAnswer = z.union([
  z.strictObject({ approve: z.literal(true) }),
  z.strictObject({ reject: z.string().min(1) }),
  z.strictObject(Invoice.partial().shape).refine((fields) => Object.keys(fields).length > 0, 'name a field to correct'),
]);
type PersonAnswer = z.infer<typeof PersonAnswer>;

/** The value of the interrupt. */
interface PersonQuestion {
  question: string;
  document: string;
  problems: string[];
  invoice: Invoice;
  model: string;
  /** Why the last answer could not be used; null the first time. */
  complaint: string | null;
}

/** Stops the run until a person has answered; an answer that cannot be understood is asked for again. */
export function askPerson(state: InvoiceState): InvoiceUpdate {
  let complaint: string | null = null;
  for (;;) {
    const answer = PersonAnswer.safeParse(interrupt<PersonQuestion, unknown>(question(state, complaint)));
    complaint = answer.success ? objection(state, answer.data) : z.prettifyError(answer.error);
    if (answer.success && complaint === null) return decide(state, answer.data);
  }
}

function question({ document, problems, invoice, model }: InvoiceState, complaint: string | null): PersonQuestion {
  return {
    question: 'Answer {"approve": true}, {"reject": "why"}, or the corrected fields of the invoice.',
    document,
    problems,
    invoice,
    model,
    complaint,
  };
}

/** Wrong sums can be approved; what the ledger cannot store must be corrected first. */
function objection({ invoice }: InvoiceState, answer: PersonAnswer): string | null {
  const unusable = 'approve' in answer ? unusableFields(invoice) : [];
  return unusable.length === 0
    ? null
    : `It cannot be approved as it stands: ${unusable.join('; ')}. Correct these fields.`;
}

function decide({ invoice, model, usage }: InvoiceState, answer: PersonAnswer): InvoiceUpdate {
  if ('approve' in answer) return { decision: 'approved' };
  if ('reject' in answer) {
    return {
      decision: 'rejected',
      outcome: {
        status: 'rejected',
        invoice_id: null,
        already_posted: false,
        reason: answer.reject,
        model,
        cost_usd: costUsd(usage),
      },
    };
  }
  return { decision: 'corrected', invoice: { ...invoice, ...answer } };
}
