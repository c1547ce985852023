import { randomUUID } from 'node:crypto';
import { claimOf } from '../core/effect-claim.ts';
import type { EffectCall, EffectFailure, EffectLedger, EffectState, EffectStatus, EffectTurn } from '../core/effect.ts';

/** A timer of more fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

interface Entry {
  effectId: string;
  /** Where it was called last. */
  at: string;
  status: EffectStatus;
  kind: EffectCall['kind'];
  args_hash: string | null;
  attempts: number;
  result: unknown;
  error: EffectFailure;
  beganMs: number;
  wakeMs: number | null;
  isHeld: boolean;
}

/** The ledger of graphs that run without a server: remembers in memory, so that they can be tested. */
export class MemoryLedger implements EffectLedger {
  readonly #entries = new Map<string, Entry>();

  /** A node begins there, so that one before it has failed or asked: what failed in it is tried again. */
  begins(at: string): void {
    for (const entry of this.#entries.values()) {
      if (entry.at === at && entry.status === 'failed') Object.assign(entry, { status: 'waiting', wakeMs: 0 });
    }
  }

  async come(call: EffectCall, { takeover = false } = {}): Promise<EffectState> {
    const key = JSON.stringify([call.scope, call.place, call.name, call.key]);
    const entry = this.#entries.get(key);
    if (!entry) {
      const made = newEntry(call);
      this.#entries.set(key, made);
      return call.kind === 'effect' ? yours(made) : waiting(made);
    }
    const claim = claimOf({ ...entry, is_held: entry.isHeld, left_ms: leftMs(entry) }, call);
    if (claim === 'take' || (claim === 'unknown' && (takeover || call.onUnknown === 'retry'))) {
      Object.assign(entry, { status: 'started', attempts: entry.attempts + 1, isHeld: true, at: call.at });
      return yours(entry);
    }
    if (claim === 'expire') entry.status = 'done';
    if (entry.status === 'done') return { is: 'done', result: entry.result, asked: 0 };
    if (entry.status === 'failed') return { is: 'failed', error: entry.error, asked: 0 };
    if (claim === 'unknown') return { is: 'unknown', turn: turnOf(entry), asked: 0, open: false };
    return waiting(entry);
  }

  async done(turn: EffectTurn, result: unknown): Promise<void> {
    this.#change(turn, { status: 'done', result, isHeld: false });
  }

  async failed(turn: EffectTurn, error: EffectFailure, retryMs: number | null): Promise<void> {
    const change =
      retryMs === null ? { status: 'failed' as const } : { status: 'waiting' as const, wakeMs: Date.now() + retryMs };
    this.#change(turn, { ...change, error, isHeld: false });
  }

  lost(turn: EffectTurn): void {
    this.#change(turn, { isHeld: false });
  }

  async asking(): Promise<void> {}

  async wait(state: Extract<EffectState, { is: 'waiting' }>): Promise<void> {
    const ms = state.busy ? 5 : Math.min(Math.max(0, state.leftMs ?? 0), MAX_TIMER_MS);
    await new Promise((resolve) => setTimeout(resolve, ms));
  }

  #change({ effectId }: EffectTurn, change: Partial<Entry>): void {
    for (const entry of this.#entries.values()) if (entry.effectId === effectId) Object.assign(entry, change);
  }
}

function newEntry({ kind, argsHash, timeout, at }: EffectCall): Entry {
  const isEffect = kind === 'effect';
  return {
    effectId: randomUUID(),
    at,
    status: isEffect ? 'started' : 'waiting',
    kind,
    args_hash: argsHash,
    attempts: 1,
    result: undefined,
    error: { name: 'Error', message: '' },
    beganMs: Date.now(),
    wakeMs: wakeMsOf(timeout),
    isHeld: isEffect,
  };
}

function wakeMsOf(timeout: EffectCall['timeout']): number | null {
  if (timeout === null) return null;
  return 'ms' in timeout ? Date.now() + timeout.ms : Date.parse(timeout.until);
}

function leftMs({ wakeMs }: Entry): number | null {
  return wakeMs === null ? null : wakeMs - Date.now();
}

function turnOf({ effectId, attempts, beganMs }: Entry): EffectTurn {
  const nowMs = Date.now();
  return { effectId, attempt: attempts, idempotencyKey: effectId, ageMs: nowMs - beganMs, nowMs };
}

function yours(entry: Entry): EffectState {
  return { is: 'yours', turn: turnOf(entry), asked: 0 };
}

function waiting(entry: Entry): EffectState {
  return { is: 'waiting', effectId: entry.effectId, leftMs: leftMs(entry), busy: entry.status === 'started', asked: 0 };
}
