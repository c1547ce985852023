/** Every way in which a request can be refused. `docs/errors.md` has one heading for each; `http/error-handler.ts` one status. */
export const ERROR_CODES = [
  'invalid_input',
  'empty_namespace',
  'unsupported_field',
  'unauthorized',
  'forbidden',
  'not_found',
  'conflict',
  'busy',
  'fenced',
  'unstorable_value',
  'unreadable_value',
  'graph_failed_to_load',
  'too_large',
  'unavailable',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** A refusal that the caller can act on. Its message names what to do next and is safe to show. */
export class ServiceError extends Error {
  override readonly name: string = 'ServiceError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Whether what is kept cannot be read, now or ever: to try again is in vain. */
export function isUnreadable(error: unknown): boolean {
  return error instanceof ServiceError && error.code === 'unreadable_value';
}

/** The named thing does not exist, or the caller may not know that it does. */
export class NotFoundError extends ServiceError {
  override readonly name = 'NotFoundError';
  /** What it is that was not found: `Thread`, `Run`, … */
  readonly kind: string;
  constructor(kind: string, id: string) {
    super('not_found', `${kind} ${id} not found`);
    this.kind = kind;
  }
}

export class ConflictError extends ServiceError {
  override readonly name = 'ConflictError';
  constructor(message: string) {
    super('conflict', message);
  }
}

/** The request does not say, or does not prove, who makes it. */
export class UnauthorizedError extends ServiceError {
  override readonly name = 'UnauthorizedError';
  constructor(message: string) {
    super('unauthorized', message);
  }
}

/** Whoever makes the request may do this to nothing at all. What he may do to some rows only is NotFoundError for the others. */
export class ForbiddenError extends ServiceError {
  override readonly name = 'ForbiddenError';
  constructor(message: string) {
    super('forbidden', message);
  }
}

/** A refusal of the project's own authentication, with the status and headers that it chose. */
export class AuthRefusalError extends ServiceError {
  override readonly name = 'AuthRefusalError';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  constructor(status: number, message: string, headers: Record<string, string>) {
    super(status === 401 ? 'unauthorized' : status === 404 ? 'not_found' : 'forbidden', message);
    this.status = status;
    this.headers = headers;
  }
}

/** The thread has a run that is waiting or running, and what was asked for needs it idle. */
export class BusyError extends ServiceError {
  override readonly name = 'BusyError';
  constructor(threadId: string) {
    super('busy', `Thread ${threadId} is busy with a run: wait for it, cancel it, or use another multitask_strategy`);
  }
}

export class InvalidInputError extends ServiceError {
  override readonly name = 'InvalidInputError';
  constructor(message: string) {
    super('invalid_input', message);
  }
}

/** An item of the store needs a namespace of at least one label. */
export class EmptyNamespaceError extends ServiceError {
  override readonly name = 'EmptyNamespaceError';
  constructor() {
    super('empty_namespace', 'The namespace is empty: name at least one label, such as ["memories"]');
  }
}

/** The API knows the field and Baton does not support it yet: refused rather than dropped in silence. */
export class UnsupportedFieldError extends ServiceError {
  override readonly name = 'UnsupportedFieldError';
  constructor(field: string, advice: string) {
    super('unsupported_field', `"${field}" is not supported yet: ${advice}`);
  }
}

/** A worker whose lease was given to another tried to write. Its attempt ends; the other one carries on. */
export class FencedError extends ServiceError {
  override readonly name = 'FencedError';
  constructor(threadId: string) {
    super('fenced', `A newer attempt owns thread ${threadId}: this write was refused and nothing was changed`);
  }
}

/** A value that no store could give back as it went in. `path` says where in the state it stands. */
export class UnstorableValueError extends ServiceError {
  override readonly name = 'UnstorableValueError';
  readonly path: string;
  constructor(path: string, what: string) {
    super(
      'unstorable_value',
      `The value at ${path} cannot be stored: ${what}. Keep it out of the state, or declare it as an UntrackedValue`,
    );
    this.path = path;
  }
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
