import type { Pool, PoolClient } from 'pg';
import { ServiceError } from '../../core/errors.ts';
import { holdsSealed } from './sealing.ts';

/** How long an answer is good for, to who writes. Whoever claims asks in his statement, and what is read is looked at. */
const ASKED_EVERY_MS = 1000;

/**
 * In SQL, of who seals nothing and claims something. The first key is there before the first sealed row is: a statement that
 * could see such a row sees the key.
 */
export const NOTHING_IS_SEALED = 'not exists (select from baton.thread_keys)';

/**
 * Keeps a process that seals nothing away from a control plane that is sealed, also when another process sealed it later: it
 * would hand out what is sealed as if users had said it, and write beside it in clear.
 */
export class PlainGuard {
  readonly #pool: Pool;
  #plainAtMs = -Infinity;
  #asking: Promise<void> | null = null;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** @throws ServiceError `unavailable`: what is to be done waits for a process that can do it. */
  check(): void | Promise<void> {
    if (performance.now() - this.#plainAtMs >= ASKED_EVERY_MS) return this.#ask();
  }

  /** Rows as they are. What only looks sealed, as users may write what they like, costs one question. */
  shown<T>(rows: T[], by: Pool | PoolClient): T[] | Promise<T[]> {
    // Several statements in one text, as migrations are, have no rows.
    const found = (rows as Record<string, unknown>[] | undefined) ?? [];
    // Not by a question of others, which may be older than the rows.
    return holdsSealed(found) ? this.#see(by).then(() => rows) : rows;
  }

  #ask(): Promise<void> {
    this.#asking ??= this.#see(this.#pool).finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  async #see(by: Pool | PoolClient): Promise<void> {
    const nowMs = performance.now();
    this.#plainAtMs = -Infinity;
    const { rows } = await by.query<{ plain: boolean }>(`select ${NOTHING_IS_SEALED} plain`);
    if (rows[0]?.plain !== true) throw isSealed();
    this.#plainAtMs = nowMs;
  }
}

function isSealed(): ServiceError {
  return new ServiceError(
    'unavailable',
    'This control plane is sealed (there are rows in baton.thread_keys), and neither STATE_URL nor the state of a graph begins with "encrypted+" here: give it back, with BATON_KEYS, and start again. Was .env read?',
  );
}
