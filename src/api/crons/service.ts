import type { Guarded } from '../../core/access.ts';
import type { Caller, Maker } from '../../core/caller.ts';
import type { Cron, KeptCron } from '../../core/cron.ts';
import { InvalidInputError, NotFoundError } from '../../core/errors.ts';
import { uuidv7 } from '../../core/ids.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Run } from '../../core/run.ts';
import type { CronFilter, CronPage, Crons, NewCron } from '../../database/crons.ts';
import type { RunPlan } from '../../database/runs.ts';
import { nextRunDate, nextTime } from '../../engine/crons/cron-schedule.ts';
import { assistantIdOf } from '../assistants/service.ts';
import type { RunCreate } from '../runs/schemas.ts';
import type { RunService } from '../runs/service.ts';
import type { CronCount, CronCreate, CronPatch, CronSearch } from './schemas.ts';

export interface CronServiceParts {
  crons: Guarded<Crons> & Pick<Crons, 'now'>;
  runs: Pick<RunService, 'plan'>;
  authenticator: { actingFor(maker: Maker): Caller };
}

/** A cron, and the run that it would ask for now. */
export interface PlannedCron {
  cron: Cron;
  run: Pick<Run, 'kwargs' | 'metadata'>;
}

export class CronService {
  readonly #parts: CronServiceParts;
  constructor(parts: CronServiceParts) {
    this.#parts = parts;
  }

  /** On that thread, or with a new one for each run. What could not run now is refused as a run would be. */
  async create(caller: Caller, threadId: string | null, request: CronCreate): Promise<PlannedCron> {
    const { crons, runs } = this.#parts;
    const {
      schedule,
      timezone = null,
      end_time = null,
      enabled = true,
      on_run_completed,
      metadata,
      ...payload
    } = request;
    const value = {
      cron_id: uuidv7(),
      thread_id: threadId,
      user_id: caller.user?.identity ?? null,
      schedule,
      timezone,
      end_time,
      enabled,
      metadata: { ...metadata },
      payload: { ...payload },
    };
    const access = await caller.may('crons:create', value);
    const cron: Omit<NewCron, 'assistant_id' | 'next_run_date'> = {
      cron_id: value.cron_id,
      thread_id: threadId,
      schedule: value.schedule,
      timezone: value.timezone,
      end_time: value.end_time,
      enabled: value.enabled,
      metadata: value.metadata,
      payload: givenFields(value.payload),
      on_run_completed: whenCompleted(threadId, on_run_completed),
    };
    const now = await crons.now();
    const next = nextRunDate(cron, now);
    if (next === null && cron.enabled) {
      throw new InvalidInputError(
        `body.end_time: is not after the first time, ${nextTime(cron, now).toISOString()}, so it would never run`,
      );
    }
    const { plan } = await runs.plan(
      caller,
      threadId,
      requestOf({ ...cron, assistant_id: value.payload.assistant_id }),
    );
    const { assistant_id } = plan.run;
    const kept = await crons.within(access).insert(
      {
        ...cron,
        assistant_id,
        payload: { ...cron.payload, assistant_id },
        next_run_date: next?.toISOString() ?? null,
      },
      caller,
    );
    return { cron: kept, run: plan.run };
  }

