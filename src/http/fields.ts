import { z } from 'zod';
import type { Json, JsonObject } from '../core/json.ts';

/** An id of a row. Lower case: databases take both, and keys of the state must be the same text. */
export const uuid = z.guid('must be a UUID').toLowerCase();

export const json = z.unknown() as unknown as z.ZodType<Json>;
export const jsonObject = z.record(z.string(), z.unknown()) as unknown as z.ZodType<JsonObject>;

/** A field that may be left out; clients send null for that too. */
export function optional<S extends z.ZodType>(schema: S) {
  return schema.nullish().transform((value) => value ?? undefined);
}

/** A switch in a query: clients write it in either way. */
export const flag = z.enum(['0', '1', 'true', 'false']).transform((text) => text === '1' || text === 'true');

/** A list in a query: repeated, as JSON text, or separated by commas. */
export function queryList<S extends z.ZodType<unknown, string>>(item: S) {
  return z
    .union([z.string(), z.array(z.string())])
    .transform((value) => [value].flat().flatMap(splitList))
    .pipe(z.array(item));
}

function splitList(text: string): string[] {
  if (!text.startsWith('[')) return text.split(',');
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) ? list.map(String) : [text];
  } catch {
    return [text];
  }
}

/** Beyond this a database's integer ends, and no list goes that far. */
const MAX_INT = 2_147_483_647;
const limit = z.int().min(1).max(1000);
const offset = z.int().min(0).max(MAX_INT);

export const page = { limit: optional(limit), offset: optional(offset) };
export const queryPage = {
  limit: z.coerce.number().pipe(limit).default(10),
  offset: z.coerce.number().pipe(offset).default(0),
};
export const sortOrder = optional(z.enum(['asc', 'desc']));
export const positiveInt = z.int().min(1).max(MAX_INT);

/** Only the fields that were asked for. */
export function pick<T extends object>(item: T, select: readonly string[] | undefined): Partial<T> {
  if (select === undefined || select.length === 0) return item;
  return Object.fromEntries(Object.entries(item).filter(([key]) => select.includes(key))) as Partial<T>;
}
