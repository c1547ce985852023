import { createHash } from 'node:crypto';
import { interrupt, isGraphBubbleUp } from '@langchain/langgraph';
import { backoffMs } from '../core/backoff.ts';
import { type Duration, durationMs, timeoutOf } from '../core/duration.ts';
import type { EffectFailure, EffectScope, EffectState, EffectTurn, ForkPolicy, UnknownPolicy } from '../core/effect.ts';
import { InvalidInputError, messageOf } from '../core/errors.ts';
import { type LedgerUse, openLedger } from './ledger-use.ts';

export interface EffectRetry {
  /** Executions at most, the first one included. */
  attempts: number;
  /** Before the second one; twice as long before each further one. Default 1 s. */
  backoff?: Duration;
  /** The longest wait between two. Default 1 h. */
  maxDelay?: Duration;
  /** No execution begins later than this after the first one, or than this instant. Default: no limit. */
  until?: Duration | Date;
}

export interface EffectOptions {
  /**
   * Where it is done once: `step` (default), at this place of this run, however often its node is executed; `thread`, in
   * the thread's whole life; `global`, everywhere, which needs a `key`.
   */
  scope?: EffectScope;
  /** The business key: the number of the invoice, the id of the order. Without one, calls of one name are counted. */
  key?: string;
  /** What it depends on, as JSON. The same effect with other arguments is refused. */
  args?: unknown;
  /** Of scope `step`, on a fork of the thread: do it again (default), take over what the origin did, or refuse. */
  onFork?: ForkPolicy;
  /** When a worker was lost in the middle: do it again under the same idempotency key (default), ask a person, or fail. */
  onUnknown?: UnknownPolicy;
  retry?: EffectRetry;
}

export interface EffectContext {
  /** Pass it to the service that is called: it stays the same in every execution of this effect. */
  idempotencyKey: string;
  /** 1 at the first execution. */
  attempt: number;
  /** Ends when the run is stopped. */
  signal: AbortSignal | undefined;
}

/** An effect failed for good. The same failure comes again until the node itself has failed, so it can be caught. */
export class EffectFailedError extends Error {
  override readonly name = 'EffectFailedError';
  /** The effect's name. */
  readonly effect: string;
  readonly failure: EffectFailure;
  constructor(effect: string, failure: EffectFailure, options?: ErrorOptions) {
    super(`The effect "${effect}" failed: ${failure.message}`, options);
    this.effect = effect;
    this.failure = failure;
  }
}

/** What a person answers who is asked about an effect that was begun and never confirmed. */
export interface EffectAnswer {
  done: boolean;
  /** What it would have returned, when it was done. */
  result?: unknown;
}

/**
 * Does something to the world and records its result before the node goes on. A node that is executed again, after a
 * crash, a retry or an answer, gets the recorded result. When a worker is lost in the middle it is executed again with the
 * same idempotency key: at least once, and once for a service that honours the key.
 *
 *     const charge = await effect('charge-card', ({ idempotencyKey }) => stripe.charge({ … }, { idempotencyKey }), { args: { orderId, cents } });
 *
 * The result must be storable, as all state is. Without a Baton server it is remembered in memory, beside the graph's checkpointer.
 * @throws EffectFailedError, when `work` threw and is not tried again; ConflictError, when the same effect was recorded for
 * other arguments, or a fork is forbidden to repeat it; InvalidInputError for options that make no sense.
 */
export async function effect<T>(
  name: string,
  work: (context: EffectContext) => Promise<T> | T,
  options: EffectOptions = {},
): Promise<T> {
  return perform(openLedger('effect', name, callOf(options)), { work, retry: options.retry });
}

interface EffectWork<T> {
  work: (context: EffectContext) => Promise<T> | T;
  retry?: EffectRetry | undefined;
}

/** What {@link effect} does, of a call that is put together already. */
export async function perform<T>(use: LedgerUse, effectWork: EffectWork<T>): Promise<T> {
  const { name } = use.call;
  let takeover = false;
  // LangGraph counts the questions of a node: those that were asked about this effect are asked again, in their place, so
  // that the answers to later ones stay theirs.
  for (let questions = 0; ;) {
    const state = await use.ledger.come(use.call, { takeover });
    const answered = state.is === 'unknown' && state.open ? state.asked - 1 : state.asked;
    for (; questions < answered; questions += 1) interrupt(null);
    switch (state.is) {
      case 'done':
        return state.result as T;
      case 'failed':
        throw new EffectFailedError(name, state.error);
      case 'yours': {
        const outcome = await execute(use, state.turn, effectWork);
        if ('result' in outcome) return outcome.result;
        break;
      }
      case 'waiting':
        await use.ledger.wait(state, use.call);
        break;
      case 'unknown':
        if (use.call.onUnknown === 'fail') {
          const failure = {
            name: 'EffectUnknownError',
            message: `It was begun and its worker was lost: nobody knows whether it happened (idempotency key ${state.turn.idempotencyKey})`,
            final: true as const,
          };
          await use.ledger.failed(state.turn, failure, null);
        } else {
          questions += 1;
          const answer = await ask(use, state);
          if (answer.done) await use.ledger.done(state.turn, answer.result, use.call);
          else takeover = true;
        }
    }
  }
}

