import { z } from 'zod';
import type { JsonObject } from '../core/json.ts';

const requirements = z.array(z.record(z.string(), z.array(z.string())));

const Cache = z.strictObject({
  // Without: which answers are the same is nothing to guess.
  cache_keys: z
    .array(z.string().regex(/^[\w!#$%&'*+.^`|~-]+$/, 'is no name of a header'))
    .min(1, 'name every header that your authenticate handler reads'),
  ttl_seconds: z.int().min(1).max(86_400).nullish(),
  max_size: z.int().min(1).max(1_000_000).nullish(),
});

const OpenApi = z.strictObject({
  securitySchemes: z.record(z.string(), z.record(z.string(), z.json())).nullish(),
  security: requirements.nullish(),
  paths: z.record(z.string(), z.record(z.string(), requirements)).nullish(),
});

/** The key `auth` of langgraph.json. */
export const AuthKey = z.looseObject({
  path: z.string().nullish(),
  disable_studio_auth: z.boolean().nullish(),
  cache: Cache.nullish(),
  openapi: OpenApi.nullish(),
});

/** For how long what the project's `authenticate` said of a request holds for others with the same headers. */
export interface UserCacheSettings {
  /** In small letters. */
  headers: readonly string[];
  ttlMs: number;
  maxUsers: number;
}

/** How clients log in, as the OpenAPI document is to say it. */
export interface SecurityDescription {
  schemes: JsonObject;
  /** Null: not said. */
  everywhere: Requirement[] | null;
  /** By path and by method in small letters. */
  paths: Record<string, Record<string, Requirement[]>>;
}
type Requirement = Record<string, string[]>;

export function authDetails({ cache, openapi }: z.infer<typeof AuthKey>): {
  cache: UserCacheSettings | null;
  described: SecurityDescription | null;
} {
  return {
    cache: cache
      ? {
          headers: cache.cache_keys.map((name) => name.toLowerCase()),
          ttlMs: (cache.ttl_seconds ?? 60) * 1000,
          maxUsers: cache.max_size ?? 1000,
        }
      : null,
    described: openapi
      ? {
          schemes: openapi.securitySchemes ?? {},
          everywhere: openapi.security ?? null,
          paths: Object.fromEntries(
            Object.entries(openapi.paths ?? {}).map(([path, methods]) => [path, inSmallLetters(methods)]),
          ),
        }
      : null,
  };
}

function inSmallLetters<T>(byMethod: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(byMethod).map(([method, value]) => [method.toLowerCase(), value]));
}
