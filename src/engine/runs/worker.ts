import type { Logger } from 'pino';
import { CHANNELS } from '../../database/channels.ts';
import type { Listener } from '../../database/listener.ts';
import type { RunQueue } from '../../database/run-queue.ts';
import { Attempt } from './attempt.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import type { Executor } from './executor.ts';
import type { RunObserver } from './run-observer.ts';

export interface WorkerOptions {
  queue: RunQueue;
  executor: Pick<Executor, 'execute'>;
  listener: Listener;
  /** For a connection that keeps leases while nodes block the event loop. */
  databaseUrl: string;
  /** Only runs of these graphs are taken. */
  graphIds: string[];
  workerId: string;
  /** Runs executed at the same time. */
  concurrency: number;
  /** How long a run stays this worker's without a heartbeat, by the database's clock. */
  leaseMs: number;
  /** The net under the notifications. */
  pollMs: number;
  observer: RunObserver;
  log: Logger;
}

/** Claims runs and executes them, keeps their leases, and passes on what others ask of them. */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #attempts = new Map<number, { attempt: Attempt; ended: Promise<void> }>();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #unlisten: (() => void)[] = [];
  #leases: LeaseKeeper | null = null;
  #ticking: Promise<number> | null = null;
  #tickAgain = false;
  /** There was no room for all that could be claimed. */
  #leftOver = false;
  #stopping = false;
  #lastHeartbeatMs = 0;

  constructor(options: WorkerOptions) {
    this.#options = options;
  }

  /** How many runs are in its hands. */
  get busy(): number {
    return this.#attempts.size;
  }

  async start(): Promise<void> {
    const { listener, databaseUrl, leaseMs, pollMs } = this.#options;
    this.#leases = new LeaseKeeper({ databaseUrl, leaseMs });
    this.#unlisten.push(await listener.listen(CHANNELS.runs, () => this.wake()));
    this.#unlisten.push(await listener.listen(CHANNELS.cancel, (runId) => void this.#onCancel(runId)));
    this.#timers.push(
      setInterval(() => this.wake(), pollMs),
      setInterval(() => void this.heartbeat(), leaseMs / 3),
      setInterval(() => this.#leases?.beat(), leaseMs / 8),
    );
    this.wake();
  }

  /** A hint that a run may be claimable. */
  wake(): void {
    if (this.#ticking) this.#tickAgain = true;
    else void this.tick();
  }

  /** Claims as many runs as there is room for and begins them. Returns how many. */
  async tick(): Promise<number> {
    this.#tickAgain = false;
    this.#ticking = this.#claim();
    const claimed = await this.#ticking;
    this.#ticking = null;
    if (this.#tickAgain) this.wake();
    return claimed;
  }

  /** Extends the leases; learns which runs are no longer its own and which are to be stopped. */
  async heartbeat(): Promise<void> {
    const { queue, leaseMs, log } = this.#options;
    if (this.#attempts.size === 0) return;
    const asked = [...this.#attempts.keys()];
    const beganMs = performance.now();
    try {
      const held = new Map((await queue.heartbeat(asked, leaseMs)).map((run) => [run.fencing_token, run]));
      this.#lastHeartbeatMs = beganMs;
      for (const token of asked) {
        const run = held.get(token);
        const attempt = this.#attempts.get(token)?.attempt;
        if (!run) this.#lose(attempt);
        else if (run.cancel_action) attempt?.stop(run.cancel_action);
      }
    } catch (error) {
      log.warn({ err: error }, 'a heartbeat failed');
      // By now another worker may have the runs; the fence would refuse whatever they still write.
      if (performance.now() - this.#lastHeartbeatMs > leaseMs)
        for (const { attempt } of this.#attempts.values()) this.#lose(attempt);
    }
  }

  #lose(attempt: Attempt | undefined): void {
    if (!attempt || attempt.reason === 'lease_lost') return;
    attempt.stop('lease_lost');
    this.#options.observer.leaseLost();
  }

  /**
   * Takes no more runs, gives those in hand `graceMs` to come to the end of their step, and hands back what has not ended.
   */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    for (const unlisten of this.#unlisten.splice(0)) unlisten();
    await this.#ticking;
    const inHand = [...this.#attempts.values()];
    for (const { attempt } of inHand) attempt.handBack();
    const deadline = setTimeout(() => {
      for (const { attempt } of inHand) attempt.stop('shutdown');
    }, graceMs);
    await Promise.all(inHand.map(({ ended }) => ended));
    clearTimeout(deadline);
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    await this.#leases?.stop();
  }

  /**
   * Which of the ways to stop is asked for, the heartbeat brings. A claim that is on its way may bring the very run, as it
   * was before.
   */
  async #onCancel(runId: string | null): Promise<void> {
    await this.#ticking;
    const mine = [...this.#attempts.values()].some(({ attempt }) => attempt.run.run_id === runId);
    if (mine || runId === null) await this.heartbeat();
  }

  async #claim(): Promise<number> {
    const { queue, workerId, graphIds, concurrency, leaseMs, log } = this.#options;
    const room = concurrency - this.#attempts.size;
    this.#leftOver = room <= 0;
    if (room <= 0 || this.#stopping) return 0;
    if (this.#attempts.size === 0) this.#lastHeartbeatMs = performance.now();
    try {
      const runs = await queue.claim({ workerId, graphIds, limit: room, leaseMs });
      this.#leftOver = runs.length === room;
      for (const run of runs) this.#begin(new Attempt(run));
      return runs.length;
    } catch (error) {
      log.warn({ err: error }, 'could not look for runs; will look again');
      return 0;
    }
  }

  #begin(attempt: Attempt): void {
    const { fencing_token: token, attempt: count, waited_ms } = attempt.run;
    if (count === 1) this.#options.observer.firstClaimed(waited_ms);
    const ended = this.#options.executor.execute(attempt).finally(() => {
      this.#attempts.delete(token);
      this.#leases?.hold([...this.#attempts.keys()]);
      if (this.#leftOver) this.wake();
    });
    this.#attempts.set(token, { attempt, ended });
    this.#leases?.hold([...this.#attempts.keys()]);
  }
}
