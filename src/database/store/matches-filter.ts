import { isDeepStrictEqual } from 'node:util';
import { contains } from '../../core/json-contains.ts';
import { InvalidInputError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';

/** What `addItemFilter` asks SQL, of a value that SQL cannot see. @throws InvalidInputError as that does. */
export function matchesFilter(value: JsonObject, filter: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(filter).every(([key, wanted]) => {
    const field: unknown = Object.hasOwn(value, key) ? value[key] : undefined;
    if (Array.isArray(wanted)) return isDeepStrictEqual(field, wanted);
    if (!isOperators(wanted)) return contains(value, { [key]: wanted });
    return Object.entries(wanted).every(([operator, operand]) => holds(field, operator, operand));
  });
}

function holds(field: unknown, operator: string, operand: unknown): boolean {
  switch (operator) {
    case '$eq':
      return isDeepStrictEqual(field, operand);
    case '$ne':
      return !isDeepStrictEqual(field, operand);
    case '$gt':
    case '$gte':
    case '$lt':
    case '$lte':
      return compares(field, operator, operand);
    case '$in':
    case '$nin': {
      if (!Array.isArray(operand)) throw new InvalidInputError(`The filter’s ${operator} takes a list`);
      const isOneOf = field !== undefined && operand.some((item) => isDeepStrictEqual(field, item));
      return isOneOf === (operator === '$in');
    }
    case '$exists':
      return (field !== undefined) === (operand === true);
    default:
      throw new InvalidInputError(
        `The filter’s operator ${operator} does not exist: use $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin or $exists`,
      );
  }
}

/** Numbers compare with numbers and texts with texts; anything else does not match. */
function compares(field: unknown, operator: string, operand: unknown): boolean {
  if (typeof operand !== 'number' && typeof operand !== 'string')
    throw new InvalidInputError(`The filter’s ${operator} takes a number or a text`);
  if (typeof field !== typeof operand) return false;
  const order = (field as string) < operand ? -1 : Number((field as string) > operand);
  return operator.startsWith('$gt')
    ? order > 0 || (order === 0 && operator === '$gte')
    : order < 0 || (order === 0 && operator === '$lte');
}

function isOperators(wanted: unknown): wanted is Record<string, unknown> {
  return typeof wanted === 'object' && wanted !== null && Object.keys(wanted).some((name) => name.startsWith('$'));
}
