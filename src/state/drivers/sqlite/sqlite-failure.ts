import { isConnectionLost, outliveConnections } from '../../../core/connection-loss.ts';
import { messageOf, ServiceError } from '../../../core/errors.ts';

/** Of the primary result codes of SQLite those that tell of the file and not of the statement: https://sqlite.org/rescode.html */
const PASSING = new Map<number, [code: string, what: string]>([
  [5, ['SQLITE_BUSY', 'is locked by another process']],
  [6, ['SQLITE_BUSY', 'is locked']],
  [7, ['SQLITE_IOERR', 'needs more memory than there is']],
  [10, ['SQLITE_IOERR', 'cannot be read or written']],
  [15, ['SQLITE_BUSY', 'is locked by other processes']],
]);

const LASTING = new Map([
  [3, 'may not be used: give this user the right to read and write it'],
  [8, 'is read-only: make the file and its folder writable'],
  [11, 'is damaged: restore it from a backup'],
  [13, 'cannot grow, the disk is full: free some space, then what waits goes on'],
  [14, 'cannot be opened: see that it is a file in a folder that this user may write'],
  [26, 'is no SQLite database: name another file, or restore it from a backup'],
]);

/** What an error of SQLite means for the store, or the error itself when only one statement is at fault. */
export function failureOf(error: unknown, path: string): unknown {
  if (!(error instanceof Error)) return error;
  const code = codeOf(error);
  const lasting = LASTING.get(code);
  if (lasting !== undefined) {
    return new ServiceError('unavailable', `The state file ${path} ${lasting}`, { cause: error });
  }
  const passing = PASSING.get(code);
  if (passing === undefined) return error;
  const [name, what] = passing;
  return Object.assign(new Error(`The state file ${path} ${what} (${error.message})`, { cause: error }), {
    code: name,
  });
}

/** Does again what met a lock or an error of the disk. @throws ServiceError `unavailable` after ten seconds. */
export async function outlive<T>(work: () => T): Promise<T> {
  try {
    return await outliveConnections(async () => work());
  } catch (error) {
    if (!(error instanceof ServiceError && isConnectionLost(error.cause))) throw error;
    const advice = 'see to the disk, or end the process that holds it, then try again';
    throw new ServiceError('unavailable', `${messageOf(error.cause)}, for ten seconds now: ${advice}`);
  }
}

/** What SQLite says of a code. In 1.2.1 of the package the errors of `all()` have their text only. */
const TEXTS = new Map([
  ['database is locked', 5],
  ['out of memory', 7],
  ['attempt to write a readonly database', 8],
  ['disk I/O error', 10],
  ['database disk image is malformed', 11],
  ['database or disk is full', 13],
  ['unable to open database file', 14],
  ['locking protocol', 15],
]);

function codeOf(error: Error): number {
  const code = 'errcode' in error ? Number(error.errcode) & 0xff : TEXTS.get(error.message);
  return code ?? 1;
}
