import { NotFoundError, ServiceError, type ErrorCode } from '../../core/errors.ts';

/** The codes with which the protocol of threads refuses a command. */
export type RefusalCode =
  | 'invalid_argument'
  | 'unknown_command'
  | 'unknown_error'
  | 'no_such_run'
  | 'no_such_subscription'
  | 'no_such_namespace'
  | 'no_such_interrupt'
  | 'no_such_checkpoint'
  | 'permission_denied'
  | 'not_supported';

/** A command that is refused. Its message says what to do next and is safe to show. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: RefusalCode;
  constructor(code: RefusalCode, message: string) {
    super(message);
    this.code = code;
  }
}

const NOT_FOUND: Record<string, RefusalCode> = { Checkpoint: 'no_such_checkpoint', Run: 'no_such_run' };

/** What the rest of the API refuses in its own way, in the protocol's; null for a fault of ours. */
export function asRefusal(error: unknown): Refusal | null {
  if (error instanceof Refusal) return error;
  if (!(error instanceof ServiceError)) return null;
  if (error instanceof NotFoundError) return new Refusal(NOT_FOUND[error.kind] ?? 'invalid_argument', error.message);
  const code = CODE_OF[error.code];
  return code ? new Refusal(code, error.message) : null;
}

const CODE_OF: Partial<Record<ErrorCode, RefusalCode>> = {
  invalid_input: 'invalid_argument',
  unsupported_field: 'not_supported',
  unauthorized: 'permission_denied',
  forbidden: 'permission_denied',
  not_found: 'permission_denied',
  conflict: 'invalid_argument',
  busy: 'invalid_argument',
  fenced: 'unknown_error',
  unstorable_value: 'invalid_argument',
  graph_failed_to_load: 'unknown_error',
  too_large: 'invalid_argument',
  unavailable: 'unknown_error',
};
