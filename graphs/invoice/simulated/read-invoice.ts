import type { Invoice, InvoiceLine } from '../invoice.ts';
import { parseDate, parseNumber } from './parse-print.ts';
import { section } from './section.ts';

/** Money as printed: at least one digit, two decimals, thousands marked or not. */
const MONEY = String.raw`(?:[A-Z]{3}|[$€£])?\s?-?\d{1,3}(?:[.,']?\d{3})*[.,]\d{2}(?!\d)`;
/** What stands between two columns: blanks, and the dust that OCR takes for punctuation. */
const GAP = String.raw`[\s:;|_~*·.©°-]+`;
const FULL_ROW = new RegExp(`^(.*?\\p{L}.*?)${GAP}(\\d+(?:[.,]\\d{1,2})?)${GAP}(${MONEY})${GAP}(${MONEY})\\W*$`, 'u');
const AMOUNT_ROW = new RegExp(`^(.*?\\p{L}.*?)${GAP}(?:(?:\\S{1,3}${GAP})?(${MONEY})${GAP})?(${MONEY})\\W*$`, 'u');
const LAST_MONEY = new RegExp(`(${MONEY})\\W*$`, 'u');

const SUBTOTAL = /^\W*(?:sub-?\s?total|net (?:amount|total))\b/i;
const TAX = /^\W*(?:vat|tax|sales tax|gst)\b/i;
const TOTAL = /^\W*(?:grand total|total(?: due)?|amount due|invoice total)\b/i;
const TABLE_HEAD = /\b(?:description|item)\b.*\b(?:amount|total)\b/i;

/**
 * Reads an invoice from the prompt of the extraction by rules. At first only rows with quantity, unit price and amount
 * are taken for charges. When the problems say that an amount is missing, the other rows that end in an amount are
 * looked at too: charges without a quantity, and quantities that OCR could not read.
 */
export function readInvoice(prompt: string): Invoice {
  const rows = section(prompt, 'document')
    .split('\n')
    .map((row) => row.trim())
    .filter((row) => row !== '');
  const labelled = (label: RegExp): string => rows.map((row) => label.exec(row)?.[1]).find(Boolean) ?? '';
  const dueDate = labelled(/\b(?:due date|payment due|pay by|due)\b[\s:]*(.+)$/i);
  const subtotal = printedSum(rows, SUBTOTAL);
  const tax = printedSum(rows, TAX) ?? 0;
  const total = printedSum(rows, TOTAL) ?? 0;
  return {
    supplier: supplierOf(rows),
    number: labelled(/\binvoice\s*(?:number|no\.?|nr\.?|#)[\s:#]*([\p{L}\d][\p{L}\d/-]*)/iu),
    issue_date: parseDate(labelled(/\b(?:invoice date|date of issue|issued(?: on)?|^date)\b[\s:]*(.+)$/i)) ?? '',
    due_date: parseDate(dueDate),
    currency: currencyOf(rows),
    lines: chargedLines(rows, missingAmount(section(prompt, 'problems'))),
    subtotal: subtotal ?? total - tax,
    tax,
    total,
  };
}

function supplierOf(rows: string[]): string {
  const head = rows.find((row) => /\p{L}{3}/u.test(row) && !/^(?:tax )?invoice\b/i.test(row)) ?? '';
  return undusted(head.replace(/\s+invoice$/i, ''));
}

/** Without the specks that OCR reads as punctuation at the ends. */
function undusted(text: string): string {
  return text.replaceAll(/^[^\p{L}\p{N}(]+|[^\p{L}\p{N}.)]+$/gu, '');
}

function currencyOf(rows: string[]): string {
  const text = rows.filter((row) => LAST_MONEY.test(row)).join('\n');
  const code = /\b(EUR|USD|GBP|CHF)\b/.exec(text)?.[1];
  const sign = /[$€£]/.exec(text)?.[0] ?? '';
  return code ?? { $: 'USD', '€': 'EUR', '£': 'GBP' }[sign] ?? '';
}

/** The last one wins: a long invoice prints running totals. */
function printedSum(rows: string[], label: RegExp): number | null {
  const row = rows.findLast((candidate) => label.test(candidate) && LAST_MONEY.test(candidate));
  return row ? parseNumber(LAST_MONEY.exec(row)?.[1] ?? '') : null;
}

/** How much the lines of the earlier answer fall short of the subtotal; 0 when nothing was said about it. */
function missingAmount(problems: string): number {
  const [, sum, subtotal] = /lines add up to (-?[\d.]+), but the subtotal says (-?[\d.]+)/.exec(problems) ?? [];
  return sum && subtotal ? Number(subtotal) - Number(sum) : 0;
}

function chargedLines(rows: string[], missing: number): InvoiceLine[] {
  let open = missing;
  return tableRows(rows).flatMap((row) => {
    const line = fullLine(row);
    if (line) return [line];
    const charge = amountOnly(row);
    if (!charge || charge.amount > open + 0.01) return [];
    open -= charge.amount;
    return [charge];
  });
}

/** From the head of the table to the first sum; the head is repeated on every page. */
function tableRows(rows: string[]): string[] {
  const start = rows.findIndex((row) => TABLE_HEAD.test(row)) + 1;
  const end = rows.findIndex((row, index) => index >= start && (SUBTOTAL.test(row) || TOTAL.test(row)));
  return rows.slice(start, end === -1 ? undefined : end);
}

function fullLine(row: string): InvoiceLine | null {
  const [, description, quantity, unitPrice, amount] = FULL_ROW.exec(row) ?? [];
  if (!description || !quantity || !unitPrice || !amount) return null;
  return {
    description: undusted(description),
    quantity: parseNumber(quantity),
    unit_price: parseNumber(unitPrice),
    amount: parseNumber(amount),
  };
}

function amountOnly(row: string): InvoiceLine | null {
  const [, description, unit, printed] = AMOUNT_ROW.exec(row) ?? [];
  if (!description || !printed) return null;
  const amount = parseNumber(printed);
  const unitPrice = unit ? parseNumber(unit) : amount;
  return {
    description: undusted(description),
    quantity: Math.round(amount / unitPrice) || 1,
    unit_price: unitPrice,
    amount,
  };
}
