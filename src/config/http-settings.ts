import { z } from 'zod';
import type { CorsRules } from '../core/cors-rules.ts';
import type { ExportSource } from '../core/project-export.ts';

/** Groups of routes that a project can leave out. */
export const ROUTE_GROUPS = ['assistants', 'threads', 'runs', 'store', 'meta', 'mcp', 'a2a', 'ui'] as const;
export type RouteGroup = (typeof ROUTE_GROUPS)[number];

const names = z.array(z.string()).nullish();

const Cors = z.object({
  allow_origins: names,
  allow_origin_regex: z.string().refine(isRegExp, 'is no regular expression').nullish(),
  allow_methods: names,
  allow_headers: names,
  expose_headers: names,
  allow_credentials: z.boolean().nullish(),
  max_age: z.int().min(0).nullish(),
});

/** `http` of langgraph.json, as far as Baton does what it says. */
const KNOWN = {
  disable_assistants: z.boolean().nullish(),
  disable_threads: z.boolean().nullish(),
  disable_runs: z.boolean().nullish(),
  disable_store: z.boolean().nullish(),
  disable_meta: z.boolean().nullish(),
  disable_mcp: z.boolean().nullish(),
  disable_a2a: z.boolean().nullish(),
  disable_ui: z.boolean().nullish(),
  disable_webhooks: z.boolean().nullish(),
  mount_prefix: z
    .string()
    .regex(/^(\/[\w.~-]+)*\/?$/, 'must be a path such as "/api"')
    .nullish(),
  app: z.string().nullish(),
  enable_custom_route_auth: z.boolean().nullish(),
  configurable_headers: z.object({ includes: names, excludes: names }).nullish(),
  cors: Cors.nullish(),
};

export const HttpKey = z.looseObject(KNOWN).transform((http) => ({
  notYet: Object.keys(http).filter((key) => !(key in KNOWN) && asksForSomething(http[key])),
  /** The project's own app in front of the API, as `./file.ts:export`. */
  app: http.app ?? null,
  webhooksDisabled: http.disable_webhooks ?? false,
  http: {
    /** Whether the routes of that app need a login where authentication is configured. */
    guardApp: http.enable_custom_route_auth ?? true,
    disabled: ROUTE_GROUPS.filter((group) => http[`disable_${group}`] === true),
    /** Empty, or a path that begins with a slash and does not end with one. */
    mountPrefix: (http.mount_prefix ?? '').replace(/\/$/, ''),
    configurableHeaders: {
      includes: http.configurable_headers?.includes ?? ['x-*', 'user-agent'],
      excludes: http.configurable_headers?.excludes ?? [],
    },
    cors: corsRules(http.cors ?? {}),
  },
}));

export type HttpSettings = z.infer<typeof HttpKey>['http'] & { app: ExportSource | null };

/** Where only a pattern is given, it is the pattern that decides. Null stands for whatever the API needs. */
function corsRules(cors: z.infer<typeof Cors>): CorsRules {
  const { allow_origins, allow_origin_regex, allow_credentials, max_age } = cors;
  const origins = allow_origins ?? (allow_origin_regex ? [] : ['*']);
  return {
    origins: origins.includes('*') ? '*' : origins,
    originPattern: allow_origin_regex ?? null,
    methods: cors.allow_methods ?? null,
    headers: cors.allow_headers?.includes('*') ? null : (cors.allow_headers ?? null),
    exposed: cors.expose_headers ?? [],
    credentials: allow_credentials ?? false,
    maxAgeSeconds: max_age ?? 600,
  };
}

function isRegExp(text: string): boolean {
  try {
    return new RegExp(text) instanceof RegExp;
  } catch {
    return false;
  }
}

function asksForSomething(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false;
}
