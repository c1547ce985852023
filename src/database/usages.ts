import { Access, type Guarded } from '../core/access.ts';
import type { Spent } from '../core/budget.ts';
import type { NodeSums, UsageReport, UsageRow } from '../core/usage.ts';
import type { Database } from './database.ts';
import type { AttemptRef } from './run-queue.ts';

/** Whose usage is asked for: one's runs, threads and graphs. */
export type UsageScope = { thread_id: string; run_id?: string } | { graph_id: string };

/** How far a run's state had come when an attempt was lost. */
export interface SurvivingWork {
  checkpoint_id: string;
  /** The tasks of the step after it that had ended. */
  finished_tasks: string[];
}

/** The sums of one group: of everything, of a node, of a model, or of what was saved and what was not. */
interface Group extends NodeSums {
  of: 'all' | 'node' | 'model' | 'saved';
  node: string;
  model: string | null;
  saved: boolean | null;
}

/** What runs used, in tokens, money and time. */
export class Usages implements Guarded<Usages> {
  readonly #db: Database;
  readonly #access: Access;
  constructor(database: Database, access = Access.everything) {
    this.#db = database;
    this.#access = access;
  }

  within(access: Access): Usages {
    return new Usages(this.#db, access);
  }

  /** Recorded twice, a row is there once. Those of deleted threads are left out. */
  async record(rows: readonly UsageRow[]): Promise<void> {
    await this.#db.prepared(RECORD, [JSON.stringify(rows)]);
  }

  /** What the run spent so far, in all attempts. */
  async spent({ thread_id, run_id }: AttemptRef): Promise<Spent> {
    const [spent] = await this.#db.query<Spent>(
      `select coalesce(sum(cost), 0)::float8 cost, coalesce(sum(input_tokens + output_tokens), 0)::bigint tokens,
         coalesce(sum(seconds), 0)::float8 seconds
       from baton.usage where thread_id = $1 and run_id = $2`,
      [thread_id, run_id],
    );
    return spent ?? { cost: 0, tokens: 0, seconds: 0 };
  }

  /**
   * After a lost attempt: decides for what the run had done whether it was saved or has to be done again. Checkpoints of one
   * run are in the order of their ids. `work` null: nothing of the run was saved.
   */
  async settle({ thread_id, run_id }: AttemptRef, work: SurvivingWork | null): Promise<void> {
    await this.#db.query(
      `with kept as (
         select execution_id from baton.usage where thread_id = $1 and run_id = $2 and saved is null and finished
           and (checkpoint_id < $3 or checkpoint_id = $3 and task_id = any($4))
       )
       update baton.usage u set saved = exists (select 1 from kept k where k.execution_id = u.execution_id)
       where thread_id = $1 and run_id = $2 and saved is null`,
      [thread_id, run_id, work?.checkpoint_id ?? null, work?.finished_tasks ?? []],
    );
  }

  /** Of what may be reached; the other's is as if it were not there. */
  async report(scope: UsageScope): Promise<UsageReport> {
    const isGraph = 'graph_id' in scope;
    const groups = await this.#db.query<Group>(isGraph ? REPORT_OF_GRAPH : REPORT_OF_THREAD, [
      this.#access.contains,
      ...(isGraph ? [scope.graph_id] : [scope.thread_id, scope.run_id ?? null]),
    ]);
    const groupsOf = (of: Group['of']) => groups.filter((group) => group.of === of);
    const [all] = groupsOf('all');
    const saved = groupsOf('saved').find((group) => group.saved);
    return {
      totals: all ? sumsOf(all) : NOTHING,
      by_node: groupsOf('node').map(({ of: _of, model: _model, saved: _saved, ...sums }) => sums),
      by_model: groupsOf('model')
        .filter(({ calls }) => calls > 0)
        .map(({ of: _of, node: _node, saved: _saved, executions: _executions, seconds: _seconds, ...sums }) => sums),
      saved: saved ? sumsOf(saved) : NOTHING,
    };
  }
}

/** $1: rows as JSON. The order of locks on threads is the same in every process. */
const RECORD = `
  with given as (
    select r.* from json_populate_recordset(null::baton.usage, $1) r
    join baton.threads t using (thread_id) order by thread_id for key share of t
  )
  insert into baton.usage (usage_id, thread_id, run_id, graph_id, kind, node, execution_id, task_id, checkpoint_id, model,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost, seconds, finished)
  select usage_id, thread_id, run_id, graph_id, kind, node, execution_id, task_id, checkpoint_id, model,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost, seconds, finished
  from given on conflict do nothing`;

const reportOf = (condition: string) => `
  select case grouping(node, model, saved) when 7 then 'all' when 3 then 'node' when 5 then 'model' else 'saved' end "of",
    node, model, saved,
    count(*) filter (where kind = 'call') calls,
    count(*) filter (where kind = 'call' and cost is null) unpriced_calls,
    coalesce(sum(input_tokens), 0)::bigint input_tokens, coalesce(sum(output_tokens), 0)::bigint output_tokens,
    coalesce(sum(cache_read_tokens), 0)::bigint cache_read_tokens,
    coalesce(sum(cache_write_tokens), 0)::bigint cache_write_tokens,
    coalesce(sum(input_tokens + output_tokens), 0)::bigint total_tokens,
    case when count(*) filter (where kind = 'call') = 0 then 0 else sum(cost)::float8 end cost,
    count(*) filter (where kind = 'node') executions, coalesce(sum(seconds), 0) seconds
  from baton.usage u
  where ${condition} and exists (select 1 from baton.threads t where t.thread_id = u.thread_id and t.metadata @> $1)
  group by grouping sets ((), (node), (model), (saved)) order by min(created_at), node, model`;
const REPORT_OF_THREAD = reportOf('u.thread_id = $2 and ($3::uuid is null or u.run_id = $3)');
const REPORT_OF_GRAPH = reportOf('u.graph_id = $2');

const NOTHING: NodeSums = {
  calls: 0,
  unpriced_calls: 0,
  input_tokens: 0,
  output_tokens: 0,
  cache_read_tokens: 0,
  cache_write_tokens: 0,
  total_tokens: 0,
  cost: 0,
  executions: 0,
  seconds: 0,
};

function sumsOf({ of: _of, node: _node, model: _model, saved: _saved, ...sums }: Group): NodeSums {
  return sums;
}
