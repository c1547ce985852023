import { setTimeout as pause } from 'node:timers/promises';
import { uuidv7 } from '../../src/core/ids.ts';
import type { Random } from '../random.ts';
import { readThrough, type SseFrame } from '../sse-frames.ts';
import type { Plan } from './plan.ts';

/** A connection of a reader, by this process's clock. */
export interface Sitting {
  run_id: string;
  opened_at: number;
  /** When it was over: the stream had ended, the connection broke, or nothing came for too long. */
  closed_at: number | null;
}

export interface Reading {
  run_id: string;
  thread_id: string;
  frames: SseFrame[];
}

/** What a client was told: that his runs were accepted, and what he read of them. */
export interface Journey {
  plan: Plan;
  thread_id: string;
  accepted: string[];
}

interface TravellerOptions {
  /** The API itself. */
  url: string;
  /** The API behind a network that breaks. */
  brokenUrl: string;
  random: Random;
}

/** A reader who hears nothing for so long begins a new connection. */
const SILENCE_MS = 15_000;

/** A client that follows a plan through all failures: it starts the run, reads its stream, answers, tells events. */
export class Traveller {
  readonly journeys: Journey[] = [];
  readonly readings: Reading[] = [];
  /** Of readers with a sound network. */
  readonly sittings: Sitting[] = [];
  readonly #options: TravellerOptions;

  constructor(options: TravellerOptions) {
    this.#options = options;
  }

  async travel(plan: Plan): Promise<void> {
    const { random } = this.#options;
    const journey: Journey = { plan, thread_id: uuidv7(), accepted: [] };
    this.journeys.push(journey);
    const told = plan.waits ? this.#tellLater(journey, random.int(0, 4000)) : null;
    let runId = await this.#begin(journey, { input: { plan } });
    for (;;) {
      await Promise.all([
        this.#read(journey, runId, { isBroken: false }),
        this.#read(journey, runId, { isBroken: false, afterMs: random.int(0, 4000) }),
        this.#read(journey, runId, { isBroken: true, afterMs: random.int(0, 1500) }),
      ]);
      const { status } = await this.#get<{ status: string }>(`/threads/${journey.thread_id}`);
      if (status !== 'interrupted' || journey.accepted.length > 1) break;
      runId = await this.#begin(journey, { command: { resume: plan.order } });
    }
    await told;
  }

  /** Starts a run though the answer may get lost: then it looks whether it was accepted, as nothing else runs on the thread. */
  async #begin(journey: Journey, body: object): Promise<string> {
    const path = `/threads/${journey.thread_id}/runs`;
    const step = journey.accepted.length;
    for (;;) {
      const answer = await this.#post(path, {
        assistant_id: 'journey',
        if_not_exists: 'create',
        multitask_strategy: 'reject',
        metadata: { step },
        stream_mode: ['updates', 'messages-tuple', 'values'],
        ...body,
      });
      const run = answer?.ok ? ((await answer.json().catch(() => null)) as { run_id: string } | null) : null;
      if (answer && answer.status >= 400 && answer.status < 500 && answer.status !== 409) {
        throw new Error(`a run was refused: ${answer.status} ${await answer.text()}`);
      }
      const runId = run?.run_id ?? (await this.#accepted(path, step));
      if (runId !== null) {
        journey.accepted.push(runId);
        return runId;
      }
      await pause(200);
    }
  }

  async #accepted(path: string, step: number): Promise<string | null> {
    for (;;) {
      const answer = await fetch(this.#options.url + path).catch(() => null);
      if (answer?.status === 404) return null;
      const runs = answer?.ok ? await answer.json().catch(() => null) : null;
      if (runs) {
        const found = (runs as { run_id: string; metadata: { step?: number } }[]).find(
          ({ metadata }) => metadata.step === step,
        );
        return found?.run_id ?? null;
      }
      await pause(200);
    }
  }

  async #read(
    { thread_id }: Journey,
    run_id: string,
    { isBroken, afterMs = 0 }: { isBroken: boolean; afterMs?: number },
  ): Promise<void> {
    await pause(afterMs);
    const { url, brokenUrl } = this.#options;
    const base = isBroken ? brokenUrl : url;
    const frames = await readThrough(
      async (lastId, signal) => {
        for (;;) {
          const opened_at = Date.now();
          const answer = await fetch(`${base}/threads/${thread_id}/runs/${run_id}/stream`, {
            headers: { 'last-event-id': lastId ?? '-1' },
            signal,
          }).catch(() => null);
          signal.throwIfAborted();
          if (answer?.ok) {
            const sitting: Sitting = { run_id, opened_at, closed_at: null };
            signal.addEventListener('abort', () => (sitting.closed_at = Date.now()), { once: true });
            if (!isBroken) this.sittings.push(sitting);
            return answer;
          }
          await answer?.body?.cancel();
          await pause(100);
        }
      },
      { silenceMs: isBroken ? 4000 : SILENCE_MS },
    );
    this.readings.push({ run_id, thread_id, frames });
  }

  async #tellLater({ thread_id, plan }: Journey, afterMs: number): Promise<void> {
    await pause(afterMs);
    for (;;) {
      const event = { name: 'signal', payload: plan.order, event_id: plan.order };
      if ((await this.#post(`/threads/${thread_id}/events`, event))?.ok) return;
      await pause(200);
    }
  }

  /** Null: nobody knows what became of it. */
  async #post(path: string, body: unknown): Promise<Response | null> {
    return fetch(this.#options.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }).catch(() => null);
  }

  async #get<T>(path: string): Promise<T> {
    for (;;) {
      const answer = await fetch(this.#options.url + path).catch(() => null);
      const value: unknown = answer?.ok ? await answer.json().catch(() => null) : null;
      if (value !== null) return value as T;
      await pause(200);
    }
  }
}
