import type { PutCheckpoint, PutWrites } from '../checkpoint-driver.ts';
import { toPlace } from './thread-keys.ts';

/*
 * A head says of a row what need not be opened. Scripts read its first line, ids of values, and of a checkpoint the
 * second, the place of its parent; the rest is JSON. JSON text has no line breaks and no halves of surrogate pairs.
 */

export interface CheckpointHead {
  value_ids: readonly string[];
  /** '' for none. */
  parent: string;
  run_id: string | null;
  deltas: boolean;
  bytes: number;
  /** The metadata, as JSON text. */
  search: string;
}

export interface WritesHead {
  value_ids: readonly string[];
  task_id: string;
  task_path: string;
  run_id: string | null;
  bytes: number;
}

export function checkpointHead({ row, value_ids, deltas, search }: PutCheckpoint): string {
  const { checkpoint_ns, parent_id, run_id, body } = row;
  const parent = parent_id === null ? '' : toPlace({ checkpoint_ns, checkpoint_id: parent_id });
  return formatCheckpointHead({ value_ids, parent, run_id, deltas, bytes: body.length, search });
}

export function formatCheckpointHead({ value_ids, parent, search, run_id, deltas, bytes }: CheckpointHead): string {
  return [value_ids.join(' '), parent, JSON.stringify({ run_id, deltas, bytes }), search].join('\n');
}

export function parseCheckpointHead(head: string): CheckpointHead {
  const [ids = '', parent = '', rest = '', ...search] = head.split('\n');
  const parsed = JSON.parse(rest) as Pick<CheckpointHead, 'run_id' | 'deltas' | 'bytes'>;
  return { ...parsed, value_ids: idsOf(ids), parent, search: search.join('\n') };
}

export function writesHead({ row, value_ids }: PutWrites): string {
  const { task_id, task_path, run_id, body } = row;
  return `${value_ids.join(' ')}\n${JSON.stringify({ task_id, task_path, run_id, bytes: body.length })}`;
}

export function parseWritesHead(head: string): WritesHead {
  const [ids = '', rest = ''] = head.split('\n');
  return { ...(JSON.parse(rest) as Omit<WritesHead, 'value_ids'>), value_ids: idsOf(ids) };
}

function idsOf(line: string): string[] {
  return line === '' ? [] : line.split(' ');
}
