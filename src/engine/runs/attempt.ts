import { RunControl } from '@langchain/langgraph';
import { isUnreadable } from '../../core/errors.ts';
import type { CancelAction } from '../../core/run.ts';
import type { ClaimedRun } from '../../database/run-queue.ts';

/** Why an attempt stops before its graph has ended: as someone asked, or since the run is no longer, or not for now, this worker's. */
export type StopReason = CancelAction | 'lease_lost' | 'shutdown' | 'budget';

/** One execution of a run by one worker, and the two ways to stop it: at the next step boundary, or at once. */
export class Attempt {
  readonly run: ClaimedRun;
  readonly control = new RunControl();
  /** Attempts in a row before this one that came no further; until it has looked back, as many as there may be. */
  idleAttempts: number;
  readonly #abort = new AbortController();
  #reason: StopReason | null = null;

  constructor(run: ClaimedRun) {
    this.run = run;
    this.idleAttempts = run.was_parked ? 0 : run.attempt - 1;
    if (run.cancel_action) this.stop(run.cancel_action);
  }

  /** The run. Throws what keeps it from being read now; what does so for good stays its `fault`. */
  readRun(): ClaimedRun {
    const { fault } = this.run;
    if (fault && !isUnreadable(fault)) throw fault;
    return this.run;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Why it was told to stop; null while it was not. */
  get reason(): StopReason | null {
    return this.#reason;
  }

  /** A pause waits for the step boundary; everything else stops at once. A later, harder reason replaces a softer one. */
  stop(reason: StopReason): void {
    if (this.signal.aborted) return;
    this.#reason = reason;
    if (reason === 'pause') this.control.requestDrain(reason);
    else this.#abort.abort(new Error(`the run was stopped: ${reason}`));
  }

  /** The run has spent its budget: as a pause, for which nobody asked. */
  exhaust(): void {
    if (this.#reason !== null) return;
    this.#reason = 'budget';
    this.control.requestDrain('budget');
  }

  /** Before a shutdown: lets the step in hand come to its end, so that nothing of it is repeated. */
  handBack(): void {
    if (this.#reason !== null) return;
    this.#reason = 'shutdown';
    this.control.requestDrain('shutdown');
  }
}
