import type { CheckpointKey, PutCheckpoint, PutWrites } from '../checkpoint-driver.ts';
import { COLUMNS, KINDS, textOf } from './batch-text.ts';
import { foldWrites } from './folded-writes.ts';
import { toJsonb, toKey } from '../text-key.ts';
import { toWire } from './wire-bytes.ts';

/** One asked-for change and those who wait for it. */
export interface Change {
  put?: PutCheckpoint;
  putWrites?: PutWrites;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/** A row of the statement's VALUES: the number of its change, its kind, then its columns. */
type Row = (string | number | boolean | Uint8Array | null)[];

export interface Statement {
  query: { name: string; text: string; values: Row };
  /** Which of the changes were made, by what the statement answered: each is made or refused by its fence. */
  made: (rows: readonly { n?: unknown }[]) => (change: Change) => boolean;
}

export function changedRow({ put, putWrites }: Change): PutCheckpoint | PutWrites {
  const change = put ?? putWrites;
  if (change === undefined) throw new TypeError('a change of nothing');
  return change;
}

/** Every text that was needed so far, by its name. */
const TEXTS = new Map<string, string>();

/**
 * One statement that makes all changes, each in its own right: what a fence refuses is left out and the rest is made.
 * Writes that led to a checkpoint of the same batch are folded into its row.
 */
export function statementOf(changes: readonly Change[]): Statement {
  const children = childrenOf(changes);
  const rows = rowsOf(changes, children);
  // Few shapes, so that each connection plans few statements; and no part that has nothing to do, for each takes its time.
  const size = 2 ** Math.ceil(Math.log2(rows.length));
  const kinds = KINDS.filter((kind) => rows.some((row) => row[1] === kind));
  const fenced = changes.filter((change) => changedRow(change).token !== undefined).length;
  const tokens = fenced === 0 ? 'none' : fenced === changes.length ? 'all' : 'some';
  const padding: Row = COLUMNS.map(() => null);
  const values = [...rows, ...Array.from({ length: size - rows.length }, () => padding)].flat();
  const name = `baton_state_${kinds.join('')}_${tokens}_${size}`;
  const text = TEXTS.get(name) ?? textOf(size, kinds, tokens);
  TEXTS.set(name, text);
  return {
    query: { name, text, values },
    made: (answer) => {
      const numbers = new Set(answer.map(({ n }) => Number(n)));
      return (change) => numbers.has(changes.indexOf(children.get(change) ?? change));
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
      const sent = toWire(body);
      rows.set(key, [
        n,
        'v',
        toKey(row.thread_id),
        token,
        null,
        id,
        null,
        null,
        null,
        null,
        null,
        sent,
        null,
        null,
        null,
      ]);
    }
  }
  return [...rows.values()];
}

function checkpointRow(n: number, put: PutCheckpoint, folded: PutWrites[]): Row {
  const { row, token, search, value_ids, deltas } = put;
  const isLed = folded.length > 0;
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
    arrayOf(value_ids),
    toWire(body),
    isLed ? toWire(foldWrites(folded.map((writes) => writes.row))) : null,
    isLed ? arrayOf(folded.flatMap((writes) => writes.value_ids)) : null,
    deltas,
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
    arrayOf(value_ids),
    toWire(body),
    null,
    null,
    null,
  ];
}

/** As a `text[]`. Ids need no quotes. */
function arrayOf(ids: readonly string[]): string {
  return `{${[...new Set(ids)].join(',')}}`;
}

function placeOf({ thread_id, checkpoint_ns, checkpoint_id }: CheckpointKey, token: number | undefined): string {
  return JSON.stringify([thread_id, checkpoint_ns, checkpoint_id, token]);
}
