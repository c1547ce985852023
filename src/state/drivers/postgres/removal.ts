import type { PoolClient } from 'pg';
import { FencedError } from '../../../core/errors.ts';
import type { CheckpointKey } from '../checkpoint-driver.ts';
import { type CheckpointPlace, placeOf } from '../../../core/checkpoint-place.ts';
import { nearestKept } from '../../checkpoints/checkpoint-query.ts';
import { toKey } from '../text-key.ts';

/** Those that go, as far as they are here. */
const GONE = `gone as (
  select thread_id, checkpoint_ns, checkpoint_id, parent_id from baton_state.checkpoints
  where thread_id = $1 and (checkpoint_ns, checkpoint_id) in (select * from unnest($2::text[], $3::text[]))
)`;
const isGone = (id: string): string => `exists (
  select from gone where gone.checkpoint_ns = c.checkpoint_ns and gone.checkpoint_id = ${id}
)`;

/** Writes that stand in the row of a child that goes, after a checkpoint that stays, get a row of their own. */
const KEEP_WRITES = `with ${GONE}
insert into baton_state.writes
  (thread_id, checkpoint_ns, checkpoint_id, seq, task_id, task_path, run_id, value_ids, body, folded)
select c.thread_id, c.checkpoint_ns, c.parent_id, c.seq, '', '', c.run_id, coalesce(c.parent_value_ids, c.value_ids), c.parent_writes, true
from baton_state.checkpoints c
where c.thread_id = $1 and c.parent_writes is not null and ${isGone('c.checkpoint_id')} and not ${isGone('c.parent_id')}
  and exists (
    select from baton_state.checkpoints parent where parent.thread_id = c.thread_id
    and parent.checkpoint_ns = c.checkpoint_ns and parent.checkpoint_id = c.parent_id
  )
on conflict do nothing`;

/** Those that go, and their children. */
const AFFECTED = `with key as (select * from unnest($2::text[], $3::text[]))
select checkpoint_ns, checkpoint_id, parent_id, (checkpoint_ns, checkpoint_id) in (table key) as goes
from baton_state.checkpoints
where thread_id = $1 and ((checkpoint_ns, checkpoint_id) in (table key) or (checkpoint_ns, parent_id) in (table key))`;

/** What led to it from the parent goes with the parent. */
const ADOPT = `update baton_state.checkpoints c
set parent_id = child.parent_id, parent_writes = null, parent_value_ids = null
from unnest($2::text[], $3::text[], $4::text[]) child (checkpoint_ns, checkpoint_id, parent_id)
where c.thread_id = $1 and c.checkpoint_ns = child.checkpoint_ns and c.checkpoint_id = child.checkpoint_id`;

const DELETE = `with gone as (
  delete from baton_state.checkpoints
  where thread_id = $1 and (checkpoint_ns, checkpoint_id) in (select * from unnest($2::text[], $3::text[]))
)
delete from baton_state.writes
where thread_id = $1 and (checkpoint_ns, checkpoint_id) in (select * from unnest($2::text[], $3::text[]))`;

const SWEEP_VALUES = `delete from baton_state.values where thread_id = $1 and id not in (
  select unnest(value_ids || coalesce(parent_value_ids, '{}')) from baton_state.checkpoints where thread_id = $1
  union
  select unnest(value_ids) from baton_state.writes where thread_id = $1
)`;

type RemovedKeys = [thread: string, namespaces: string[], ids: string[]];

/** Within a transaction. @throws FencedError when its token is refused. */
export async function removeCheckpoints(
  client: PoolClient,
  threadId: string,
  checkpoints: readonly CheckpointKey[],
  token?: number,
): Promise<void> {
  const thread = toKey(threadId);
  const keys: RemovedKeys = [
    thread,
    checkpoints.map(({ checkpoint_ns }) => toKey(checkpoint_ns)),
    checkpoints.map(({ checkpoint_id }) => toKey(checkpoint_id)),
  ];
  const fence = await lockThread(client, thread);
  if (token !== undefined && (fence === null || fence > token)) throw new FencedError(threadId);
  await client.query(KEEP_WRITES, keys);
  await adoptChildren(client, keys);
  await client.query(DELETE, keys);
  await sweepValues(client, thread);
}

interface Affected extends CheckpointPlace {
  parent_id: string | null;
  goes: boolean;
}

/** A child that stays becomes one of the nearest ancestor that stays. */
async function adoptChildren(client: PoolClient, keys: RemovedKeys): Promise<void> {
  const [thread_id] = keys;
  const { rows } = await client.query<Affected>(AFFECTED, keys);
  const gone = new Map(rows.flatMap(({ goes, parent_id, ...key }) => (goes ? [[placeOf(key), parent_id]] : [])));
  const children = rows.filter(({ goes }) => !goes);
  if (children.length === 0) return;
  await client.query(ADOPT, [
    thread_id,
    children.map(({ checkpoint_ns }) => checkpoint_ns),
    children.map(({ checkpoint_id }) => checkpoint_id),
    children.map((child) => nearestKept(child, gone)),
  ]);
}

/** Waits for fenced writes on their way and makes later ones wait. Returns the fence; null: there is none. */
export async function lockThread(client: PoolClient, thread: string): Promise<number | null> {
  const { rows } = await client.query<{ token: string }>(
    'select token from baton_state.fences where thread_id = $1 for update',
    [thread],
  );
  return rows[0] === undefined ? null : Number(rows[0].token);
}

/** Values that nothing refers to any more. */
export async function sweepValues(client: PoolClient, thread: string): Promise<void> {
  await client.query(SWEEP_VALUES, [thread]);
}
