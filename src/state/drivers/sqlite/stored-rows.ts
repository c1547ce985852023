import type {
  CheckpointKey,
  CheckpointQuery,
  LoadedCheckpoint,
  StoredCheckpoint,
  WritesRow,
} from '../checkpoint-driver.ts';
import { fromKey, fromNullableKey, toKey } from '../text-key.ts';
import type { Parameter, SqliteFile } from './sqlite-file.ts';

interface CheckpointColumns {
  /** The number of the thread in the file. */
  thread: number;
  thread_id: string;
  checkpoint_ns: string;
  checkpoint_id: string;
  parent_id: string | null;
  run_id: string | null;
  value_ids: string;
  body: Uint8Array;
}

interface WritesColumns {
  task_id: string;
  task_path: string;
  run_id: string | null;
  value_ids: string;
  body: Uint8Array;
}

/** A checkpoint and the writes after it, with what it takes to read on from there. */
export interface Hit extends StoredCheckpoint {
  /** The number of the thread in the file. */
  thread: number;
  value_ids: string[];
}

/** One page, the last stored one first. */
export function findCheckpoints(file: SqliteFile, query: CheckpointQuery, limit: number, after?: CheckpointKey): Hit[] {
  const { text, values } = whereClause(file, query, after);
  // The places first: bodies would go through the sort with them.
  const places = file.rows<{ seq: number }>(
    `select seq from checkpoints ${text} order by seq desc limit ?`,
    ...values,
    limit,
  );
  return places.flatMap(({ seq }) => {
    const [columns] = file.rows<CheckpointColumns>(`${CHECKPOINT} where seq = ?`, seq);
    return columns === undefined ? [] : hitOf(file, columns);
  });
}

export function parentOf(file: SqliteFile, { thread, row }: Hit): Hit | undefined {
  if (row.parent_id === null) return undefined;
  const [columns] = file.rows<CheckpointColumns>(
    `${CHECKPOINT} where thread = ? and checkpoint_ns = ? and checkpoint_id = ?`,
    thread,
    toKey(row.checkpoint_ns),
    toKey(row.parent_id),
  );
  return columns && hitOf(file, columns);
}

/** With their values, each read once. */
export function withValues(file: SqliteFile, hits: readonly Hit[]): LoadedCheckpoint[] {
  const needed = new Map<number, Set<string>>();
  for (const { thread, value_ids } of hits) needed.set(thread, new Set([...(needed.get(thread) ?? []), ...value_ids]));
  const values = new Map([...needed].map(([thread, ids]) => [thread, readValues(file, thread, [...ids])]));
  return hits.map(({ thread, row, writes }) => ({ row, writes, values: values.get(thread) ?? new Map() }));
}

export function readValues(file: SqliteFile, thread: number, ids: readonly string[]): Map<string, Uint8Array> {
  const found = ids.flatMap((id) => {
    const [row] = file.rows<{ body: Uint8Array }>(
      'select body from big_values where thread = ? and id = ?',
      thread,
      id,
    );
    return row === undefined ? [] : [[id, row.body] as const];
  });
  return new Map(found);
}

const CHECKPOINT = `select thread, thread_id, checkpoint_ns, checkpoint_id, parent_id, run_id, value_ids, body
  from checkpoints join threads on number = thread`;

function hitOf(file: SqliteFile, columns: CheckpointColumns): Hit {
  const { thread, checkpoint_ns, checkpoint_id, parent_id, body } = columns;
  const writes = file.rows<WritesColumns>(
    `select task_id, task_path, run_id, value_ids, body from writes
    where thread = ? and checkpoint_ns = ? and checkpoint_id = ? order by seq`,
    thread,
    checkpoint_ns,
    checkpoint_id,
  );
  const key: CheckpointKey = {
    thread_id: fromKey(columns.thread_id),
    checkpoint_ns: fromKey(checkpoint_ns),
    checkpoint_id: fromKey(checkpoint_id),
  };
  return {
    thread,
    row: { ...key, parent_id: fromNullableKey(parent_id), run_id: fromNullableKey(columns.run_id), body },
    writes: writes.map((write): WritesRow => {
      const { task_id, task_path, run_id } = write;
      return {
        ...key,
        task_id: fromKey(task_id),
        task_path: fromKey(task_path),
        run_id: fromNullableKey(run_id),
        body: write.body,
      };
    }),
    value_ids: [columns, ...writes].flatMap(({ value_ids }) => JSON.parse(value_ids) as string[]),
  };
}

function whereClause(file: SqliteFile, query: CheckpointQuery, after: CheckpointKey | undefined) {
  const { filter = {} } = query;
  const conditions: [sql: string, value: Parameter | undefined][] = [
    ['thread = (select number from threads where thread_id = ?)', query.thread_id && toKey(query.thread_id)],
    ['checkpoint_ns = ?', query.checkpoint_ns === undefined ? undefined : toKey(query.checkpoint_ns)],
    ['checkpoint_id = ?', query.checkpoint_id && toKey(query.checkpoint_id)],
    ['seq < ?', query.before === undefined ? undefined : placeOf(file, { ...query, checkpoint_id: query.before })],
    ['seq < ?', after && placeOf(file, after)],
    ['metadata_contains(metadata, ?)', Object.keys(filter).length > 0 ? JSON.stringify(filter) : undefined],
  ];
  const given = conditions.filter((condition): condition is [string, Parameter] => condition[1] !== undefined);
  return {
    text: given.length > 0 ? `where ${given.map(([sql]) => sql).join(' and ')}` : '',
    values: given.map(([, value]) => value),
  };
}

type PartialKey = { [K in keyof CheckpointKey]?: string | undefined };

/** A checkpoint's place in the order of storing; of one that is not there, right after all whose ids are smaller. */
function placeOf(file: SqliteFile, { checkpoint_id = '', ...scope }: PartialKey): number {
  const { text, values } = whereClause(
    file,
    { thread_id: scope.thread_id, checkpoint_ns: scope.checkpoint_ns },
    undefined,
  );
  const place = (condition: string): number | null =>
    file.rows<{ seq: number | null }>(
      `select max(seq) as seq from checkpoints ${text === '' ? 'where' : `${text} and`} ${condition}`,
      ...values,
      toKey(checkpoint_id),
    )[0]?.seq ?? null;
  const before = place('checkpoint_id < ?');
  return place('checkpoint_id = ?') ?? (before === null ? 0 : before + 1);
}
