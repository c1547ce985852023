import type { Pool } from 'pg';
import type { Fault } from './nemesis.ts';

/** Milliseconds. `quiet`: nothing else was wrong meanwhile. */
export interface RecoveryTimes {
  /** From the kill of a worker to the next claim of a run that it had. */
  killed: { all: number[]; quiet: number[] };
  /** From the hand-back of a run by a worker that was told to stop to its next claim. */
  handedBack: { all: number[]; quiet: number[] };
}

/** The statuses of a run, one after the other, with the next one beside each. */
const STEPS = `
  select run_id, status, parked, split_part(worker_id, ':', 2)::int pid, extract(epoch from at)::float8 * 1000 from_ms,
    lead(status) over w next_status, lead(parked) over w next_parked, extract(epoch from lead(at) over w)::float8 * 1000 next_ms,
    extract(epoch from lead(at, 2) over w)::float8 * 1000 after_next_ms
  from public.transitions window w as (partition by run_id order by at)`;

interface Step {
  next_status: string | null;
  next_parked: boolean | null;
  next_ms: number | null;
  after_next_ms: number | null;
}

export async function recoveryTimes(pool: Pool, faults: readonly Fault[]): Promise<RecoveryTimes> {
  const times: RecoveryTimes = { killed: { all: [], quiet: [] }, handedBack: { all: [], quiet: [] } };
  for (const fault of faults) {
    if (fault.kind !== 'kill a worker' && fault.kind !== 'terminate a worker') continue;
    const { rows } = await pool.query<Step>(
      `select * from (${STEPS}) step where pid = $1 and status = 'running' and from_ms <= $2 and coalesce(next_ms, 'infinity') > $2`,
      [fault.pid, fault.from],
    );
    for (const step of rows) {
      const [from, to] = fault.kind === 'kill a worker' ? [fault.from, step.next_ms] : handBackOf(step);
      if (to === null) continue;
      const kind = fault.kind === 'kill a worker' ? times.killed : times.handedBack;
      kind.all.push(to - from);
      const isDisturbed = faults.some((other) => other !== fault && other.from < to && other.to > from - 1000);
      if (!isDisturbed) kind.quiet.push(to - from);
    }
  }
  return times;
}

function handBackOf({ next_status, next_parked, next_ms, after_next_ms }: Step): [from: number, to: number | null] {
  const isHandedBack = next_status === 'pending' && next_parked === false;
  return [next_ms ?? 0, isHandedBack ? after_next_ms : null];
}
