import { Access } from '../core/access.ts';
import type { AuthEvent, AuthUser, Caller, Maker } from '../core/caller.ts';
import { UnauthorizedError } from '../core/errors.ts';

/** Decides on one thing that somebody wants to do. May change `value`. */
export type Decide = (event: AuthEvent, value: object) => Promise<Access>;

/** Whoever makes one request. */
export class RequestCaller implements Caller {
  readonly user: AuthUser | null;
  readonly hasKey: boolean;
  readonly headers: Readonly<Record<string, string>>;
  readonly #decide: Decide;
  #asked = false;

  constructor({ user, hasKey, headers }: Maker, decide: Decide) {
    this.user = user;
    this.hasKey = hasKey;
    this.headers = headers;
    this.#decide = decide;
  }

  get asked(): boolean {
    return this.#asked;
  }

  async may(event: AuthEvent, value: object): Promise<Access> {
    this.#asked = true;
    return this.#decide(event, value);
  }
}

/** Where no authentication is configured. */
export const everything: Decide = async () => Access.everything;

/** Where it is not known who somebody is. */
export const NOBODY: Maker = { user: null, hasKey: false, headers: {} };

/** For routes that are open: whoever it is has not been asked, and so may do nothing that is asked for. */
export function nobody(): Caller {
  return new RequestCaller(NOBODY, async () => {
    throw new UnauthorizedError('This is open to everybody, and so it reads nothing that is somebody’s');
  });
}
