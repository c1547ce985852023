import type { Schema } from '../api/fixtures/operations.ts';
import type { Known } from './request.ts';
import type { Random } from '../random.ts';

const WORDS = ['a', 'b', 'log', 'line', 'text', 'true', '1', '*'];

/** A value that a schema allows. Fields that `known` names mostly have that value: something is there then. */
export function validValue(schema: Schema, random: Random, known: Known): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return random.pick(schema.enum);
  if (schema.anyOf) return validValue(random.pick(schema.anyOf), random, known);
  const types = schema.type === undefined ? ['object', 'string', 'integer', 'null'] : [schema.type].flat();
  switch (random.pick(types)) {
    case 'null':
      return null;
    case 'boolean':
      return random.chance(0.5);
    case 'integer':
      return random.int(schema.minimum ?? 0, Math.min(schema.maximum ?? 50, 50));
    case 'number':
      return random.next() * 10;
    case 'array':
      return Array.from({ length: random.int(schema.minItems ?? 0, 2) }, () =>
        validValue(schema.items ?? {}, random, known),
      );
    case 'object':
      return validObject(schema, random, known);
    default:
      return schema.format === 'uuid' ? (known['thread_id'] ?? '') : random.pick(WORDS);
  }
}

function validObject(
  { properties = {}, required = [], additionalProperties }: Schema,
  random: Random,
  known: Known,
): object {
  const fields: [string, unknown][] = [];
  for (const [name, field] of Object.entries(properties)) {
    const isRequired = required.includes(name);
    if (!isRequired && !random.chance(0.3)) continue;
    const value = name in known && random.chance(0.8) ? known[name] : validValue(field, random, known);
    fields.push([name, value]);
  }
  if (additionalProperties && random.chance(0.5)) fields.push([random.pick(WORDS), random.pick(WORDS)]);
  return Object.fromEntries(fields);
}
