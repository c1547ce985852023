import { expect, it } from 'vitest';
import { type Claim, claimOf, type RecordedEffect } from '../../src/core/effect-claim.ts';
import type { EffectCall, EffectKind } from '../../src/core/effect.ts';

const call = (kind: EffectKind, argsHash: string | null = null) =>
  ({ kind, argsHash, name: 'x', key: 'k' }) as EffectCall;
const recorded = (kind: EffectKind, status: RecordedEffect['status'], more: Partial<RecordedEffect> = {}) => ({
  kind,
  status,
  args_hash: null,
  is_held: false,
  left_ms: null,
  ...more,
});

it.each<[RecordedEffect, Claim]>([
  [recorded('effect', 'done'), 'return'],
  [recorded('effect', 'failed'), 'return'],
  [recorded('sleep', 'done'), 'return'],
  [recorded('effect', 'started', { is_held: true }), 'busy'],
  [recorded('effect', 'started'), 'unknown'],
  [recorded('effect', 'waiting', { left_ms: 1 }), 'wait'],
  [recorded('effect', 'waiting', { left_ms: 0 }), 'take'],
  [recorded('sleep', 'waiting', { left_ms: 1 }), 'wait'],
  [recorded('sleep', 'waiting', { left_ms: -1 }), 'expire'],
  [recorded('event', 'waiting'), 'wait'],
  [recorded('event', 'waiting', { left_ms: 1 }), 'wait'],
  [recorded('event', 'waiting', { left_ms: 0 }), 'expire'],
])('%j: %s', (effect, claim) => {
  expect(claimOf(effect, call(effect.kind))).toBe(claim);
});

it('something else under the same name is refused, whatever became of it', () => {
  for (const status of ['done', 'failed', 'started', 'waiting'] as const) {
    expect(() => claimOf(recorded('effect', status), call('sleep'))).toThrow('was an effect before and is a sleep now');
    expect(() => claimOf(recorded('effect', status, { args_hash: 'a' }), call('effect', 'b'))).toThrow(
      'other arguments',
    );
    expect(() => claimOf(recorded('effect', status), call('effect', 'b'))).toThrow('other arguments');
  }
});
