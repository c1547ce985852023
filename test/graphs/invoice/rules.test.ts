import { describe, expect, test } from 'vitest';
import { parseDate, parseNumber } from '../../../graphs/invoice/simulated/parse-print.ts';
import { readInvoice } from '../../../graphs/invoice/simulated/read-invoice.ts';
import { page } from './fakes.ts';

describe('printed numbers and dates', () => {
  test.each([
    ['1,234.50', 1234.5],
    ['1.234,50', 1234.5],
    ['$1,234', 1234],
    ["CHF 1'234.05", 1234.05],
    ['-45.90', -45.9],
    ['2.5', 2.5],
    ['12', 12],
  ])('%s', (text, number) => expect(parseNumber(text)).toBe(number));

  test.each([
    ['2026-06-03', '2026-06-03'],
    ['3.6.2026', '2026-06-03'],
    ['03/06/2026', '2026-06-03'],
    ['3 June 2026', '2026-06-03'],
    ['Jun. 3, 2026', '2026-06-03'],
    ['3 Brumaire 2026', null],
    ['', null],
  ])('%s', (text, date) => expect(parseDate(text)).toBe(date));
});

describe('the simulated reading', () => {
  const shortfall = '<problems>\nthe lines add up to 45.00, but the subtotal says 50.00\n</problems>';
  const linesOf = (row: string, problems = ''): unknown[] =>
    readInvoice(`<document>\n${page(['Copy paper A4 10 4.50 45.00', row])}\n</document>${problems}`).lines.slice(1);

  test('misses a charge without quantity, until it is told what is missing', () => {
    expect(linesOf('Small order fee 5.00')).toEqual([]);
    expect(linesOf('Small order fee 5.00', shortfall)).toEqual([
      { description: 'Small order fee', quantity: 1, unit_price: 5, amount: 5 },
    ]);
  });

  test('works out a quantity that OCR could not read', () => {
    expect(linesOf('Envelopes iE 2.50 5.00 |', shortfall)).toEqual([
      { description: 'Envelopes', quantity: 2, unit_price: 2.5, amount: 5 },
    ]);
  });

  test('takes no amount that is greater than what is missing', () => {
    expect(linesOf('Your balance of last year 900.00', shortfall)).toEqual([]);
  });
});
