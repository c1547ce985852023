import { z } from 'zod';
import type { RunConfig } from '../../core/assistant.ts';
import { flag, json, jsonObject, optional, page, positiveInt, sortOrder, uuid } from '../../http/fields.ts';

export const runConfig = z.strictObject({
  tags: optional(z.array(z.string())),
  recursion_limit: optional(positiveInt),
  configurable: optional(jsonObject),
});

const FIELDS = [
  'assistant_id',
  'graph_id',
  'name',
  'description',
  'config',
  'context',
  'metadata',
  'version',
  'created_at',
  'updated_at',
] as const;

export const assistant = z
  .object({
    assistant_id: z.string(),
    graph_id: z.string(),
    name: z.string(),
    description: z.string().nullable(),
    config: jsonObject as unknown as z.ZodType<RunConfig>,
    context: jsonObject,
    metadata: jsonObject,
    version: z.number(),
    created_at: z.string(),
    updated_at: z.string(),
  })
  .meta({ title: 'Assistant' });
export const assistantList = z.array(assistant);

const fields = {
  config: optional(runConfig),
  context: optional(jsonObject),
  metadata: optional(jsonObject),
  name: optional(z.string()),
  description: optional(z.string()),
};

export const assistantCreate = z.strictObject({
  graph_id: z.string(),
  assistant_id: optional(uuid),
  if_exists: optional(z.enum(['raise', 'do_nothing'])),
  ...fields,
});
export const assistantPatch = z.strictObject({ graph_id: optional(z.string()), ...fields });

const filter = {
  graph_id: optional(z.string()),
  name: optional(z.string()),
  metadata: optional(jsonObject),
};
export const assistantCount = z.strictObject(filter);
export const assistantSearch = z.strictObject({
  ...filter,
  ...page,
  sort_by: optional(z.enum(['assistant_id', 'graph_id', 'name', 'created_at', 'updated_at'])),
  sort_order: sortOrder,
  select: optional(z.array(z.enum(FIELDS))),
});

export const versionSearch = z.strictObject({ metadata: optional(jsonObject), ...page });
export const versionBody = z.strictObject({ version: optional(positiveInt) });
export const versionQuery = z.strictObject({ version: z.coerce.number().pipe(positiveInt).optional() });

/** A UUID, or the id of a graph: then it is that graph's system assistant. */
export const assistantPath = z.object({ assistant_id: z.string() });
export const subgraphPath = assistantPath.extend({ namespace: z.string() });

export const graphQuery = z.strictObject({
  xray: z.union([flag, z.coerce.number().pipe(z.int().min(0).max(100))]).optional(),
});
export const subgraphQuery = z.strictObject({ recurse: flag.optional() });
export const deleteQuery = z.strictObject({ delete_threads: flag.optional() });

/** The id of what is gone. */
export const deleted = z.array(z.string());
export const graphDrawing = z.object({ nodes: z.array(jsonObject), edges: z.array(jsonObject) });
export const graphSchemas = z.object({
  graph_id: z.string(),
  input_schema: jsonObject,
  output_schema: jsonObject,
  state_schema: jsonObject,
  config_schema: jsonObject,
  context_schema: jsonObject,
});
export const subgraphSchemas = z.record(z.string(), json);

export type AssistantCreate = z.output<typeof assistantCreate>;
export type AssistantPatch = z.output<typeof assistantPatch>;
export type AssistantSearch = z.output<typeof assistantSearch>;
export type VersionSearch = z.output<typeof versionSearch>;
