import type { Access } from './access.ts';
import type { JsonObject } from './json.ts';
import type { Thread } from './thread.ts';

/** What somebody wants to do, as the authorisation handlers of LangGraph name it. */
export type AuthEvent =
  | `assistants:${'create' | 'read' | 'update' | 'delete' | 'search'}`
  | `threads:${'create' | 'read' | 'update' | 'delete' | 'search' | 'create_run'}`
  | `crons:${'create' | 'read' | 'update' | 'delete' | 'search'}`
  | `store:${'put' | 'get' | 'delete' | 'search' | 'list_namespaces'}`;

/** Who somebody is. What else the project's authentication says of a user stands beside these fields. */
export interface AuthUser {
  identity: string;
  display_name: string;
  is_authenticated: boolean;
  permissions: string[];
  [key: string]: unknown;
}

/**
 * Whoever makes a request. Every service takes one, and asks it before each thing that it does:
 *
 *     const access = await caller.may('threads:read', { thread_id });
 *     const thread = await threads.within(access).get(thread_id);
 *
 * A row beyond the access is as if it did not exist. A route whose handler asks nothing fails, unless it is marked `open`
 * or `known`.
 */
export interface Caller extends Readonly<Maker> {
  /** Whether {@link may} has been asked anything. */
  readonly asked: boolean;
  /**
   * Which rows it may do this to. `value` is what is about to be done; a handler may change it in place, so read from it
   * afterwards: that is how new rows get their owner. Throws ForbiddenError, AuthRefusalError.
   */
  may(event: AuthEvent, value: object): Promise<Access>;
}

/** Who made something, as far as it is kept with what acts for him later. */
export interface Maker {
  /** Null where no authentication is configured. */
  user: AuthUser | null;
  /** Whether he is the bearer of one of our own API keys, and no user of the project. */
  hasKey: boolean;
  /** What runs may read of the request's headers, as part of their `configurable`. */
  headers: Readonly<Record<string, string>>;
}

/** `read` sees; `write` also works with threads, runs and the store; `admin` does everything. */
export const KEY_SCOPES = ['read', 'write', 'admin'] as const;
export type KeyScope = (typeof KEY_SCOPES)[number];

/** A built-in API key. The key itself is known to its bearer only. */
export interface ApiKey {
  name: string;
  /** Of the key's text, in hexadecimal. */
  sha256: string;
  scopes: readonly KeyScope[];
}

/** What somebody configured, and above it who asks, as nodes and factories find him: nobody can pass for another. */
export function withUser(configurable: JsonObject | undefined, user: AuthUser | null): JsonObject {
  if (!user) return { ...configurable };
  return {
    ...configurable,
    langgraph_auth_user: user as JsonObject,
    langgraph_auth_user_id: user.identity,
    langgraph_auth_permissions: user.permissions,
  };
}
/** A thread as its graph's factory is to find it: with who asks for its state. Never to be shown or stored. */
export function asSeenBy({ user }: Pick<Caller, 'user'>, thread: Thread): Thread {
  return { ...thread, config: { ...thread.config, configurable: withUser(thread.config.configurable, user) } };
}

/** Keys of a user in `configurable`: they belong to one run, and in nothing that is shown or outlives it. */
export const USER_KEYS = /^langgraph_auth_/;
