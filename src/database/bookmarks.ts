import { Access, type Guarded } from '../core/access.ts';
import type { Bookmark } from '../core/bookmark.ts';
import { NotFoundError } from '../core/errors.ts';
import type { Database } from './database.ts';
import { lockThread } from './threads.ts';

const COLUMNS = 'bookmark_id, thread_id, checkpoint_ns, checkpoint_id, name, created_at';

/** The checkpoints of threads that pruning leaves. */
export class Bookmarks implements Guarded<Bookmarks> {
  readonly #db: Database;
  readonly #access: Access;
  constructor(database: Database, access = Access.everything) {
    this.#db = database;
    this.#access = access;
  }

  /** The same, as if there were no threads beyond the access. */
  within(access: Access): Bookmarks {
    return new Bookmarks(this.#db, access);
  }

  /** Under the thread's lock: whoever prunes later sees it, and who pruned before is done. Throws NotFoundError. */
  async insert(bookmark: Omit<Bookmark, 'created_at'>): Promise<Bookmark> {
    const { bookmark_id, thread_id, checkpoint_ns, checkpoint_id, name } = bookmark;
    return this.#db.transaction(async (tx) => {
      if (!(await lockThread(tx, thread_id, this.#access))) throw new NotFoundError('Thread', thread_id);
      const [row] = await tx.query<Bookmark>(
        `insert into baton.bookmarks (bookmark_id, thread_id, checkpoint_ns, checkpoint_id, name)
         values ($1, $2, $3, $4, $5) returning ${COLUMNS}`,
        [bookmark_id, thread_id, checkpoint_ns, checkpoint_id, name],
      );
      return row as Bookmark;
    });
  }

  /** Oldest first. */
  async list(threadId: string): Promise<Bookmark[]> {
    return this.#db.query(
      `select ${COLUMNS} from baton.bookmarks where thread_id = $1 and ${VISIBLE('$2')} order by created_at, bookmark_id`,
      [threadId, this.#access.contains],
    );
  }

  /** False when there was none. */
  async delete(threadId: string, bookmarkId: string): Promise<boolean> {
    const gone = await this.#db.query(
      `delete from baton.bookmarks where thread_id = $1 and bookmark_id = $2 and ${VISIBLE('$3')} returning 1`,
      [threadId, bookmarkId, this.#access.contains],
    );
    return gone.length > 0;
  }
}

/** Whether thread $1 is within the access. */
const VISIBLE = (access: string): string =>
  `exists (select 1 from baton.threads t where t.thread_id = $1 and t.metadata @> ${access})`;
