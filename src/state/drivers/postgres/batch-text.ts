/** Values, writes, checkpoints. */
export const KINDS = ['v', 'w', 'c'] as const;
export type Kind = (typeof KINDS)[number];

/** Which of the changes carry a token. */
export type Tokens = 'all' | 'some' | 'none';

/** The columns of the statement's VALUES. */
export const COLUMNS = [
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
  ['parent_value_ids', 'text[]'],
  ['deltas', 'bool'],
] as const;

/** What is done with the rows of each kind. */
const PARTS: Record<Kind, string> = {
  v: `insert into baton_state.values (thread_id, id, body)
    select thread_id, id, body from allowed where kind = 'v'
    on conflict do nothing`,
  w: `insert into baton_state.writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, run_id, value_ids, body)
    select thread_id, checkpoint_ns, id, ref, task_path, run_id, value_ids, body from allowed where kind = 'w' order by n`,
  c: `insert into baton_state.checkpoints as stored
      (thread_id, checkpoint_ns, checkpoint_id, parent_id, run_id, metadata, value_ids, body, parent_writes, parent_value_ids, deltas)
    select thread_id, checkpoint_ns, id, ref, run_id, metadata, value_ids, body, parent_writes, parent_value_ids, deltas
    from allowed where kind = 'c' order by n
    on conflict (thread_id, checkpoint_ns, checkpoint_id) do update set
      parent_id = excluded.parent_id, run_id = excluded.run_id, metadata = excluded.metadata, body = excluded.body,
      value_ids = excluded.value_ids || stored.value_ids, deltas = excluded.deltas,
      parent_writes = coalesce(excluded.parent_writes, stored.parent_writes),
      parent_value_ids = coalesce(excluded.parent_value_ids, stored.parent_value_ids)`,
};

/** The fence of a thread lets rows through; the lock makes a later `fence()` wait until they are committed. */
const FENCED = `select change.* from change join baton_state.fences fence
    on fence.thread_id = change.thread_id and fence.token <= change.token
  for share of fence`;
const FREE = 'select * from change where token is null and kind is not null';

/**
 * Answers with the numbers of the changes that were allowed, and so made.
 * @param size How many rows of VALUES, padding included.
 */
export function textOf(size: number, kinds: readonly Kind[], tokens: Tokens): string {
  const row = (at: number): string =>
    `(${COLUMNS.map(([, type], column) => `$${at * COLUMNS.length + column + 1}::${type}`).join(',')})`;
  const allowed = { all: FENCED, none: FREE, some: `select * from fenced union all ${FREE}` }[tokens];
  return `
with change(${COLUMNS.map(([name]) => name).join(',')}) as (
  values ${Array.from({ length: size }, (_, at) => row(at)).join(',')}
),
${tokens === 'some' ? `fenced as (${FENCED}),` : ''}
allowed as (${allowed}),
${kinds.map((kind) => `part_${kind} as (${PARTS[kind]})`).join(',\n')}
select n from allowed`;
}
