import { RULES, UNCOMPARED } from './differences.ts';
import { matches, type Finding } from './judge.ts';
import { operationOf, OPERATIONS, PRODUCTION_ONLY } from './operations.ts';

export interface Result {
  scenario: string;
  /** The operation of each answer that was compared. */
  answers: string[];
  findings: Finding[];
  broken: string[];
}

/** docs/parity.md. `own`: the operations that Baton serves. */
export function parityPage(results: readonly Result[], own: readonly string[]): string {
  const page = new Page(results, own);
  return `# Parity with the official server

Made by \`npm run conformance\`, which puts \`@langchain/langgraph-api\` 1.5.1 (the official development server) and Baton through the
same ${results.length} scenarios over the same graphs and compares ${page.compared} answers: status, body, headers, and the events of streams in
their order. Ids and times may differ; where one server has the same id twice, so must the other. What an error says in words
is each server's own.

The numbers name the reasons at the end of the page. Each is listed, with its reason, in \`test/conformance/differences.ts\`; any other difference fails the run.
${Object.entries(OPERATIONS)
  .map(([group, operations]) => `\n## ${group}\n\n${page.table(operations)}`)
  .join('')}
## Only here

${page.onlyHere()}
## Different, and not compared

${UNCOMPARED.map((text) => `- ${text}`).join('\n')}

## Reasons

${page.reasons()}`;
}

class Page {
  readonly compared: number;
  readonly #results: readonly Result[];
  readonly #own: readonly string[];
  readonly #numbers = new Map<string, number>();

  constructor(results: readonly Result[], own: readonly string[]) {
    this.#results = results;
    this.#own = own;
    this.compared = results.reduce((sum, { answers }) => sum + answers.length, 0);
    for (const { reason } of RULES) if (!this.#numbers.has(reason)) this.#numbers.set(reason, this.#numbers.size + 1);
  }

  table(operations: readonly string[]): string {
    const rows = operations.map((operation) => `| \`${operation}\` | ${this.#verdict(operation)} |`);
    return `| operation | Baton |\n| --- | --- |\n${rows.join('\n')}\n`;
  }

  onlyHere(): string {
    const extra = this.#own.filter((operation) => {
      const known = operationOf(operation);
      return known === null || placeholdersOf(known) !== placeholdersOf(operation);
    });
    return `${extra.map((operation) => `- \`${operation}\``).join('\n')}\n`;
  }

  reasons(): string {
    return `${[...this.#numbers].map(([reason, number]) => `${number}. ${reason}`).join('\n')}\n`;
  }

  #verdict(operation: string): string {
    if (!this.#own.includes(operation.replace(/\/$/, ''))) return 'not yet';
    const compared = this.#results.flatMap(({ answers }) => answers).filter((answer) => answer === operation).length;
    if (compared === 0) {
      return PRODUCTION_ONLY.test(operation) ? 'here; the development server has it not' : 'here, not compared';
    }
    const findings = this.#results
      .flatMap((result) => result.findings)
      .filter((finding) => finding.operation === operation);
    if (findings.some(({ reason }) => reason === null)) return `**differs**, unintended (${compared} answers)`;
    const varying = RULES.filter((rule) => rule.varies === true && matches(rule.operation, operation));
    const reasons = [...findings, ...varying].map(({ reason }) => reason ?? '');
    const numbers = [...new Set(reasons.map((reason) => this.#numbers.get(reason) ?? 0))];
    if (numbers.length === 0) return `same (${compared} answers)`;
    return `differs because of ${numbers.toSorted((left, right) => left - right).join(', ')} (${compared} answers)`;
  }
}

function placeholdersOf(operation: string): number {
  return operation.split('{').length;
}
