import type { AccountCode } from '../accounts.ts';
import { section } from './section.ts';

/** The first rule that fits decides, so the special stands before the general. */
const RULES: [RegExp, AccountCode][] = [
  [/freight|courier|postage|shipping|delivery/i, '6700'],
  [/licen[cs]e|subscription|software/i, '6200'],
  [/cloud|hosting|storage|server|domain|database/i, '6100'],
  [/laptop|monitor|keyboard|mouse|phone \d|docking|hardware/i, '6300'],
  [/hotel|train|flight|taxi|lunch|meal|travel/i, '6600'],
  [/rent|cleaning|electricity|gas|water|telephone|internet/i, '6800'],
  [/consult|legal|review|audit|training|advice/i, '6500'],
  [/paper|toner|chair|desk|pens?\b|office|envelope/i, '6400'],
];

/** The ledger accounts of a prompt's numbered lines, by keyword. */
export function assignAccounts(prompt: string): { assignments: { line: number; account: AccountCode }[] } {
  const rows = section(prompt, 'lines').matchAll(/^(\d+)\. (.*)$/gm);
  return {
    assignments: Array.from(rows, ([, line, description = '']) => ({
      line: Number(line),
      account: RULES.find(([pattern]) => pattern.test(description))?.[1] ?? '6990',
    })),
  };
}
