import type { BlobFiles } from './blob-files.ts';
import type { Json } from './json.ts';

/** What a node waits for or does in the world, each with a row of its own in the ledger. */
export const EFFECT_KINDS = ['effect', 'sleep', 'event'] as const;
export type EffectKind = (typeof EFFECT_KINDS)[number];

/** Where an effect is one and the same: at its place in the graph's run, in the thread, or everywhere. */
export const EFFECT_SCOPES = ['step', 'thread', 'global'] as const;
export type EffectScope = (typeof EFFECT_SCOPES)[number];

export const EFFECT_STATUSES = ['started', 'waiting', 'done', 'failed'] as const;
export type EffectStatus = (typeof EFFECT_STATUSES)[number];

/** What a fork does with what its origin did after the fork's point. */
export type ForkPolicy = 'rerun' | 'reuse' | 'forbid';

/** What is done about an effect that was begun by a worker that was lost: nobody knows whether it happened. */
export type UnknownPolicy = 'retry' | 'ask' | 'fail';

/** Begins the keys of calls that have none of their own: a character that no business key has. */
export const COUNTED_KEY = '\u0001';

/** Which effect is meant, and what is asked for. The same call made again must say the same. */
export interface EffectCall {
  kind: EffectKind;
  name: string;
  scope: EffectScope;
  /** The place in the graph's run, of scope `step`; elsewhere empty. */
  place: string;
  /** The place where it is called, whatever its scope. */
  at: string;
  /** The place without what differs between branches of a thread: forks are compared by it. */
  site: string;
  /** The business key, or which call of that name at that place this is. */
  key: string;
  /** Hash of the arguments; null: none were given, so any are the same. */
  argsHash: string | null;
  onFork: ForkPolicy;
  onUnknown: UnknownPolicy;
  node: string;
  checkpointId: string | null;
  /** The execution of the node by its retry policy, 1 at first. */
  nodeAttempt: number;
  /** For `sleep` and `event`: how long at most, or until which instant (ISO 8601); null: for ever. */
  timeout: { ms: number } | { until: string } | null;
}

/** A turn to execute an effect. */
export interface EffectTurn {
  effectId: string;
  /** 1 at the first execution. */
  attempt: number;
  /** The same at every execution of this effect. */
  idempotencyKey: string;
  /** How long ago its first execution began, as this one did. */
  ageMs: number;
  /** The ledger's clock then, in milliseconds since the epoch. */
  nowMs: number;
}

/** A failure as the ledger keeps it. */
export interface EffectFailure {
  name: string;
  message: string;
  /** It was done, or may have been: it stays, also when its node is executed again. */
  final?: true;
}

/** How an effect stands when a node comes to it. `asked`: how often a person was asked about it in this step. */
export type EffectState =
  | { is: 'yours'; turn: EffectTurn; asked: number }
  | { is: 'done'; result: unknown; asked: number }
  | { is: 'failed'; error: EffectFailure; asked: number }
  /** Begun and never ended. `open`: a person was asked about this execution, and the answer was not acted upon yet. */
  | { is: 'unknown'; turn: EffectTurn; asked: number; open: boolean }
  /** Not yet: its time has not come (`leftMs`; null: it waits for an event), or another one executes it (`busy`). */
  | { is: 'waiting'; effectId: string; leftMs: number | null; busy: boolean; asked: number };

/** What the sdk asks of whoever keeps the record: Baton's worker, or the sdk's own memory outside of a server. */
export interface EffectLedger {
  /** Says how it stands; takes the turn when it is free. `takeover`: also from a lost one, since a person said that it was not done. */
  come(call: EffectCall, options?: { takeover?: boolean }): Promise<EffectState>;
  /** Recorded when it returns. @throws UnstorableValueError when the result cannot be kept: then that failure is recorded. */
  done(turn: EffectTurn, result: unknown, call: EffectCall): Promise<void>;
  /** `retryMs`: when it may be tried again; null: never, this is the outcome. */
  failed(turn: EffectTurn, failure: EffectFailure, retryMs: number | null): Promise<void>;
  /** It was broken off, and nobody knows whether it happened. */
  lost(turn: EffectTurn): void;
  /** Notes that a person is about to be asked about it. */
  asking(turn: EffectTurn, place: string): Promise<void>;
  /** Waits until it may stand differently, here; or gives up the run's place in the worker by throwing what parks it. */
  wait(state: Extract<EffectState, { is: 'waiting' }>, call: EffectCall): Promise<void>;
}

/** One execution of a node, as the engine sees it. */
export interface NodeExecution {
  files: BlobFiles;
  ledger: EffectLedger;
  /** How often each name was called at each place, in this execution. */
  calls: Map<string, number>;
}

/** The key under which an execution travels in `config.configurable`, into subgraphs and tools. Copied nowhere, since it begins with `__`. */
export const NODE_EXECUTION_KEY = '__baton_node_execution';

/** The value of an interrupt that parks a run instead of asking somebody. */
const PARKED = '__baton_parked';

export const PARK_REASONS = ['sleep', 'retry', 'event'] as const;
export type ParkReason = (typeof PARK_REASONS)[number];

/** What a parked task waits for. */
export interface Parking {
  effect_id: string;
  kind: EffectKind;
  name: string;
  /** Why it waits: to wake, to try again, or for an event. */
  reason: ParkReason;
}

export function parkingValue(parking: Parking): { [PARKED]: Parking } {
  return { [PARKED]: parking };
}

/** The parking that an interrupt's value stands for; null for a question. */
export function parkingIn(value: unknown): Parking | null {
  return typeof value === 'object' && value !== null && PARKED in value ? (value[PARKED] as Parking) : null;
}

/** A row of the ledger, as it is shown. */
export interface Effect {
  effect_id: string;
  kind: EffectKind;
  name: string;
  scope: EffectScope;
  /** Null: none was given. */
  key: string | null;
  status: EffectStatus;
  attempts: number;
  idempotency_key: string;
  node: string;
  run_id: string;
  checkpoint_id: string | null;
  error: Json;
  /** When it may go on, of one that waits; null: when an event comes. */
  wake_at: string | null;
  started_at: string;
  ended_at: string | null;
  /** From its first beginning to its end, waiting included; null while it has none. */
  duration_ms: number | null;
  /** The effect of another branch whose result it took over. */
  reused_from: string | null;
}
