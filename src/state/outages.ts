import { isConnectionLost } from '../core/connection-loss.ts';
import { messageOf, ServiceError } from '../core/errors.ts';

/** The store itself; but what fails because it is out of reach says which store that is. All of its answers are promises. */
export function namingOutages<T extends object>(store: T, name: string): T {
  return new Proxy(store, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        const answer: unknown = Reflect.apply(member, target, args);
        return answer instanceof Promise ? answer.catch((error: unknown) => rethrow(error, name)) : answer;
      };
    },
  });
}

/**
 * @throws ServiceError `unavailable`, which lets a run wait and try again, for a lost connection; else the error itself:
 * a store that knows better what is wrong with it has said so.
 */
export function rethrow(error: unknown, name: string): never {
  if (!isConnectionLost(error) && !(error instanceof ServiceError && isConnectionLost(error.cause))) throw error;
  throw new ServiceError('unavailable', `The state store ${name} is out of reach: see that it runs, then try again`, {
    cause: error,
  });
}

/** Why something failed, in one line. Node says nothing when none of a host's addresses answered. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reasonOf).join(', ');
  return messageOf(error).split('\n')[0] ?? '';
}
