import { isGraphDrained } from '@langchain/langgraph';
import type { Logger } from 'pino';
import { type Backoff, backoffMs } from '../../core/backoff.ts';
import { BUDGET_TASK, budgetQuestion, type Spent } from '../../core/budget.ts';
import { withUser } from '../../core/caller.ts';
import { outliveConnections } from '../../core/connection-loss.ts';
import { FencedError, isUnreadable, messageOf } from '../../core/errors.ts';
import { END_EVENT } from '../../core/run-event.ts';
import type { RunError, RunKwargs, RunStatus } from '../../core/run.ts';
import type { Interrupt, ThreadOutcome } from '../../core/thread.ts';
import type { ClaimedRun, RunQueue } from '../../database/run-queue.ts';
import type { Threads } from '../../database/threads.ts';
import type { LongTermStore } from '../../database/store/long-term-store.ts';
import type { Usages } from '../../database/usages.ts';
import type { LatestCheckpoint, StateSaver } from '../../state/state-saver.ts';
import type { StateStores } from '../../state/state-stores.ts';
import { type WorkLimit, WorkMeter } from '../../state/unsaved/work-meter.ts';
import type { Attempt, StopReason } from './attempt.ts';
import { restsAtBreakpoint } from './breakpoints.ts';
import { channelsReadLater, DeferredState } from './deferred-state.ts';
import type { EventLog, RunLog } from '../streams/event-log.ts';
import type { RunEffects } from '../effects/run-effects.ts';
import { withoutParkings } from '../effects/parkings.ts';
import { finishedTasks } from './finished-tasks.ts';
import { graphConfig } from './graph-config.ts';
import { streamGraph } from '../streams/graph-stream.ts';
import type { GraphRegistry } from '../graphs/registry.ts';
import { runInput } from './run-input.ts';
import { isInfrastructure } from './infrastructure.ts';
import { keepFailuresOut } from './keep-failures-out.ts';
import type { RunObserver } from './run-observer.ts';
import { streamProtocolEvents } from '../protocol/graph-events.ts';
import type { RunStreams } from '../streams/run-streams.ts';
import type { ReachedOutcome, ThreadStates } from '../threads/thread-state.ts';
import type { RunUsage } from '../usage/run-usage.ts';
import { watchNodes } from './watch-nodes.ts';

export interface ExecutorParts {
  queue: RunQueue;
  threads: Threads;
  stores: Pick<StateStores, 'of'>;
  graphs: GraphRegistry;
  store: LongTermStore;
  states: ThreadStates;
  events: EventLog;
  streams: RunStreams;
  observer: RunObserver;
  effectsOf: (attempt: Attempt) => RunEffects;
  usages: Usages;
  usageOf: (attempt: Attempt) => RunUsage;
  /** Attempts in a row that may begin without the state having moved. */
  maxAttempts: number;
  /** How much work of a run with durability `auto` may be lost to a crash. */
  autoDurability: WorkLimit;
  log: Logger;
}

/** How long a run rests after so many attempts in a row that broke off and came no further: what broke them may be broken still. */
const BREAK: Backoff = { firstMs: 1000, factor: 1.5, maxMs: 30_000 };

/** Stops after which nobody wants what was not saved yet. */
const DISCARDS = new Set<StopReason>(['rollback', 'lease_lost']);

/** One attempt, as it is executed. */
interface Execution {
  attempt: Attempt;
  saver: StateSaver;
  runLog: RunLog;
  usage: RunUsage;
  /** An earlier attempt has applied the input; this one goes on from the last checkpoint. */
  resumes: boolean;
}

/** After which the runs that are queued behind it wait for a person, too. */
const PAUSES = new Set<StopReason | null>(['pause', 'budget']);

/** How the graph's execution came to an end. */
type Ending =
  | { kind: 'done' }
  /** Nodes wait for their time, and nothing else is left to do. */
  | { kind: 'parked' }
  | { kind: 'failed'; error: RunError }
  | { kind: 'exhausted'; spent: Spent }
  | { kind: 'stopped'; reason: Exclude<StopReason, 'budget'> };

/** Executes one attempt of a run: from the last checkpoint to the graph's end, a stop, or the loss of the lease. */
export class Executor {
  readonly #parts: ExecutorParts;
  readonly #deferred = new DeferredState();

  constructor(parts: ExecutorParts) {
    this.#parts = parts;
  }

