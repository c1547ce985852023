import { ConflictError } from './errors.ts';
import type { EffectCall, EffectStatus } from './effect.ts';

/** What the ledger knows of an effect when somebody comes to it. */
export interface RecordedEffect {
  kind: EffectCall['kind'];
  status: EffectStatus;
  args_hash: string | null;
  /** Whether somebody executes it right now. */
  is_held: boolean;
  /** Of a waiting one; null: no time was set. */
  left_ms: number | null;
}

/** What is to be done about a recorded effect. */
export type Claim = 'return' | 'take' | 'wait' | 'busy' | 'unknown' | 'expire';

/**
 * What whoever comes to a recorded effect does: return its outcome, take its turn, wait for its time, wait for another
 * who executes it, or find out what became of one that was begun and never ended.
 * @throws ConflictError when the same call asks for something else.
 */
export function claimOf(effect: RecordedEffect, call: EffectCall): Claim {
  refuseOtherArguments(effect, call);
  switch (effect.status) {
    case 'done':
    case 'failed':
      return 'return';
    case 'waiting':
      if (effect.left_ms === null || effect.left_ms > 0) return 'wait';
      return call.kind === 'effect' ? 'take' : 'expire';
    case 'started':
      return effect.is_held ? 'busy' : 'unknown';
  }
}

function refuseOtherArguments(effect: RecordedEffect, { name, key, kind, argsHash }: EffectCall): void {
  const label = `"${name}"${key === '' ? '' : ` with the key "${key}"`}`;
  if (effect.kind !== kind) {
    throw new ConflictError(`${label} was ${WORD[effect.kind]} before and is ${WORD[kind]} now: give it another name`);
  }
  if (effect.args_hash !== argsHash) {
    throw new ConflictError(
      `The effect ${label} was recorded with other arguments. The same effect must ask for the same: give it a key of its own for each thing that it does`,
    );
  }
}

const WORD = { effect: 'an effect', sleep: 'a sleep', event: 'a wait for an event' } as const;
