import { z } from 'zod';
import type { JsonObject } from '../../core/json.ts';
import type { Route } from '../../http/route.ts';

/** How clients log in: what a project says of it stands beside the built-in keys where those are in use. */
export interface Security {
  /** Whether keys of our own may be needed. */
  keys: boolean;
  /** Null: the project says nothing. */
  described: {
    readonly schemes: object;
    readonly everywhere: readonly object[] | null;
    readonly paths: Readonly<Record<string, Readonly<Record<string, readonly object[]>>>>;
  } | null;
}

type Io = 'input' | 'output';

/** The OpenAPI 3.1 document of these routes. What it says is what is checked: both come from the same schemas. */
export function openApiDocument(
  routes: readonly Route[],
  { version, security }: { version: string; security: Security },
): JsonObject {
  const paths: Record<string, JsonObject> = {};
  for (const route of routes) {
    const path = pathOf(route);
    const own = security.described?.paths[path]?.[route.method];
    paths[path] = {
      ...paths[path],
      [route.method]: { ...operation(route), ...(own && { security: own }) } as JsonObject,
    };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Baton',
      version,
      description: 'Threads, runs and assistants of LangGraph graphs. Unknown fields are named in a `Warning` header.',
    },
    ...securityOf(security),
    paths,
  };
}

/** As OpenAPI writes it: `/threads/{thread_id}`. */
export function pathOf({ path }: Pick<Route, 'path'>): string {
  return path.replaceAll(/:(\w+)/g, '{$1}');
}

/** Where authentication is configured, one of these is needed by everything that does not say otherwise. */
function securityOf({ keys, described }: Security): JsonObject {
  const own = keys || described === null;
  const ownSchemes = {
    key: { type: 'apiKey', in: 'header', name: 'x-api-key' },
    bearer: { type: 'http', scheme: 'bearer' },
  };
  const ownRequirements = [...(keys ? [] : [{}]), { key: [] }, { bearer: [] }];
  const security = [...(described?.everywhere ?? []), ...(own ? ownRequirements : [])];
  return {
    ...(security.length > 0 && { security }),
    components: { securitySchemes: { ...(own && ownSchemes), ...described?.schemes } },
  } as JsonObject;
}

function operation(route: Route): JsonObject {
  const parameters = [...parametersOf(route.params, 'path'), ...parametersOf(route.query, 'query')];
  return {
    operationId: operationId(route),
    summary: route.summary,
    ...(route.description && { description: route.description }),
    tags: [route.path.split('/')[1] ?? ''],
    ...(route.access === 'open' && { security: [] }),
    ...(parameters.length > 0 && { parameters }),
    ...(route.body && {
      requestBody: { content: { 'application/json': { schema: jsonSchema(route.body, 'input') } } },
    }),
    responses: {
      [String(route.status ?? (route.answer ? 200 : 204))]: success(route.answer),
      default: {
        description: 'A refusal: text, or this when `Accept` names application/json',
        content: { 'application/json': { schema: jsonSchema(REFUSAL, 'output') } },
      },
    },
  };
}

const REFUSAL = z.object({ detail: z.string(), code: z.string() });

function success(answer: Route['answer']): JsonObject {
  if (answer === undefined) return { description: 'Done' };
  if (answer === 'events') return { description: 'Server-sent events', content: { 'text/event-stream': {} } };
  if (answer === 'file') return { description: 'A file', content: { '*/*': {} } };
  if (answer === 'html') return { description: 'A page', content: { 'text/html': {} } };
  return { description: 'Done', content: { 'application/json': { schema: jsonSchema(answer, 'output') } } };
}

function parametersOf(schema: Route['params'], place: 'path' | 'query'): JsonObject[] {
  if (!schema) return [];
  const { properties = {}, required = [] } = jsonSchema(schema, 'input') as {
    properties?: JsonObject;
    required?: string[];
  };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: property,
  }));
}

function jsonSchema(schema: z.ZodType, io: Io): JsonObject {
  const { $schema: _draft, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    reused: 'inline',
    override: ({ zodSchema, jsonSchema: made }) => {
      // Strict objects report what they do not know; they refuse nothing.
      if (made.additionalProperties === false) delete made.additionalProperties;
      const { def } = zodSchema._zod;
      // Of a preprocessed value the document says what it is made into.
      if (io === 'input' && def.type === 'pipe' && def.in._zod.def.type === 'transform') {
        Object.assign(made, jsonSchema(def.out as z.ZodType, io));
      }
    },
  });
  return rest as JsonObject;
}

function operationId({ method, path }: Route): string {
  const words = path.split('/').filter((part) => part !== '');
  return [method, ...words.map((word) => word.replace(/^:(.*)$/, 'by_$1').replaceAll(/\W/g, '_'))].join('_');
}
