import { toKey } from '../text-key.ts';
import type { SqliteFile } from './sqlite-file.ts';

interface Thread {
  number: number;
  /** Its fence. */
  token: number | null;
}

/** The row of a thread, which all others of the thread name by its number. */
export function threadOf(file: SqliteFile, threadId: string): Thread | undefined {
  return file.rows<Thread>('select number, token from threads where thread_id = ?', toKey(threadId))[0];
}

/** The number of a thread that is there from now on. Within a transaction. */
export function addThread(file: SqliteFile, threadId: string): number {
  const [added] = file.rows<Thread>(
    'insert into threads (thread_id) values (?) returning number, token',
    toKey(threadId),
  );
  if (added === undefined) throw new Error('SQLite stored a row and told nothing of it');
  return added.number;
}
