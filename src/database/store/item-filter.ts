import { InvalidInputError } from '../../core/errors.ts';
import type { Filter } from '../filter.ts';

const COMPARISONS: Readonly<Record<string, string>> = { $gt: '>', $gte: '>=', $lt: '<', $lte: '<=' };

/**
 * Adds what a search asks of the fields of `value`: `{field: 1}`, `{field: {$gt: 1, $lt: 5}}`, and for an object the fields
 * that it must have. Numbers compare with numbers and texts with texts; anything else does not match, and nothing fails.
 * @throws InvalidInputError for an operator that there is not, rather than to find too much.
 */
export function addItemFilter(conditions: Filter, filter: Readonly<Record<string, unknown>>): void {
  for (const [key, wanted] of Object.entries(filter)) {
    if (Array.isArray(wanted)) {
      conditions.and(`value -> ${conditions.param(key)}::text = ?::jsonb`, JSON.stringify(wanted));
    } else if (isOperators(wanted)) {
      const field = `value -> ${conditions.param(key)}::text`;
      for (const [operator, operand] of Object.entries(wanted)) addOperator(conditions, field, operator, operand);
    } else {
      conditions.and('value @> ?::jsonb', JSON.stringify({ [key]: wanted }));
    }
  }
}

function addOperator(conditions: Filter, field: string, operator: string, operand: unknown): void {
  const json = JSON.stringify(operand);
  switch (operator) {
    case '$eq':
      conditions.and(`${field} = ?::jsonb`, json);
      return;
    case '$ne':
      conditions.and(`${field} is distinct from ?::jsonb`, json);
      return;
    case '$gt':
    case '$gte':
    case '$lt':
    case '$lte': {
      if (typeof operand !== 'number' && typeof operand !== 'string')
        throw new InvalidInputError(`The filter’s ${operator} takes a number or a text`);
      const value = `${conditions.param(json)}::jsonb`;
      conditions.and(`(jsonb_typeof(${field}) = ? and ${field} ${COMPARISONS[operator]} ${value})`, typeof operand);
      return;
    }
    case '$in':
    case '$nin': {
      if (!Array.isArray(operand)) throw new InvalidInputError(`The filter’s ${operator} takes a list`);
      const isOneOf = `(${field} = any (array(select jsonb_array_elements(?::jsonb))))`;
      conditions.and(`${isOneOf} is ${operator === '$in' ? '' : 'not '}true`, json);
      return;
    }
    case '$exists':
      conditions.and(`(${field} is not null) = ?`, operand === true);
      return;
    default:
      throw new InvalidInputError(
        `The filter’s operator ${operator} does not exist: use $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin or $exists`,
      );
  }
}

function isOperators(wanted: unknown): wanted is Record<string, unknown> {
  return typeof wanted === 'object' && wanted !== null && Object.keys(wanted).some((name) => name.startsWith('$'));
}