  /** Never throws: whatever keeps an attempt from its end leaves the run to the next one. */
  async execute(attempt: Attempt): Promise<void> {
    const { log, queue } = this.#parts;
    const { run } = attempt;
    try {
      await this.#attempt(attempt);
    } catch (error) {
      attempt.stop('lease_lost');
      if (error instanceof FencedError) {
        log.info({ run_id: run.run_id, attempt: run.attempt }, 'a newer attempt has this run, or it was deleted');
      } else {
        log.error(
          { err: error, run_id: run.run_id, attempt: run.attempt },
          'an attempt broke off; the run will be taken up again',
        );
        const afterMs = backoffMs(attempt.idleAttempts + 1, BREAK);
        await outliveConnections(() => queue.release(run, { afterMs })).catch(() => undefined);
      }
    }
    if (attempt.reason === 'lease_lost') await this.#tidyDeleted(run);
  }

  /** The fence that this attempt set must not outlive a thread that was deleted meanwhile. */
  async #tidyDeleted({ thread_id, state_store }: ClaimedRun): Promise<void> {
    const { threads, stores, log } = this.#parts;
    try {
      if ((await threads.get(thread_id)) === null) await stores.of(state_store).deleteThread(thread_id);
    } catch (error) {
      log.warn({ err: error, thread_id }, 'could not see whether the thread was deleted');
    }
  }

  async #attempt(attempt: Attempt): Promise<void> {
    const { events, maxAttempts, usageOf } = this.#parts;
    const run = attempt.readRun();
    const saver = await this.#saverOf(attempt);
    if (saver === null) return;
    await saver.fence(run.thread_id, run.fencing_token);
    const { resumes, idleAttempts, lastSeq, fault = run.fault } = await this.#past(run, saver);
    attempt.idleAttempts = idleAttempts;
    const runLog = events.open(run, lastSeq);
    if (fault || idleAttempts >= maxAttempts) {
      const why = fault ? { error: fault.name, message: fault.message } : exhausted(idleAttempts);
      return this.#end(attempt, runLog, { kind: 'failed', error: why });
    }
    runLog.write('metadata', { run_id: run.run_id, attempt: run.attempt });
    const usage = usageOf(attempt);
    const ending = attempt.signal.aborted
      ? stopped(attempt, usage)
      : await this.#keepWork({ attempt, saver, runLog, usage, resumes });
    await this.#end(attempt, runLog, ending);
  }

  /** Null when langgraph.json lost the store after the run was queued: no attempt will find it, so the run has failed. */
  async #saverOf(attempt: Attempt): Promise<StateSaver | null> {
    const { stores, queue, events } = this.#parts;
    const { run } = attempt;
    try {
      return stores.of(run.state_store);
    } catch (fault) {
      const { lastSeq } = run.attempt === 1 ? FIRST : await queue.begin(run, '');
      const error = { error: 'StoreMissing', message: messageOf(fault) };
      await this.#end(attempt, events.open(run, lastSeq), { kind: 'failed', error });
      return null;
    }
  }

  /** With durability `auto` the saver holds the work of the graph; whatever it comes to, what it did is saved before that is told. */
  async #keepWork(execution: Execution): Promise<Ending> {
    const { autoDurability: limit } = this.#parts;
    const { saver } = execution;
    const { thread_id, fencing_token, kwargs } = execution.attempt.run;
    if (kwargs.durability !== 'auto') return this.#runGraph(execution);
    saver.hold(thread_id, fencing_token, new WorkMeter({ limit, cost: execution.usage }));
    try {
      const ending = await this.#runGraph(execution);
      if (ending.kind !== 'stopped' || !DISCARDS.has(ending.reason)) await saver.flush(thread_id);
      return ending;
    } finally {
      saver.release(thread_id, fencing_token);
    }
  }

  /** How far the attempts before this one came. What of it cannot be read is its `fault`: no attempt will read it. */
  async #past(run: ClaimedRun, saver: StateSaver): Promise<Past> {
    if (run.attempt === 1) return FIRST;
    try {
      return await this.#lookBack(run, saver);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      return { ...FIRST, ...(await this.#parts.queue.begin(run, '')), fault: error as Error };
    }
  }

  async #lookBack(run: ClaimedRun, saver: StateSaver): Promise<Past> {
    const { queue } = this.#parts;
    const latest = await saver.latest(run.thread_id);
    const progress = await queue.begin(run, `${latest?.checkpoint_id}+${latest?.pending_writes}`);
    const resumes = hasBegun(run, latest);
    if (!run.was_parked) await this.#settleUsage(run, saver, resumes ? latest : undefined);
    return { resumes, ...progress };
  }

  /** `latest`: what was saved of the run when its worker was lost. */
  async #settleUsage(run: ClaimedRun, saver: StateSaver, latest: LatestCheckpoint | undefined): Promise<void> {
    const { usages } = this.#parts;
    const saved = latest && (await saver.getTuple({ configurable: { thread_id: run.thread_id } }));
    await usages.settle(
      run,
      latest ? { checkpoint_id: latest.checkpoint_id, finished_tasks: finishedTasks(saved) } : null,
    );
  }

  async #runGraph({ attempt, saver, runLog, usage, resumes }: Execution): Promise<Ending> {
    const { graphs, store, observer, effectsOf, usages } = this.#parts;
    const { run } = attempt;
    const { kwargs } = run;
    try {
      const graph = await graphs.get(run.graph_id, {
        checkpointer: saver,
        store,
        config: { configurable: withUser(run.kwargs.config.configurable, run.auth_user) },
        context: kwargs.context,
      });
      const effects = effectsOf(attempt);
      keepFailuresOut(graph);
      const later = saver.readsLater ? channelsReadLater(graph, kwargs) : NONE;
      if (later.size > 0) this.#deferred.open(graph, run.graph_id);
      watchNodes(graph, { ended: (node, end, ms) => observer.nodeEnded(run.graph_id, node, end, ms), effects, usage });
      if (resumes && (await restsAtBreakpoint(graph, run.thread_id, kwargs))) {
        tellInterrupts(runLog, kwargs, []);
        return { kind: 'done' };
      }
      if (kwargs.budget && run.attempt > 1) usage.spend(await usages.spent(run));
      const input = resumes ? null : runInput(kwargs);
      const config = graphConfig(attempt, resumes, later);
      const stream =
        kwargs.protocol === 'v2'
          ? streamProtocolEvents(graph, input, config)
          : streamGraph({ graph, input, config, modes: kwargs.stream_mode, subgraphs: kwargs.stream_subgraphs });
      for await (const { event, data } of stream) {
        const shown = effects.hasParked ? withoutParkings(data) : data;
        if (shown === undefined) continue;
        runLog.write(event, shown);
        await runLog.room();
      }
      return { kind: effects.hasParked ? 'parked' : 'done' };
    } catch (error) {
      return endingOf(error, attempt, usage);
    } finally {
      await usage.recorded();
    }
  }

  async #end(attempt: Attempt, runLog: RunLog, ending: Ending): Promise<void> {
    switch (ending.kind) {
      case 'done':
        return this.#finish(attempt, runLog, 'success', await this.#outcome(attempt.run));
      case 'parked':
        return this.#park(attempt, runLog);
      case 'failed': {
        runLog.write('error', ending.error);
        const outcome = await this.#outcome(attempt.run);
        return this.#finish(attempt, runLog, 'error', { ...outcome, status: 'error', error: { ...ending.error } });
      }
      case 'exhausted':
        return this.#askForBudget(attempt, runLog, ending.spent);
      case 'stopped':
        return this.#endStopped(attempt, runLog, ending.reason);
    }
  }

  /** Gives the run's place to others until the first of its waiting nodes can go on; a question to a person comes first. */
  async #park(attempt: Attempt, runLog: RunLog): Promise<void> {
    if (attempt.reason === 'pause') return this.#endStopped(attempt, runLog, 'pause');
    const outcome = await this.#outcome(attempt.run);
    if (outcome.parkings.length === 0 || Object.keys(outcome.interrupts).length > 0) {
      return this.#finish(attempt, runLog, 'success', outcome);
    }
    await runLog.flush();
    await this.#parts.queue.park(attempt.run, outcome.parkings);
  }

  /** A question of the graph's own comes first; and when nothing is left to do, none is needed. */
  async #askForBudget(attempt: Attempt, runLog: RunLog, spent: Spent): Promise<void> {
    const { run_id, kwargs } = attempt.run;
    const outcome = await this.#outcome(attempt.run);
    if (outcome.status === 'idle' || Object.keys(outcome.interrupts).length > 0) {
      return this.#finish(attempt, runLog, 'success', outcome);
    }
    const question = budgetQuestion(run_id, kwargs.budget ?? {}, spent);
    tellInterrupts(runLog, kwargs, [question]);
    const interrupts = { [BUDGET_TASK]: [question] };
    return this.#finish(attempt, runLog, 'interrupted', { ...outcome, status: 'interrupted', interrupts });
  }

  async #endStopped(attempt: Attempt, runLog: RunLog, reason: Exclude<StopReason, 'budget'>): Promise<void> {
    const { queue, stores, observer } = this.#parts;
    const { run } = attempt;
    switch (reason) {
      case 'pause':
        return this.#finish(attempt, runLog, 'interrupted', { ...(await this.#outcome(run)), status: 'interrupted' });
      case 'interrupt': {
        const outcome = await this.#outcome(run);
        const waits = Object.values(outcome.interrupts).some((interrupts) => interrupts.length > 0);
        return this.#finish(attempt, runLog, 'interrupted', { ...outcome, status: waits ? 'interrupted' : 'idle' });
      }
      case 'rollback': {
        const saver = stores.of(run.state_store);
        // Asked for before langgraph.json named another store: what the run did stays.
        if (!saver.undoes) return this.#endStopped(attempt, runLog, 'interrupt');
        // A crash between the two repeats both: the row still says rollback.
        await saver.deleteRun(run.thread_id, run.run_id);
        const outcome = await this.#outcome(run);
        await queue.remove(run, outcome);
        return observer.ended(run.graph_id, 'rolled_back');
      }
      case 'shutdown':
        await runLog.flush();
        return queue.release(run);
      case 'lease_lost':
        return undefined;
    }
  }

  async #finish(
    attempt: Attempt,
    runLog: RunLog,
    status: Extract<RunStatus, 'success' | 'error' | 'interrupted'>,
    outcome: ThreadOutcome,
  ): Promise<void> {
    const { queue, streams, observer } = this.#parts;
    const { run } = attempt;
    await runLog.flush();
    const endSeq = runLog.nextSeq;
    const error = status === 'error' ? (outcome.error as RunError | null) : null;
    const endAt = Date.now();
    await queue.finish(run, {
      status,
      error,
      pauses: status === 'interrupted' && PAUSES.has(attempt.reason),
      endSeq,
      endAt,
      outcome,
    });
    streams.publish(run.run_id, [{ seq: endSeq, event: END_EVENT, data: JSON.stringify({ status }), at: endAt }]);
    observer.ended(run.graph_id, status);
  }

  /** When the graph or its state cannot be read, the thread goes on showing what it showed: an end must not depend on it. */
  async #outcome(run: ClaimedRun): Promise<ReachedOutcome> {
    const { states, threads } = this.#parts;
    const { thread_id, kwargs, auth_user } = run;
    try {
      const configurable = withUser(kwargs.config.configurable, auth_user);
      return await states.outcome(run, { ...kwargs.config, configurable });
    } catch (error) {
      if (isInfrastructure(error)) throw error;
      this.#parts.log.warn({ err: error, thread_id }, 'the state cannot be shown');
      const thread = await threads.get(thread_id).catch((fault: unknown) => {
        if (isUnreadable(fault)) return null;
        throw fault;
      });
      const { values = null, interrupts = {} } = thread ?? {};
      return { status: 'idle', values, interrupts, error: null, parkings: [] };
    }
  }
}

