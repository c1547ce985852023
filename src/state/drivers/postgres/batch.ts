import type { CheckpointKey, PutCheckpoint, PutWrites } from '../../checkpoint-driver.ts';
import { foldWrites } from './folded-writes.ts';
import { toJsonb, toKey } from './text-key.ts';

/** One asked-for change and those who wait for it. */
export interface Change {
  put?: PutCheckpoint;
  putWrites?: PutWrites;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/** A row of the statement's VALUES: the number of its change, its kind (checkpoint, writes, value), then its columns. */
type Row = (string | number | Uint8Array | null)[];

const COLUMNS = [
  ['n', 'int4'],
  ['kind', 'text'],
  ['thread_id', 'text'],
  ['token', 'int8'],
  ['checkpoint_ns', 'text'],
  ['id', 'text'],
  ['ref', 'text'],
  ['task_path', 'text'],
  ['run_id', 'text'],
  ['metadata', 'jsonb'],
  ['value_ids', 'text[]'],
  ['body', 'bytea'],
  ['parent_writes', 'bytea'],
] as const;

export interface Statement {
  query: { name: string; text: string; values: (string | number | Uint8Array | null)[] };
  /** Which of the changes were made, by what the statement answered: each is made or refused by its fence. */
  made: (rows: readonly { n?: unknown }[]) => (change: Change) => boolean;
}

export function changedRow({ put, putWrites }: Change): PutCheckpoint | PutWrites {
  const change = put ?? putWrites;
  if (change === undefined) throw new TypeError('a change of nothing');
  return change;
}

/**
 * One statement that makes all changes, each in its own right: what a fence refuses is left out and the rest is made.
 * Writes that led to a checkpoint of the same batch are folded into its row.
 */
export function statementOf(changes: readonly Change[]): Statement {
  const children = childrenOf(changes);
  const rows = rowsOf(changes, children);
  // Few shapes, so that each connection plans few statements.
  const size = 2 ** Math.ceil(Math.log2(rows.length));
  const fenced = changes.some((change) => changedRow(change).token !== undefined);
  const padding: Row = COLUMNS.map(() => null);
  const values = [...rows, ...Array.from({ length: size - rows.length }, () => padding)].flat();
  return {
    query: { name: `baton_state_${fenced ? 'fenced' : 'free'}_${size}`, text: textOf(size, fenced), values },
    made: (answer) => {
      const numbers = new Set(answer.map(({ n }) => Number(n)));
      return (change) => !fenced || numbers.has(changes.indexOf(children.get(change) ?? change));
    },
  };
}

/** For writes the checkpoint of the batch that they led to: the same writer's, so that both are made or refused. */
function childrenOf(changes: readonly Change[]): Map<Change, Change> {
  const puts = new Map<string, Change>();
  const children = new Map<Change, Change>();
  for (const change of changes.toReversed()) {
    const { row, token } = changedRow(change);
    if (change.put === undefined) {
      const child = puts.get(placeOf(row, token));
      if (child !== undefined) children.set(change, child);
    } else if (change.put.row.parent_id !== null) {
      puts.set(placeOf({ ...row, checkpoint_id: change.put.row.parent_id }, token), change);
    }
  }
  return children;
}

function rowsOf(changes: readonly Change[], children: ReadonlyMap<Change, Change>): Row[] {
  const folded = new Map<Change, PutWrites[]>();
  const rows = valueRows(changes);
  for (const [n, change] of changes.entries()) {
    const child = children.get(change);
    if (change.put !== undefined) rows.push(checkpointRow(n, change.put, folded.get(change) ?? []));
    else if (change.putWrites === undefined) continue;
    else if (child === undefined) rows.push(writesRow(n, change.putWrites));
    else folded.set(child, [...(folded.get(child) ?? []), change.putWrites]);
  }
  return rows;
}

/** A value that several of the changes bring is sent once for each token, since each may be refused. */
function valueRows(changes: readonly Change[]): Row[] {
  const rows = new Map<string, Row>();
  for (const [n, change] of changes.entries()) {
    const { row, values, token = null } = changedRow(change);
    for (const [id, body] of values) {
      const key = `${row.thread_id}\0${id}\0${token}`;
      if (rows.has(key)) continue;
      rows.set(key, [n, 'v', toKey(row.thread_id), token, null, id, null, null, null, null, null, body, null]);
    }
  }
  return [...rows.values()];
}

function checkpointRow(n: number, { row, token, search, value_ids }: PutCheckpoint, folded: PutWrites[]): Row {
  const ids = new Set([...value_ids, ...folded.flatMap((writes) => writes.value_ids)]);
  const { thread_id, checkpoint_ns, checkpoint_id, parent_id, run_id, body } = row;
  return [
    n,
    'c',
    toKey(thread_id),
    token ?? null,
    toKey(checkpoint_ns),
    toKey(checkpoint_id),
    parent_id === null ? null : toKey(parent_id),
    null,
    run_id === null ? null : toKey(run_id),
    toJsonb(search),
    `{${[...ids].join(',')}}`,
    body,
    folded.length > 0 ? foldWrites(folded.map((writes) => writes.row)) : null,
  ];
}

function writesRow(n: number, { row, token, value_ids }: PutWrites): Row {
  const { thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, run_id, body } = row;
  return [
    n,
    'w',
    toKey(thread_id),
    token ?? null,
    toKey(checkpoint_ns),
    toKey(checkpoint_id),
    toKey(task_id),
    toKey(task_path),
    run_id === null ? null : toKey(run_id),
    null,
    `{${value_ids.join(',')}}`,
    body,
    null,
  ];
}

function placeOf({ thread_id, checkpoint_ns, checkpoint_id }: CheckpointKey, token: number | undefined): string {
  return JSON.stringify([thread_id, checkpoint_ns, checkpoint_id, token]);
}

function textOf(size: number, fenced: boolean): string {
  const row = (at: number): string =>
    `(${COLUMNS.map(([, type], column) => `$${at * COLUMNS.length + column + 1}::${type}`).join(',')})`;
  const values = Array.from({ length: size }, (_, at) => row(at)).join(',');
  return `
with change(${COLUMNS.map(([name]) => name).join(',')}) as materialized (values ${values}),
${
  fenced
    ? `fence as materialized (
  select thread_id, token from baton_state.fences
  where thread_id in (select thread_id from change where token is not null)
  for share
),
allowed as materialized (
  select change.* from change left join fence using (thread_id)
  where kind is not null and (change.token is null or fence.token <= change.token)
),`
    : 'allowed as (select * from change where kind is not null),'
}
value as (
  insert into baton_state.values (thread_id, id, body)
  select thread_id, id, body from allowed where kind = 'v'
  on conflict do nothing
),
writes as (
  insert into baton_state.writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, run_id, value_ids, body)
  select thread_id, checkpoint_ns, id, ref, task_path, run_id, value_ids, body from allowed where kind = 'w' order by n
),
checkpoint as (
  insert into baton_state.checkpoints as stored
    (thread_id, checkpoint_ns, checkpoint_id, parent_id, run_id, metadata, value_ids, body, parent_writes)
  select thread_id, checkpoint_ns, id, ref, run_id, metadata, value_ids, body, parent_writes from allowed where kind = 'c'
  on conflict (thread_id, checkpoint_ns, checkpoint_id) do update set
    parent_id = excluded.parent_id, run_id = excluded.run_id, metadata = excluded.metadata, body = excluded.body,
    value_ids = excluded.value_ids || stored.value_ids,
    parent_writes = coalesce(excluded.parent_writes, stored.parent_writes)
)
${fenced ? 'select distinct n from allowed' : 'select 1'}`;
}
