import { z } from 'zod';
import { EFFECT_KINDS, EFFECT_SCOPES, EFFECT_STATUSES } from '../../core/effect.ts';
import { json } from '../../http/fields.ts';

const name = z.string().min(1).max(200);

export const wake = z.strictObject({ name: name.optional().describe('Only the sleeps of this name') });
export const woken = z.strictObject({ woken: z.int() });

export const event = z.strictObject({
  name,
  payload: json.optional(),
  event_id: z.string().min(1).max(200).optional().describe('The same event told twice under one id counts once'),
});
export const told = z.strictObject({ told: z.boolean().describe('False: this event_id was told before') });

export const effect = z.strictObject({
  effect_id: z.uuid(),
  kind: z.enum(EFFECT_KINDS),
  name: z.string(),
  scope: z.enum(EFFECT_SCOPES),
  key: z.string().nullable(),
  status: z.enum(EFFECT_STATUSES),
  attempts: z.int(),
  idempotency_key: z.string(),
  node: z.string(),
  run_id: z.uuid(),
  checkpoint_id: z.string().nullable(),
  error: json,
  wake_at: z.string().nullable(),
  started_at: z.string(),
  ended_at: z.string().nullable(),
  duration_ms: z.number().nullable(),
  reused_from: z.uuid().nullable(),
});