const NONE: ReadonlySet<string> = new Set();

interface Past {
  resumes: boolean;
  idleAttempts: number;
  lastSeq: number;
  fault?: Error;
}

/** What the first attempt need not look for. */
const FIRST: Past = { resumes: false, idleAttempts: 0, lastSeq: -1 };

/**
 * Whether an earlier attempt has applied the run's input. A command is stored beside the checkpoint that it answers; an
 * input is applied when there is a checkpoint of the run, since only that holds it.
 */
function hasBegun({ run_id, kwargs }: ClaimedRun, latest: LatestCheckpoint | undefined): boolean {
  return kwargs.command ? latest?.touched_by.includes(run_id) === true : latest?.run_id === run_id;
}

function stopped({ reason }: Attempt, usage: RunUsage): Ending {
  if (reason === 'budget') return { kind: 'exhausted', spent: usage.spent };
  return { kind: 'stopped', reason: reason ?? 'lease_lost' };
}

/** A failure of a node is an ending and is shown; one of the infrastructure is thrown, and the run tried again. */
function endingOf(error: unknown, attempt: Attempt, usage: RunUsage): Ending {
  if (isInfrastructure(error)) throw error;
  if (attempt.signal.aborted || isGraphDrained(error)) return stopped(attempt, usage);
  const name = error instanceof Error ? error.name : 'Error';
  return { kind: 'failed', error: { error: name, message: messageOf(error) } };
}

/** As LangGraph itself does; questions of its own it has told by then. */
function tellInterrupts(runLog: RunLog, { stream_mode }: RunKwargs, interrupts: Interrupt[]): void {
  for (const mode of ['updates', 'values'] as const) {
    if (stream_mode.includes(mode)) runLog.write(mode, { __interrupt__: interrupts });
  }
}

function exhausted(attempts: number): RunError {
  return {
    error: 'WorkerLost',
    message: `The worker was lost ${attempts} times at the same place, before the state had moved. See its log; then create a run with input null to go on from the last checkpoint`,
  };
}
