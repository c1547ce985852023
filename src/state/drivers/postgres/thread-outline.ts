import type { Pool } from 'pg';
import type { ThreadOutline } from '../checkpoint-driver.ts';
import { outliveConnections } from '../../../core/connection-loss.ts';
import { headerOf } from './folded-writes.ts';
import { fromKey, toKey } from '../text-key.ts';

/** A checkpoint, writes, folded writes or a value. */
interface OutlineRow {
  kind: 'c' | 'w' | 'f' | 'v';
  checkpoint_ns: string | null;
  id: string;
  parent_id: string | null;
  run_id: string | null;
  /** Of writes the task, of folded ones the line that lists them. */
  tasks: string | null;
  deltas: boolean | null;
  /** As text from a pool that reads instants so. */
  stored_at: Date | string | null;
  bytes: number;
  value_ids: string[] | null;
}

/** Of folded writes only the line that lists them; it may stand in base64 (see wire-bytes.ts). */
const FOLDED = (bytes: string): string => `(
  select convert_from(substring(bytes from 1 for position('\\x0a'::bytea in bytes) - 1), 'UTF8') from (
    select case get_byte(${bytes}, 0) when 1 then decode(convert_from(substring(${bytes} from 2), 'LATIN1'), 'base64') else ${bytes} end
  ) plain(bytes)
)`;

const TEXT = `
select 'c' as kind, checkpoint_ns, checkpoint_id as id, parent_id, run_id, null as tasks, deltas, stored_at,
  octet_length(body) as bytes, value_ids, seq
from baton_state.checkpoints where thread_id = $1
union all
select 'f', checkpoint_ns, parent_id, null, null, ${FOLDED('parent_writes')}, null, null, 0, parent_value_ids, seq
from baton_state.checkpoints where thread_id = $1 and parent_writes is not null
union all
select case when folded then 'f' else 'w' end, checkpoint_ns, checkpoint_id, null, null,
  case when folded then ${FOLDED('body')} else task_id end, null, null, octet_length(body), value_ids, seq
from baton_state.writes where thread_id = $1
union all
select 'v', null, id, null, null, null, null, null, octet_length(body), null, 0
from baton_state.values where thread_id = $1
order by seq`;

/** All that is stored of a thread, by its sizes and what refers to what. */
export async function outlineOf(pool: Pool, threadId: string): Promise<ThreadOutline> {
  const { rows } = await outliveConnections(() => pool.query<OutlineRow>(TEXT, [toKey(threadId)]));
  const outline: ThreadOutline = { checkpoints: [], writes: [], values: [] };
  for (const row of rows) {
    const { kind, id, bytes, deltas, stored_at } = row;
    const value_ids = row.value_ids ?? [];
    const key = { thread_id: threadId, checkpoint_ns: fromKey(row.checkpoint_ns ?? ''), checkpoint_id: fromKey(id) };
    if (kind === 'v') outline.values.push({ id, bytes });
    else if (kind === 'w') outline.writes.push({ ...key, task_id: fromKey(row.tasks ?? ''), bytes, value_ids });
    else if (kind === 'f') {
      for (const [task_id, , , length] of headerOf(row.tasks ?? '[]')) {
        outline.writes.push({ ...key, task_id, bytes: length, value_ids });
      }
    } else {
      const parent_id = row.parent_id === null ? null : fromKey(row.parent_id);
      const run_id = row.run_id === null ? null : fromKey(row.run_id);
      const at = { stored_at: new Date(stored_at ?? 0), deltas: deltas === true };
      outline.checkpoints.push({ ...key, parent_id, run_id, ...at, bytes, value_ids });
    }
  }
  return outline;
}
