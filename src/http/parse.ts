import type { z } from 'zod';
import { InvalidInputError } from '../core/errors.ts';
import { jsonFault } from '../core/json.ts';
import { MAX_DEPTH, tooDeep } from './json-depth.ts';

const MAX_SHOWN = 5;
/** Without its input an issue does not tell a field that is missing from one of a wrong type. */
const REPORTED = { reportInput: true };

export interface Parsed<T> {
  value: T;
  /** Paths of fields that nobody knows: left out of the value. */
  unknown: string[];
}

/**
 * Checks what came from outside against a schema made of strict objects. Unknown fields are reported, not refused.
 * @throws InvalidInputError that names each wrong field.
 */
export function parse<T>(schema: z.ZodType<T>, input: unknown, place: 'body' | 'query' | 'path' | 'params'): Parsed<T> {
  if (isTooDeep(input)) throw tooDeep(place);
  const fault = jsonFault(input, place);
  if (fault) throw new InvalidInputError(fault);
  const unknown: string[] = [];
  let result = schema.safeParse(input, REPORTED);
  if (!result.success && removeUnknown(input, result.error.issues, unknown)) result = schema.safeParse(input, REPORTED);
  if (result.success) return { value: result.data, unknown };
  const problems = result.error.issues.map((issue) => `${pathText(place, issue.path)}: ${reasonOf(issue)}`);
  const more = problems.length > MAX_SHOWN ? `; and ${problems.length - MAX_SHOWN} more` : '';
  throw new InvalidInputError(problems.slice(0, MAX_SHOWN).join('; ') + more);
}

/** Takes the fields out that a strict object did not know. False when there were none. */
function removeUnknown(input: unknown, issues: readonly z.core.$ZodIssue[], removed: string[]): boolean {
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') continue;
    const holder = issue.path.reduce<unknown>((value, key) => Reflect.get(value as object, key), input) as object;
    for (const key of issue.keys) {
      Reflect.deleteProperty(holder, key);
      removed.push([...issue.path, key].join('.'));
    }
  }
  return removed.length > 0;
}

function pathText(place: string, path: readonly PropertyKey[]): string {
  return [place, ...path].map(String).join('.');
}

function reasonOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type' && issue.input === undefined) return 'is missing';
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return issue.message;
  const ways = issue.errors.map((issues) =>
    issues.map((one) => [...one.path.map(String), reasonOf(one)].join(': ')).join(', '),
  );
  return [...new Set(ways)].join('; or ');
}

function isTooDeep(input: unknown): boolean {
  let level = [input];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) return true;
    level = level.flatMap((value) =>
      typeof value === 'object' && value !== null ? (Object.values(value) as unknown[]) : [],
    );
  }
  return false;
}
