import type { Request, Response } from 'express';
import type { Logger } from 'pino';
import type { Caller } from '../../core/caller.ts';
import type { Run, StreamMode } from '../../core/run.ts';
import { departure, sendEvents, sendLate } from '../../http/sse.ts';
import type { RunService } from './service.ts';

export interface AnswerOptions {
  heartbeatMs: number;
  /** Whether the server is stopping: clients that lose their connection then have not left by themselves. */
  isStopping: () => boolean;
  log: Logger;
}

interface WaitOptions {
  /** Who waits, and so who cancels the run when he leaves. */
  caller: Caller;
  run: Run;
  cancelOnDisconnect: boolean;
}

interface StreamOptions extends WaitOptions {
  /** Replay only what follows this number; -1 = all. */
  afterSeq?: number;
  modes?: readonly StreamMode[] | undefined;
}

/** The ways to answer with what a run does. */
export class RunAnswers {
  readonly #runs: RunService;
  readonly #options: AnswerOptions;

  constructor(runs: RunService, options: AnswerOptions) {
    this.#runs = runs;
    this.#options = options;
  }

  /** Streams the run's events until it has ended. */
  async stream(res: Response, options: StreamOptions): Promise<void> {
    const { run, afterSeq = -1, modes } = options;
    const signal = this.#departure(res, options);
    await this.announce(res, run);
    // Where the official client comes back to when its connection breaks. It appends this to the address that it was given,
    // so the prefix under which the API is mounted is not part of it.
    res.setHeader('Location', `/threads/${run.thread_id}/runs/${run.run_id}/stream`);
    const events = this.#runs.events(run.run_id, { afterSeq, modes, signal });
    await sendEvents(res, asSse(events), { signal, heartbeatMs: this.#options.heartbeatMs });
  }

  /** Answers with the run's result when it has ended. */
  async wait(res: Response, options: WaitOptions): Promise<void> {
    const signal = this.#departure(res, options);
    await this.announce(res, options.run);
    await sendLate(res, this.#runs.result(options.run, signal), this.#options.heartbeatMs);
  }

  /** Says where the run can be found: clients read its id, and its thread's, from here. And what of the request is not used. */
  async announce(res: Response, run: Run): Promise<void> {
    const { baseUrl } = res.req;
    const own = run.kwargs.temporary_thread ? '' : `/threads/${run.thread_id}`;
    res.setHeader('Content-Location', `${baseUrl}${own}/runs/${run.run_id}`);
    await this.warn(res, run);
  }

  async warn(res: Response, run: Pick<Run, 'kwargs' | 'metadata'>): Promise<void> {
    for (const text of await this.#runs.unused(run)) {
      res.append('Warning', `299 baton "${text.replaceAll(/[^\x20-\x7E]|["\\]/g, "'")}"`);
    }
  }

  #departure(res: Response, { caller, run, cancelOnDisconnect }: WaitOptions): AbortSignal {
    const signal = departure(res);
    if (!cancelOnDisconnect) return signal;
    if (signal.aborted) this.#cancel(caller, run);
    else signal.addEventListener('abort', () => this.#cancel(caller, run));
    return signal;
  }

  #cancel(caller: Caller, run: Run): void {
    if (this.#options.isStopping()) return;
    this.#runs.cancel(caller, run, 'interrupt').catch((error: unknown) => {
      this.#options.log.warn({ err: error, run_id: run.run_id }, 'could not cancel the run of a client that left');
    });
  }
}

/** The number of the last event that the client has; -1 when it wants all, which it may say in three ways. */
export function lastEventSeq(req: Request): number {
  const seq = Number(req.get('last-event-id') || '-1');
  return Number.isSafeInteger(seq) && seq >= 0 && seq <= 2_147_483_647 ? seq : -1;
}

async function* asSse(events: AsyncIterable<{ event: string; data: string; seq: number }>) {
  for await (const { event, data, seq } of events) yield { event, data, id: seq };
}