type Outcome<T> = { result: T } | { again: true };

/** One execution. A failure that is final is thrown; one that is tried again is left to the ledger's clock. */
async function execute<T>(
  { ledger, call, signal }: LedgerUse,
  turn: EffectTurn,
  { work, retry }: EffectWork<T>,
): Promise<Outcome<T>> {
  const { idempotencyKey, attempt } = turn;
  const beganMs = performance.now();
  let result: T;
  try {
    result = await work({ idempotencyKey, attempt, signal });
  } catch (error) {
    const failure = { name: error instanceof Error ? error.name : 'Error', message: messageOf(error) };
    // Stopped from outside, or a question in the middle: nothing is known of it, and it may be tried again unless its
    // author wants to know first.
    if (signal?.aborted || isGraphBubbleUp(error)) {
      if (signal?.aborted && call.onUnknown !== 'retry') ledger.lost(turn);
      else await ledger.failed(turn, failure, 0);
      throw error;
    }
    const retryMs = retry ? nextDelayMs(retry, turn, performance.now() - beganMs) : null;
    await ledger.failed(turn, failure, retryMs);
    if (retryMs === null) throw new EffectFailedError(call.name, failure, { cause: error });
    return { again: true };
  }
  await ledger.done(turn, result, call);
  return { result };
}

/** How long until the next execution, by the ledger's clock; null: there is none. */
function nextDelayMs(
  { attempts, backoff = 1000, maxDelay = '1h', until }: EffectRetry,
  turn: EffectTurn,
  tookMs: number,
): number | null {
  if (turn.attempt >= attempts) return null;
  const rhythm = { firstMs: durationMs(backoff), factor: 2, maxMs: durationMs(maxDelay) };
  const delayMs = backoffMs(turn.attempt, rhythm, 0);
  if (until === undefined) return delayMs;
  const leftMs = (until instanceof Date ? until.getTime() - turn.nowMs : durationMs(until) - turn.ageMs) - tookMs;
  return delayMs > leftMs ? null : delayMs;
}

async function ask(
  { ledger, call }: LedgerUse,
  { turn, open }: Extract<EffectState, { is: 'unknown' }>,
): Promise<EffectAnswer> {
  if (!open) await ledger.asking(turn, call.at);
  const answer: unknown = interrupt({
    type: 'effect_unknown',
    effect: { name: call.name, key: call.key, idempotency_key: turn.idempotencyKey, attempts: turn.attempt },
    question: `"${call.name}" was begun and its worker was lost. Did it happen? Answer {"done": true, "result": …} or {"done": false}`,
  });
  if (typeof answer === 'object' && answer !== null && 'done' in answer && typeof answer.done === 'boolean') {
    return answer as EffectAnswer;
  }
  throw new InvalidInputError(
    `The answer about the effect "${call.name}" must be {"done": true, "result": …} or {"done": false}`,
  );
}

function callOf({ scope = 'step', key, args, onFork = 'rerun', onUnknown = 'retry', retry }: EffectOptions) {
  if (scope === 'global' && key === undefined) {
    throw new InvalidInputError('An effect of scope "global" needs a key, such as the number of the invoice');
  }
  if (scope !== 'step' && onFork !== 'rerun') {
    throw new InvalidInputError(
      `onFork is for effects of scope "step": one of scope "${scope}" is done once in any branch`,
    );
  }
  if (retry) requireSense(retry);
  return { scope, key, onFork, onUnknown, argsHash: args === undefined ? null : hashOf(args) };
}

function requireSense({ attempts, backoff, maxDelay, until }: EffectRetry): void {
  if (!Number.isInteger(attempts) || attempts < 1) {
    throw new InvalidInputError('retry.attempts must be a whole number of at least 1');
  }
  for (const duration of [backoff, maxDelay]) if (duration !== undefined) durationMs(duration);
  if (until !== undefined) timeoutOf(until);
}

/** Of the value, whatever the order of its keys. */
function hashOf(args: unknown): string {
  const text = JSON.stringify(args, (key, value: unknown) => {
    if (typeof value === 'bigint') return `${value}n`;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    if (value instanceof Map || value instanceof Set || ArrayBuffer.isView(value)) throw notJson(key);
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
  if (text === undefined) throw notJson('');
  return createHash('sha256').update(text).digest('base64url');
}

function notJson(key: string): InvalidInputError {
  const what = key === '' ? 'args of an effect' : `"${key}" in the args of an effect`;
  return new InvalidInputError(`${what} must be JSON: what it depends on, such as ids and amounts`);
}
