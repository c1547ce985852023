import type { IncomingMessage } from 'node:http';
import type { ApiKey, AuthUser, Caller, Maker } from '../core/caller.ts';
import { UnauthorizedError } from '../core/errors.ts';
import { ApiKeys, decideByScopes, userOfKey } from './api-keys.ts';
import { headerPicker, type HeaderRules } from './passed-headers.ts';
import type { ExportSource } from '../core/project-export.ts';
import { UserCache, type UserCacheOptions } from './user-cache.ts';
import { ProjectAuth } from './project-auth.ts';
import { everything, RequestCaller } from './request-caller.ts';

export interface AuthSettings {
  /** The project's own `Auth` object; null: none. */
  project: ExportSource | null;
  apiKeys: readonly ApiKey[];
  /** Whether a request that claims to come from LangGraph Studio is believed. */
  trustStudio: boolean;
  /** Null: the project is asked about each request. */
  cache: UserCacheOptions | null;
}

/** LangGraph's own user for a request of Studio: `isStudioUser` of the SDK knows it. */
const STUDIO_USER: AuthUser = {
  kind: 'StudioUser',
  identity: 'langgraph-studio-user',
  display_name: 'langgraph-studio-user',
  is_authenticated: true,
  permissions: [],
};

/** Finds out who makes a request: the bearer of one of our keys, or a user of the project. */
export class Authenticator {
  readonly #keys: ApiKeys;
  readonly #project: ProjectAuth | null;
  readonly #trustStudio: boolean;
  readonly #cache: UserCache | null;
  readonly #pickHeaders: ReturnType<typeof headerPicker>;

  private constructor(settings: AuthSettings, rules: HeaderRules, project: ProjectAuth | null) {
    this.#keys = new ApiKeys(settings.apiKeys);
    this.#trustStudio = settings.trustStudio;
    this.#cache = settings.cache && new UserCache(settings.cache);
    this.#pickHeaders = headerPicker(rules);
    this.#project = project;
  }

  /**
   * Loads the project's own authentication, if there is one. `findable`: the keys of metadata that rows can be told by; null:
   * all. Throws InvalidInputError.
   */
  static async open(
    settings: AuthSettings,
    rules: HeaderRules,
    findable: ReadonlySet<string> | null = null,
  ): Promise<Authenticator> {
    return new Authenticator(settings, rules, settings.project && (await ProjectAuth.load(settings.project, findable)));
  }

  /** Whether callers must say who they are. */
  get isRequired(): boolean {
    return this.#project !== null || this.#keys.size > 0;
  }

  /**
   * Reads the request's headers only, so it can be asked before a body is read or a connection upgraded.
   * Throws UnauthorizedError, AuthRefusalError.
   */
  async identify(request: IncomingMessage & { originalUrl?: string }): Promise<Caller> {
    const headers = this.#pickHeaders(request.headers);
    if (!this.isRequired) return new RequestCaller({ user: null, hasKey: false, headers }, everything);
    const key = this.#keys.find(request.headers);
    if (key) return new RequestCaller({ user: userOfKey(key), hasKey: true, headers }, decideByScopes(key));
    const project = this.#project;
    if (!project) {
      throw new UnauthorizedError('This needs an API key: send one as x-api-key, or as Authorization: Bearer');
    }
    const isStudio = this.#trustStudio && request.headers['x-auth-scheme'] === 'langsmith';
    const user = isStudio ? { ...STUDIO_USER } : await this.#userOf(project, request);
    return new RequestCaller({ user, hasKey: false, headers }, project.decideFor(user));
  }

  /**
   * For what somebody made that acts for him later. The project's handlers are asked anew each time, so that it does nothing
   * which he may no longer do. What the bearer of a key made goes on without it: keys have nothing of their own.
   */
  actingFor(maker: Maker): Caller {
    const project = maker.hasKey ? null : this.#project;
    return new RequestCaller(maker, project && maker.user ? project.decideFor(maker.user) : everything);
  }

  async #userOf(project: ProjectAuth, request: IncomingMessage): Promise<AuthUser> {
    const find = async () => project.authenticate(request);
    return this.#cache ? this.#cache.get(request.headers, find) : find();
  }
}
