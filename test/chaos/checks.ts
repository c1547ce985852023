import { isDeepStrictEqual } from 'node:util';
import type { Pool } from 'pg';
import type { OutsideWorld } from './outside-world.ts';
import { actionsOf } from './plan.ts';
import type { Fault } from './nemesis.ts';
import type { StateStore } from './state-store.ts';
import type { Journey, Reading, Sitting } from './traveller.ts';

/** Something that Baton promises and did not keep. */
export interface Violation {
  rule: string;
  /** The run or the thread, and what is wrong with it. */
  detail: string;
}

export interface Evidence {
  pool: Pool;
  /** Where checkpoints are, if not in that database. */
  state: StateStore | null;
  world: OutsideWorld;
  journeys: readonly Journey[];
  readings: readonly Reading[];
  sittings: readonly Sitting[];
  faults: readonly Fault[];
}

/** Rows that each break a rule. */
const RULES: [rule: string, sql: string][] = [
  [
    'every accepted run ends, and well',
    `select run_id, thread_id, status, error::text from baton.runs where status <> 'success'`,
  ],
  [
    'no thread is busy without a run',
    `select thread_id, status from baton.threads t where (status = 'busy') <> exists (
       select 1 from baton.runs r where r.thread_id = t.thread_id and r.status in ('pending', 'running'))`,
  ],
  [
    'every effect is recorded as done when its run has ended',
    `select e.by_thread_id thread_id, e.run_id, e.name, e.key, e.status, e.attempts from baton.effects e
     join baton.runs r using (run_id) where r.status not in ('pending', 'running') and e.status <> 'done'`,
  ],
  [
    'an event log has each number once and one end',
    `select run_id, count(*) events, min(seq) first, max(seq) last, count(*) filter (where event = '__end__') ends
     from baton.run_events group by run_id
     having min(seq) <> 0 or max(seq) + 1 <> count(*) or count(*) filter (where seq = 0 and event = 'metadata') <> 1`,
  ],
  [
    'an event that is stored in parts has all of them',
    `select run_id, seq from baton.run_events e where exists (select from unnest(e.parts) u(id)
       where not exists (select from baton.run_event_parts p where p.run_id = e.run_id and p.id = u.id))`,
  ],
  [
    'nothing is left that belongs to nothing',
    `select 'events' what, run_id::text id from baton.run_events e where not exists (select 1 from baton.runs r where r.run_id = e.run_id)
     union all select 'effects', by_thread_id::text from baton.effects e
       where not exists (select 1 from baton.threads t where t.thread_id = e.by_thread_id)
     union all select 'deliveries', run_id::text from baton.webhook_deliveries d
       where not exists (select 1 from baton.runs r where r.run_id = d.run_id)`,
  ],
  [
    'an event is taken by one wait, once',
    `select thread_id, name, taken_by from baton.thread_events where taken_by is null`,
  ],
];

/** The same of checkpoints that are in the same database. */
const STATE_RULES: typeof RULES = [
  [
    'a history without forks is one line',
    `select thread_id, parent_id, count(*) children, string_agg(metadata->>'run_attempt', ' ') attempts
     from baton_state.checkpoints group by thread_id, checkpoint_ns, parent_id having count(*) > 1`,
  ],
  [
    'no checkpoint is written by a fenced attempt',
    `select child.thread_id, child.checkpoint_id, parent.metadata->>'run_attempt' parent_attempt, child.metadata->>'run_attempt' attempt
     from baton_state.checkpoints child join baton_state.checkpoints parent
       on parent.thread_id = child.thread_id and parent.checkpoint_ns = child.checkpoint_ns and parent.checkpoint_id = child.parent_id
     where child.run_id = parent.run_id and (child.metadata->>'run_attempt')::int < (parent.metadata->>'run_attempt')::int`,
  ],
  [
    'a thread is fenced by its last attempt',
    `select f.thread_id, f.token, max(r.fencing_token) newest from baton_state.fences f join baton.runs r on r.thread_id::text = f.thread_id
     group by f.thread_id, f.token having f.token <> max(r.fencing_token)`,
  ],
  [
    'nothing is left that belongs to nothing',
    `select 'checkpoints' what, thread_id from baton_state.checkpoints c
       where not exists (select 1 from baton.threads t where t.thread_id::text = c.thread_id)
     union all select 'writes', thread_id from baton_state.writes w
       where not exists (select 1 from baton.threads t where t.thread_id::text = w.thread_id)
     union all select 'values', thread_id from baton_state.values v
       where not exists (select 1 from baton.threads t where t.thread_id::text = v.thread_id)`,
  ],
];

/** Everything that was broken. Reads the database, the outside ledger, and what clients were told; asks Baton nothing. */
export async function violations(evidence: Evidence): Promise<Violation[]> {
  const { pool, state } = evidence;
  const found: Violation[] = state === null ? [] : await state.violations(pool);
  for (const [rule, sql] of state === null ? [...RULES, ...STATE_RULES] : RULES) {
    const { rows } = await pool.query<Record<string, unknown>>(sql);
    found.push(...rows.map((row) => ({ rule, detail: JSON.stringify(row) })));
  }
  found.push(...(await statesOf(evidence)), ...worldOf(evidence), ...(await streamsOf(evidence)));
  return found;
}

