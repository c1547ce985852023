import { z } from 'zod';
import { flag, jsonObject, optional, page } from '../../http/fields.ts';

const namespace = z.array(z.string());
/** A hundred years. */
const ttl = z.number().positive().max(52_560_000);
const switched = z.union([z.boolean(), flag]);

const item = z
  .object({
    namespace,
    key: z.string(),
    value: jsonObject,
    created_at: z.string(),
    updated_at: z.string(),
    score: z.number().optional().describe('How like the query the item is; only for a search by likeness'),
  })
  .meta({ title: 'Item' });
export const itemOrNull = item.nullable();
export const foundItems = z.object({ items: z.array(item) });
export const foundNamespaces = z.object({ namespaces: z.array(namespace) });

/** What is indexed stands in a key of the database. */
const fieldPath = z.string().min(1).max(200);

export const itemPut = z.strictObject({
  namespace,
  key: z.string(),
  value: jsonObject,
  index: z.union([z.literal(false), z.array(fieldPath)]).nullish(),
  ttl: ttl.nullish().describe('Minutes; null for an item that never expires'),
});

/** Its labels are joined by periods, or the parameter is repeated. */
const dottedNamespace = z
  .union([z.string(), z.array(z.string())])
  .transform((value) => [value].flat().flatMap((part) => (part === '' ? [] : part.split('.'))));
export const itemQuery = z.strictObject({
  namespace: dottedNamespace.optional(),
  key: z.string(),
  refresh_ttl: flag.optional(),
});

export const itemDelete = z.strictObject({ namespace: optional(namespace), key: z.string() });

export const itemSearch = z.strictObject({
  namespace_prefix: optional(namespace),
  filter: optional(jsonObject),
  query: optional(z.string()),
  refresh_ttl: optional(switched),
  ...page,
});

export const namespaceSearch = z.strictObject({
  prefix: optional(namespace),
  suffix: optional(namespace),
  max_depth: optional(z.int().min(1).max(1000)),
  ...page,
});

export type ItemPut = z.output<typeof itemPut>;
export type ItemQuery = z.output<typeof itemQuery>;
export type ItemSearch = z.output<typeof itemSearch>;
export type NamespaceSearch = z.output<typeof namespaceSearch>;
export type ItemAnswer = z.output<typeof item>;
export type ItemDelete = z.output<typeof itemDelete>;
