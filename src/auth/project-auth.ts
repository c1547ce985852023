import type { IncomingMessage } from 'node:http';
import { Access } from '../core/access.ts';
import type { AuthUser } from '../core/caller.ts';
import { AuthRefusalError, ForbiddenError, InvalidInputError, UnauthorizedError } from '../core/errors.ts';
import { importExport, unusable, type ExportSource } from '../core/project-export.ts';
import { requestUrl } from '../core/request-url.ts';
import type { Decide } from './request-caller.ts';

const WHAT = 'The authentication';

type Handler = (asked: object) => unknown;

/** What the `Auth` of `@langchain/langgraph-sdk/auth` keeps, in any copy of that package. */
interface Handlers {
  authenticate?: (request: Request) => unknown;
  callbacks?: Record<string, Handler>;
}

/** The authentication and authorisation that a project brings along, as LangGraph's `Auth` object. */
export class ProjectAuth {
  readonly #handlers: Handlers;
  readonly #findable: ReadonlySet<string> | null;
  private constructor(handlers: Handlers, findable: ReadonlySet<string> | null) {
    this.#handlers = handlers;
    this.#findable = findable;
  }

  /**
   * `findable`: the keys of metadata that rows can be told by; null: all. @throws InvalidInputError naming file and export: to serve without it would expose what it protects.
   */
  static async load(source: ExportSource, findable: ReadonlySet<string> | null): Promise<ProjectAuth> {
    const handlers = handlersOf(await importExport(source, WHAT));
    if (!handlers) throw unusable(source, WHAT, 'it is no Auth object of @langchain/langgraph-sdk/auth');
    if (!handlers.authenticate) throw unusable(source, WHAT, 'it has no authenticate handler');
    return new ProjectAuth(handlers, findable);
  }

  /** Throws UnauthorizedError, AuthRefusalError, and whatever else the handler throws: that is a fault and not a refusal. */
  async authenticate(request: IncomingMessage & { originalUrl?: string }): Promise<AuthUser> {
    const answer = await refusing(() => this.#handlers.authenticate?.(toWebRequest(request)));
    if (typeof answer === 'string' && answer !== '') return userOf({ identity: answer });
    if (typeof answer === 'object' && answer !== null && 'identity' in answer && typeof answer.identity === 'string') {
      return userOf({ ...answer, identity: answer.identity });
    }
    throw new UnauthorizedError('The request does not say who makes it: log in');
  }

  /** Nothing would be found, and nobody would know why. */
  #requireFindable(access: Access): void {
    const hidden = Object.keys(access.contains).find((key) => this.#findable?.has(key) === false);
    if (hidden === undefined) return;
    throw new InvalidInputError(
      `Authorisation filters by metadata.${hidden}, which is encrypted: name it in BATON_CLEAR_METADATA, and it is stored in clear`,
    );
  }

  /** Asks the most specific handler; what none is for is allowed, as LangGraph has it. */
  decideFor(user: AuthUser): Decide {
    return async (event, value) => {
      const [resource = '', action = ''] = event.split(':');
      const { callbacks = {} } = this.#handlers;
      const name = [event, resource, `*:${action}`, '*'].find((candidate) => Object.hasOwn(callbacks, candidate));
      const handler = name === undefined ? undefined : callbacks[name];
      if (!handler) return Access.everything;
      const { permissions } = user;
      const access = Access.of(await refusing(() => handler({ event, resource, action, value, user, permissions })));
      if (!access) throw new ForbiddenError('You may not do this');
      if (resource !== 'store') this.#requireFindable(access);
      return access;
    };
  }
}

/** By its mark and not by its class: the project has a copy of the package of its own. */
function handlersOf(value: unknown): Handlers | null {
  if (typeof value !== 'object' || value === null || !('~handlerCache' in value)) return null;
  return value['~handlerCache'] as Handlers;
}

function userOf(answer: { identity: string; [key: string]: unknown }): AuthUser {
  const { permissions, is_authenticated, display_name } = answer;
  return {
    ...answer,
    permissions: Array.isArray(permissions) ? permissions.map(String) : [],
    is_authenticated: is_authenticated !== false,
    display_name: typeof display_name === 'string' ? display_name : answer.identity,
  };
}

/** The handlers refuse by throwing the SDK's HTTPException. */
async function refusing(ask: () => unknown): Promise<unknown> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof Error) || !('status' in error) || !('headers' in error)) throw error;
    const { status, headers, message } = error;
    if (typeof status !== 'number' || !Number.isInteger(status) || status < 400 || status > 599) throw error;
    throw new AuthRefusalError(
      status,
      message,
      Object.fromEntries(new Headers(headers as ConstructorParameters<typeof Headers>[0])),
    );
  }
}

/** Without the body: who somebody is stands in the headers, and what is not known to be his is not read. */
function toWebRequest(request: IncomingMessage & { originalUrl?: string }): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    for (const item of [value ?? []].flat()) headers.append(name, item);
  }
  const protocol = 'encrypted' in request.socket ? 'https' : 'http';
  const url = requestUrl(protocol, request.headers.host, request.originalUrl ?? request.url ?? '/');
  return new Request(url, { method: request.method ?? 'GET', headers });
}
