import type { Invoice, InvoiceLine } from '../invoice.ts';
import type { InvoiceState, InvoiceUpdate } from '../state.ts';

const money = (value: number): string => value.toFixed(2);
/** Equal but for the rounding of one printed hundredth. */
const same = (a: number, b: number, tolerance = 0.0101): boolean => Math.abs(a - b) <= tolerance;

/** Does the invoice make sense? Code decides that, not a model. */
export function check({ invoice }: Pick<InvoiceState, 'invoice'>): InvoiceUpdate {
  return { problems: [...unusableFields(invoice), ...invoice.lines.flatMap(lineProblems), ...sumProblems(invoice)] };
}

/** What no ledger could store, whoever approves it. */
export function unusableFields({ supplier, number, issue_date, due_date, currency, lines }: Invoice): string[] {
  const problems: string[] = [];
  if (supplier.trim() === '') problems.push('the supplier is missing');
  if (number.trim() === '') problems.push('the invoice number is missing');
  if (!isDate(issue_date)) problems.push(`the issue date "${issue_date}" is no date of the form YYYY-MM-DD`);
  if (due_date !== null && !isDate(due_date))
    problems.push(`the due date "${due_date}" is no date of the form YYYY-MM-DD`);
  if (!/^[A-Z]{3}$/.test(currency)) problems.push(`the currency "${currency}" is no ISO code`);
  if (lines.length === 0) problems.push('no line was found');
  return problems;
}

function lineProblems({ description, quantity, unit_price, amount }: InvoiceLine, index: number): string[] {
  const product = quantity * unit_price;
  // A unit price is printed rounded, so its error grows with the quantity.
  if (same(product, amount, 0.0101 + 0.005 * Math.abs(quantity))) return [];
  return [
    `line ${index + 1} (${description}): ${quantity} x ${money(unit_price)} is ${money(product)}, but its amount says ${money(amount)}`,
  ];
}

function sumProblems({ lines, subtotal, tax, total }: Invoice): string[] {
  const problems: string[] = [];
  const sum = lines.reduce((running, line) => running + line.amount, 0);
  if (!same(sum, subtotal)) {
    problems.push(`the lines add up to ${money(sum)}, but the subtotal says ${money(subtotal)}`);
  }
  if (!same(subtotal + tax, total)) {
    problems.push(`subtotal and tax make ${money(subtotal + tax)}, but the total says ${money(total)}`);
  }
  return problems;
}

function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const date = new Date(`${text}T00:00:00Z`);
  // "2026-02-30" parses as March 2nd.
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}
