import type { JsonObject } from './json.ts';

/**
 * Which rows somebody may reach: those whose metadata contains all of `contains`. Made only by whoever decides that; a
 * repository turns it into one more condition of its SQL.
 */
export class Access {
  /** For the server itself, and for rows that an answer led to which was given to the same caller. */
  static readonly everything = new Access({});

  readonly #contains: JsonObject;
  private constructor(contains: JsonObject) {
    this.#contains = contains;
  }

  /**
   * From what an authorisation handler returned: nothing or true means everything; an object names fields of the metadata
   * by value, by `{$eq: value}` or by `{$contains: value or values}`. Null means no access.
   * @throws Error for anything else: a mistake in a handler must not open what it meant to close.
   */
  static of(result: unknown): Access | null {
    if (result === undefined || result === null || result === true) return Access.everything;
    if (result === false) return null;
    if (typeof result !== 'object' || !isPlain(result)) {
      throw new TypeError('An authorisation handler returned something else than nothing, a boolean or a filter');
    }
    return new Access(Object.fromEntries(Object.entries(result).map(([key, rule]) => [key, contained(key, rule)])));
  }

  get contains(): JsonObject {
    return this.#contains;
  }

  /** Whether something that is no row of ours may be reached. */
  allows(metadata: JsonObject): boolean {
    return Object.entries(this.#contains).every(([key, rule]) => {
      const value = Object.hasOwn(metadata, key) ? metadata[key] : undefined;
      return Array.isArray(rule) ? Array.isArray(value) && rule.every((item) => value.includes(item)) : value === rule;
    });
  }
}

/** A repository whose rows can be reached only with an {@link Access}. */
export interface Guarded<Repository> {
  within(access: Access): Repository;
}

type Scalar = string | number | boolean | null;

/** The value that jsonb's `@>` finds in exactly the rows that the rule means. */
function contained(key: string, rule: unknown): Scalar | Scalar[] {
  if (isScalar(rule)) return rule;
  const [[operator, operand] = [], ...others] = typeof rule === 'object' && rule !== null ? Object.entries(rule) : [];
  if (others.length === 0) {
    if (operator === '$eq' && isScalar(operand)) return operand;
    const items: unknown[] = [operand].flat();
    if (operator === '$contains' && items.every(isScalar)) return items;
  }
  throw new TypeError(
    `An authorisation handler returned a filter that cannot be applied to "${key}": use a text, a number, a boolean, {$eq} or {$contains}`,
  );
}

/** Of anything else it is not known whether all that it means stands in its own fields. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function isScalar(value: unknown): value is Scalar {
  return value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
}