  /** Throws NotFoundError. */
  async get(caller: Caller, cronId: string): Promise<Cron> {
    const access = await caller.may('crons:read', { cron_id: cronId });
    return ((await this.#parts.crons.within(access).get(cronId)) ?? missing(cronId)).cron;
  }

  /** Merges metadata, replaces what else is given. Whoever changes it, its runs stay its maker's. */
  async update(caller: Caller, cronId: string, patch: CronPatch): Promise<PlannedCron> {
    const value = { ...patch, cron_id: cronId, metadata: { ...patch.metadata } };
    const crons = this.#parts.crons.within(await caller.may('crons:update', value));
    const { schedule, timezone, end_time, enabled, on_run_completed, metadata, cron_id: _id, ...payload } = value;
    for (;;) {
      const kept = (await crons.get(cronId)) ?? missing(cronId);
      const before = kept.cron;
      const changed: Cron = {
        ...before,
        schedule: schedule ?? before.schedule,
        timezone: timezone ?? before.timezone,
        end_time: end_time === undefined ? before.end_time : end_time,
        enabled: enabled ?? before.enabled,
        on_run_completed: on_run_completed
          ? whenCompleted(before.thread_id, on_run_completed)
          : before.on_run_completed,
        metadata: { ...before.metadata, ...metadata },
        payload: { ...before.payload, ...givenFields(payload) },
      };
      // A tick that is overdue stays so, unless it is about its time that something changed.
      if (TIMING.some((field) => changed[field] !== before[field])) {
        changed.next_run_date = nextRunDate(changed, new Date(kept.now))?.toISOString() ?? null;
      }
      const { plan } = await this.plan({ ...kept, cron: changed });
      const cron = await crons.change(kept, changed);
      if (cron) return { cron, run: plan.run };
    }
  }

  /** Throws NotFoundError. */
  async delete(caller: Caller, cronId: string): Promise<void> {
    const access = await caller.may('crons:delete', { cron_id: cronId });
    if (!(await this.#parts.crons.within(access).delete(cronId))) missing(cronId);
  }

  async search(caller: Caller, request: CronSearch): Promise<{ crons: Cron[]; total: number; page: CronPage }> {
    const filter = filterOf(request);
    const crons = this.#parts.crons.within(await caller.may('crons:search', searched(request)));
    const page: CronPage = {
      limit: request.limit ?? 10,
      offset: request.offset ?? 0,
      sort_by: request.sort_by ?? 'created_at',
      sort_order: request.sort_order ?? 'desc',
    };
    const [found, total] = await Promise.all([crons.search(filter, page), crons.count(filter)]);
    return { crons: found, total, page };
  }

  async count(caller: Caller, request: CronCount): Promise<number> {
    const access = await caller.may('crons:search', searched(request));
    return this.#parts.crons.within(access).count(filterOf(request));
  }

  /** The run of a tick: what POST …/runs would queue if the cron's maker asked for it now. Throws as that does. */
  plan({ cron, maker }: Pick<KeptCron, 'cron' | 'maker'>): Promise<RunPlan> {
    return this.#parts.runs.plan(this.#parts.authenticator.actingFor(maker), cron.thread_id, requestOf(cron));
  }
}

const TIMING = ['schedule', 'timezone', 'end_time', 'enabled'] as const;

function requestOf({
  payload,
  ...cron
}: Pick<Cron, 'cron_id' | 'assistant_id' | 'payload' | 'metadata' | 'on_run_completed'>): RunCreate {
  return {
    // It was a run's when it came in, so it is one.
    ...(payload as unknown as RunCreate),
    assistant_id: cron.assistant_id,
    metadata: { ...cron.metadata, cron_id: cron.cron_id },
    on_completion: cron.on_run_completed ?? undefined,
  };
}

function whenCompleted(threadId: string | null, asked: 'delete' | 'keep' | undefined): Cron['on_run_completed'] {
  if (threadId === null) return asked ?? 'delete';
  if (asked !== 'delete') return null;
  throw new InvalidInputError(
    'body.on_run_completed: the thread of a cron that has one stays: leave it out, or create the cron without a thread',
  );
}

function givenFields(payload: object): JsonObject {
  return Object.fromEntries(Object.entries(payload).filter(([, value]) => value !== undefined));
}

/** What a handler gets to see of a search: it may change it without effect, and return a filter. */
function searched(request: CronFilter): object {
  return { ...request, metadata: { ...request.metadata } };
}

function filterOf({ assistant_id, thread_id, enabled, metadata }: CronCount): CronFilter {
  return {
    assistant_id: assistant_id === undefined ? undefined : assistantIdOf(assistant_id),
    thread_id,
    enabled,
    metadata,
  };
}

function missing(cronId: string): never {
  throw new NotFoundError('Cron', cronId);
}
