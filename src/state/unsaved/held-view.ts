import type {
  CheckpointDriver,
  CheckpointKey,
  CheckpointQuery,
  LoadedCheckpoint,
  PutCheckpoint,
  PutWrites,
  StoredCheckpoint,
  Values,
} from '../drivers/checkpoint-driver.ts';
import { placeOf } from '../../core/checkpoint-place.ts';
import { matches, newestFirst, placeAfter } from '../checkpoints/checkpoint-query.ts';

export type HeldChange = PutCheckpoint | PutWrites;

export interface HeldViewOptions {
  driver: CheckpointDriver;
  threadId: string;
  changes: readonly HeldChange[];
  /** The big values that came with them. */
  values: ReadonlyMap<string, Uint8Array>;
}

/**
 * A thread as it would be if what is held of it were stored. Taken before the driver is asked: what is saved in between
 * is then seen twice, which changes nothing, and not missed.
 */
export class HeldView {
  readonly threadId: string;
  readonly #driver: CheckpointDriver;
  readonly #changes: readonly HeldChange[];
  readonly #values: ReadonlyMap<string, Uint8Array>;

  constructor({ driver, threadId, changes, values }: HeldViewOptions) {
    this.#driver = driver;
    this.threadId = threadId;
    this.#changes = changes;
    this.#values = values;
  }

  async get(checkpointNs: string, checkpointId: string | undefined): Promise<LoadedCheckpoint | undefined> {
    const held = this.#checkpoint(checkpointNs, checkpointId);
    if (held !== undefined && checkpointId !== undefined) return this.load(held);
    const stored = await this.#driver.get(this.threadId, checkpointNs, checkpointId);
    if (held !== undefined && this.#isNewer(held, stored)) return this.load(held);
    return stored && this.withWrites(stored);
  }

  async chain(checkpointNs: string, checkpointId: string | undefined, limit: number): Promise<StoredCheckpoint[]> {
    const path: StoredCheckpoint[] = [];
    let held = this.#checkpoint(checkpointNs, checkpointId);
    if (held !== undefined && checkpointId === undefined) {
      const [stored] = await this.#driver.chain(this.threadId, checkpointNs, undefined, 1);
      if (!this.#isNewer(held, stored)) held = undefined;
    }
    let next: string | null | undefined = checkpointId;
    while (held !== undefined && path.length < limit) {
      path.push({ row: held.row, writes: this.#writesAt(held.row).map(({ row }) => row) });
      next = held.row.parent_id;
      held = next === null ? undefined : this.#checkpoint(checkpointNs, next);
    }
    if (next === null || path.length === limit) return path;
    const stored = await this.#driver.chain(this.threadId, checkpointNs, next, limit - path.length);
    return [
      ...path,
      ...stored.map(({ row, writes }) => ({
        row,
        writes: [...writes, ...this.#writesAt(row).map((held) => held.row)],
      })),
    ];
  }

  async values(ids: readonly string[]): Promise<Values> {
    const missing = ids.filter((id) => !this.#values.has(id));
    if (missing.length === 0) return this.#values;
    return new Map([...(await this.#driver.values(this.threadId, missing)), ...this.#values]);
  }

  /** The held ones of a list, the last one first. What is stored comes after them all. */
  matching(query: CheckpointQuery, after: CheckpointKey | undefined): PutCheckpoint[] {
    const held = this.#changes.filter(isCheckpoint).toReversed();
    const isHeld = (id: string): boolean => held.some(({ row }) => row.checkpoint_id === id);
    const cursors = [query.before, after?.thread_id === this.threadId ? after.checkpoint_id : undefined];
    let from = 0;
    for (const checkpoint_id of cursors) {
      if (checkpoint_id === undefined) continue;
      from = Math.max(from, isHeld(checkpoint_id) ? placeAfter(held, { checkpoint_id }) : held.length);
    }
    const isOther = after !== undefined && after.thread_id !== this.threadId;
    return held
      .slice(from)
      .filter(
        ({ row, search }) => matches(query, row, JSON.parse(search)) && !(isOther && newestFirst(after, row) >= 0),
      );
  }

  async load({ row, value_ids }: PutCheckpoint): Promise<LoadedCheckpoint> {
    return this.withWrites({ row, writes: [], values: await this.values(value_ids) });
  }

  /** What is held may come after a checkpoint that is stored. */
  async withWrites({ row, writes, values }: LoadedCheckpoint): Promise<LoadedCheckpoint> {
    const held = this.#writesAt(row);
    const ids = held.flatMap(({ value_ids }) => value_ids);
    return {
      row,
      writes: [...writes, ...held.map((change) => change.row)],
      values: ids.length === 0 ? values : new Map([...values, ...(await this.values(ids))]),
    };
  }

  /** One checkpoint, or the latest of the namespace. */
  #checkpoint(checkpointNs: string, checkpointId: string | undefined): PutCheckpoint | undefined {
    return this.#changes
      .filter(isCheckpoint)
      .findLast(
        ({ row }) =>
          row.checkpoint_ns === checkpointNs && (checkpointId === undefined || row.checkpoint_id === checkpointId),
      );
  }

  /** What is stored may have been saved since this view was taken: then it is none of what the held ones go back to. */
  #isNewer({ row }: PutCheckpoint, stored: StoredCheckpoint | undefined): boolean {
    if (stored === undefined || row.checkpoint_id >= stored.row.checkpoint_id) return true;
    return this.#changes.some((change) => isCheckpoint(change) && change.row.parent_id === stored.row.checkpoint_id);
  }

  #writesAt(key: CheckpointKey): PutWrites[] {
    const place = placeOf(key);
    return this.#changes.filter(
      (change): change is PutWrites => !isCheckpoint(change) && placeOf(change.row) === place,
    );
  }
}

export function isCheckpoint(change: HeldChange): change is PutCheckpoint {
  return 'search' in change;
}
