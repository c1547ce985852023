import type { RedisArgument } from '@redis/client';
import type { CheckpointKey, CheckpointRow, LoadedCheckpoint, WritesRow } from '../checkpoint-driver.ts';
import { checkpointHead, parseCheckpointHead, parseWritesHead, writesHead } from './heads.ts';
import type { Change } from './thread-changes.ts';
import { fromPlace, toNamespace, toPlace } from './thread-keys.ts';

/** A change as the script `change` takes it. */
export function argumentsOf(change: Change): RedisArgument[] {
  const { row, values, token } = 'put' in change ? change.put : change.writes;
  return [
    'put' in change ? 'put' : 'writes',
    token === undefined ? '' : String(token),
    toPlace(row),
    toNamespace(row.checkpoint_ns),
    'put' in change ? checkpointHead(change.put) : writesHead(change.writes),
    toBuffer(row.body),
    String(values.size),
    ...[...values].flatMap(([id, bytes]) => [id, toBuffer(bytes)]),
  ];
}

/** What the script `read` answers. */
export type ReadReply = [rows: Buffer[][], values: Buffer[]];

export function checkpointsOf(threadId: string, [rows, loaded]: ReadReply): LoadedCheckpoint[] {
  const values = new Map<string, Uint8Array>();
  for (let at = 0; at + 1 < loaded.length; at += 2) values.set(String(loaded[at]), loaded[at + 1] ?? Buffer.alloc(0));
  return rows.map(([place, head, body, ...written]) => {
    const key = fromPlace(threadId, String(place));
    return { row: rowOf(key, String(head), body), writes: writesOf(key, written), values };
  });
}

/** @param parent Its place, '' for none. */
export function parentIdOf(parent: string): string | null {
  return parent === '' ? null : fromPlace('', parent).checkpoint_id;
}

function rowOf(key: CheckpointKey, head: string, body: Buffer = Buffer.alloc(0)): CheckpointRow {
  const { parent, run_id } = parseCheckpointHead(head);
  return { ...key, parent_id: parentIdOf(parent), run_id, body };
}

function writesOf(key: CheckpointKey, written: readonly Buffer[]): WritesRow[] {
  return Array.from({ length: written.length / 2 }, (_, at) => {
    const { task_id, task_path, run_id } = parseWritesHead(String(written[2 * at]));
    return { ...key, task_id, task_path, run_id, body: written[2 * at + 1] ?? Buffer.alloc(0) };
  });
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