/** What was accepted is there once, and its thread shows what each of its nodes did, once. */
async function statesOf({ pool, journeys }: Evidence): Promise<Violation[]> {
  const { rows } = await pool.query<{ thread_id: string; done: string[] | null; runs: string[] }>(
    `select t.thread_id, t.values->'done' done, array(select r.run_id::text from baton.runs r where r.thread_id = t.thread_id order by position) runs
     from baton.threads t`,
  );
  const threads = new Map(rows.map((row) => [row.thread_id, row]));
  return journeys.flatMap(({ thread_id, plan, accepted }) => {
    const thread = threads.get(thread_id);
    const detail = JSON.stringify({ thread_id, accepted, stored: thread?.runs, done: thread?.done, plan });
    const isStored = isDeepStrictEqual(thread?.runs ?? [], accepted);
    const isWhole = isDeepStrictEqual(thread?.done?.toSorted() ?? [], actionsOf(plan));
    return [
      ...(isStored ? [] : [{ rule: 'what was accepted is stored, once', detail }]),
      ...(isWhole || accepted.length === 0 ? [] : [{ rule: 'the state has what each node did, once', detail }]),
    ];
  });
}

/** Each business action under one key; none is missing, none is more; no stored node began again. */
function worldOf({ world, journeys }: Evidence): Violation[] {
  const expected = new Set(journeys.flatMap(({ plan }) => actionsOf(plan).map((action) => `${plan.order} ${action}`)));
  const rule = 'every effect is applied once by its key';
  const missing = [...expected].filter((name) => !world.actions.has(name)).map((name) => `${name} was never done`);
  const unasked = [...world.actions.keys()]
    .filter((name) => !expected.has(name))
    .map((name) => `${name} was not asked for`);
  const twice = [...world.actions].flatMap(([name, { keys }]) =>
    keys.size > 1 ? [`${name} was done under the keys ${[...keys].join(', ')}`] : [],
  );
  return [
    ...[...missing, ...unasked, ...twice].map((detail) => ({ rule, detail })),
    ...world.needless.map((begun) => ({ rule: 'no completed node is executed again', detail: JSON.stringify(begun) })),
  ];
}

/** How late a reader whose connection stands may hear of an end: when the API's own hints were disturbed, and otherwise. */
const LATE_MS = { disturbed: 10_000, sound: 3500, net: 6000 };
/** What is promised holds, since a reader's log is looked at every five seconds; and yet a hint got lost that nobody took. */
export const HEARD_BY_THE_NET = 'a reader hears of the end at once';

/** What readers saw is the log: each number once, in order, in time. */
async function streamsOf({ pool, readings, sittings, faults }: Evidence): Promise<Violation[]> {
  const found: Violation[] = [];
  const { rows } = await pool.query<{ run_id: string; ids: number[] }>(
    `select run_id, array_agg(seq order by seq) filter (where event <> '__end__') ids from baton.run_events group by run_id`,
  );
  const logs = new Map(rows.map(({ run_id, ids }) => [run_id, ids.map(String)]));
  for (const { run_id, frames } of readings) {
    const seen = frames.map(({ id }) => id);
    if (isDeepStrictEqual(seen, logs.get(run_id))) continue;
    found.push({
      rule: 'a reader sees each event once and in order',
      detail: JSON.stringify({ run_id, seen, log: logs.get(run_id) }),
    });
  }
  const ends = await pool.query<{ run_id: string; ended_at: number }>(
    // When it was committed, and so could be known: a worker may be stopped between the two.
    `select run_id, extract(epoch from min(pg_xact_commit_timestamp(xmin)))::float8 * 1000 ended_at from public.transitions
     where status not in ('pending', 'running') group by run_id`,
  );
  const endedAt = new Map(ends.rows.map(({ run_id, ended_at }) => [run_id, ended_at]));
  for (const { run_id, opened_at, closed_at } of sittings) {
    const knowable = Math.max(opened_at, endedAt.get(run_id) ?? Infinity);
    const overlaps = ({ on, from, to }: Fault) =>
      (on === 'api' || on === 'Postgres') && from < (closed_at ?? Infinity) && to > knowable - 1000;
    const lateMs = (closed_at ?? Date.now()) - knowable;
    if (lateMs < (faults.some(overlaps) ? LATE_MS.disturbed : LATE_MS.sound)) continue;
    found.push({
      rule: lateMs < LATE_MS.net ? HEARD_BY_THE_NET : 'a reader hears of the end',
      detail: JSON.stringify({ run_id, opened_at, closed_at, lateMs: Math.round(lateMs) }),
    });
  }
  return found;
}
