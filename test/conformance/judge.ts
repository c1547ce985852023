import type { Difference } from './compare.ts';
import { RULES, type Rule } from './differences.ts';
import { operationOf } from './operations.ts';

export interface Finding extends Difference {
  scenario: string;
  /** Null: the request is none of the platform's. */
  operation: string | null;
  /** Why it is meant; null when it is not. */
  reason: string | null;
}

/** Says of each difference which rule means it. */
export class Judge {
  readonly #used = new Set<Rule>();

  judge(name: string, difference: Difference): Finding {
    const { request, path: place } = difference;
    const named = operationOf(request);
    const rule = RULES.find(
      ({ scenario, operation, path, when }) =>
        matches(scenario, name) &&
        matches(operation, named ?? request) &&
        matches(path, place) &&
        (when?.(difference) ?? true),
    );
    if (rule) this.#used.add(rule);
    return { ...difference, scenario: name, operation: named, reason: rule?.reason ?? null };
  }

  /** Rules that meant nothing of what was found. */
  unused(): Rule[] {
    return RULES.filter((rule) => !this.#used.has(rule) && rule.varies !== true);
  }
}

export function matches(patterns: string | readonly string[] | undefined, text: string): boolean {
  if (patterns === undefined) return true;
  return [patterns].flat().some((pattern) => toRegExp(pattern).test(text));
}

const compiled = new Map<string, RegExp>();

function toRegExp(pattern: string): RegExp {
  const known = compiled.get(pattern);
  if (known) return known;
  const parts = pattern.split(/(\*\*|\*)/).map((part) => {
    if (part === '**') return '.*';
    return part === '*' ? '[^/]*' : part.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`);
  });
  const made = new RegExp(`^${parts.join('')}$`);
  compiled.set(pattern, made);
  return made;
}
