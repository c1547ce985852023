import { ABSENT } from './compare.ts';
import type { Finding } from './judge.ts';
import type { Result } from './parity.ts';

/** Prints what was not meant and returns how much that was. */
export function report(results: readonly Result[]): number {
  const broken = results.flatMap(({ scenario, broken }) => broken.map((text) => `${scenario}: ${text}`));
  for (const text of broken) console.log(`broke off: ${text}`);
  const unmeant = results.flatMap(({ findings }) => findings.filter(({ reason }) => reason === null));
  const kinds = new Map<string, Finding[]>();
  for (const finding of unmeant) {
    const kind = `${finding.operation ?? finding.request}  ${finding.path.replaceAll(/\/\d+/g, '/#')}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), finding]);
  }
  for (const [kind, findings] of [...kinds].toSorted(([a], [b]) => a.localeCompare(b))) {
    const [first] = findings;
    if (!first) continue;
    const scenarios = [...new Set(findings.map(({ scenario }) => scenario))];
    const more = scenarios.length > 3 ? ` and ${scenarios.length - 3} more` : '';
    console.log(`\n${kind}  (${findings.length} times: ${scenarios.slice(0, 3).join('; ')}${more})`);
    console.log(`    ${first.request}\n    reference: ${shown(first.reference)}\n    baton:     ${shown(first.baton)}`);
  }
  return unmeant.length + broken.length;
}

function shown(value: Finding['baton']): string {
  if (value === ABSENT) return '(absent)';
  const text = JSON.stringify(value);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
