import { claimOf } from '../core/effect-claim.ts';
import type { Effect, EffectCall, EffectFailure, EffectTurn } from '../core/effect.ts';
import { FencedError } from '../core/errors.ts';
import type { Json } from '../core/json.ts';
import type { Queryable } from './database.ts';
import type { AttemptRef } from './run-queue.ts';

/** How an effect stands for whoever came to it; results as stored bytes. */
export type StoredState = { effectId: string; asked: number } & (
  | { is: 'yours'; turn: EffectTurn }
  | { is: 'done'; result: Uint8Array | null; resultOf: string }
  | { is: 'failed'; error: EffectFailure }
  | { is: 'unknown'; turn: EffectTurn; open: boolean }
  | { is: 'waiting'; leftMs: number | null; busy: boolean }
);

export interface EffectRequest {
  /** Of the row that is made when there is none. The same when it is asked again, after a lost connection. */
  effectId: string;
  call: EffectCall;
  attempt: AttemptRef;
  /** Also from one that was begun and never ended. */
  takeover: boolean;
  /** What this attempt executes right now. It is told what it is given before anybody else can see that it was. */
  hands: { has(effectId: string): boolean; take(effectId: string): void };
  /** The bytes that an event, or the lack of one in time (null), is recorded as. */
  encodeEvent: (event: { payload: Json; received_at: string } | null, effectId: string) => Promise<Uint8Array>;
}

interface Row {
  effect_id: string;
  kind: EffectCall['kind'];
  status: Effect['status'];
  args_hash: string | null;
  attempts: number;
  idempotency_key: string;
  fencing_token: number;
  holder_lives: boolean;
  result: Uint8Array | null;
  error: EffectFailure | null;
  left_ms: number | null;
  age_ms: number;
  now_ms: number;
  asks: number;
  answers: number;
  asked_in: string | null;
  reused_from: string | null;
}

/**
 * Takes the turn of an effect that was there before, or says how it stands: under its row's lock. Throws FencedError when
 * the run is no longer this attempt's, and ConflictError when the same effect was recorded for something else.
 */
export async function claimEffect(tx: Queryable, request: EffectRequest): Promise<StoredState> {
  const { call, attempt, hands } = request;
  await requireTurn(tx, attempt);
  const row = await findEffect(tx, request);
  // Its thread was deleted between the two statements.
  if (!row) throw new FencedError(attempt.thread_id);
  const { effect_id: effectId, left_ms: leftMs } = row;
  const asked = row.asked_in === call.at ? row.asks : 0;
  if (isOwn(row, request)) return { effectId, asked, is: 'yours', turn: turnOf(row) };
  const is_held = row.fencing_token === attempt.fencing_token ? hands.has(effectId) : row.holder_lives;
  switch (claimOf({ ...row, is_held }, call)) {
    case 'return':
      return { effectId, asked, ...outcomeOf(row) };
    case 'unknown':
      if (!request.takeover && call.onUnknown !== 'retry') {
        return { effectId, asked, is: 'unknown', turn: turnOf(row), open: asked > row.answers };
      }
      return { effectId, asked, is: 'yours', turn: await take(tx, row, request) };
    case 'take':
      return { effectId, asked, is: 'yours', turn: await take(tx, row, request) };
    case 'busy':
      return { effectId, asked, is: 'waiting', leftMs: null, busy: true };
    case 'wait':
      return (await takeEvent(tx, request, effectId)) ?? { effectId, asked, is: 'waiting', leftMs, busy: false };
    case 'expire':
      return (await takeEvent(tx, request, effectId)) ?? (await expire(tx, request, effectId));
  }
}

/** Whether this very request has made it, and lost the connection before it heard so. */
function isOwn({ effect_id, attempts, status }: Row, request: EffectRequest): boolean {
  return effect_id === request.effectId && attempts === 1 && status === 'started';
}

/** A global one has no thread: its index is another one. */
export async function findEffect(
  tx: Queryable,
  { call, attempt }: Pick<EffectRequest, 'call' | 'attempt'>,
): Promise<Row | undefined> {
  const [row] = await (call.scope === 'global'
    ? tx.query<Row>(FIND_GLOBAL, [call.name, call.key])
    : tx.query<Row>(FIND, identityOf(call, attempt)));
  return row;
}

function outcomeOf({ effect_id, status, result, error, reused_from }: Row) {
  if (status === 'failed') return { is: 'failed', error: error ?? UNNAMED } as const;
  return { is: 'done', result, resultOf: reused_from ?? effect_id } as const;
}

function turnOf({ effect_id, attempts, idempotency_key, age_ms, now_ms }: Row): EffectTurn {
  return { effectId: effect_id, attempt: attempts, idempotencyKey: idempotency_key, ageMs: age_ms, nowMs: now_ms };
}

const UNNAMED: EffectFailure = { name: 'Error', message: 'It failed' };

async function requireTurn(tx: Queryable, { run_id, thread_id, fencing_token }: AttemptRef): Promise<void> {
  const held = await tx.query(
    `select 1 from baton.runs where run_id = $1 and fencing_token = $2 and status = 'running'`,
    [run_id, fencing_token],
  );
  if (held.length === 0) throw new FencedError(thread_id);
}

async function take(tx: Queryable, row: Row, { attempt, hands }: EffectRequest): Promise<EffectTurn> {
  hands.take(row.effect_id);
  await tx.query(
    `update baton.effects set status = 'started', attempts = attempts + 1, run_id = $2, by_thread_id = $3, fencing_token = $4,
       wake_at = null, ended_at = null, answers = asks where effect_id = $1`,
    [row.effect_id, attempt.run_id, attempt.thread_id, attempt.fencing_token],
  );
  return { ...turnOf(row), attempt: row.attempts + 1 };
}

async function takeEvent(tx: Queryable, request: EffectRequest, effectId: string): Promise<StoredState | null> {
  const { call, attempt, encodeEvent } = request;
  if (call.kind !== 'event') return null;
  const [event] = await tx.query<{ payload: Json; received_at: string; thread_id: string; name: string }>(
    `update baton.thread_events set taken_by = $3 where thread_id = $1 and position = (
       select position from baton.thread_events where thread_id = $1 and name = $2 and taken_by is null
       order by position limit 1 for update
     ) returning thread_id, name, payload, created_at received_at`,
    [attempt.thread_id, call.name, effectId],
  );
  if (!event) return null;
  const { payload, received_at } = event;
  return settled(tx, effectId, await encodeEvent({ payload, received_at }, effectId));
}

async function expire(tx: Queryable, { call, encodeEvent }: EffectRequest, effectId: string): Promise<StoredState> {
  return settled(tx, effectId, call.kind === 'event' ? await encodeEvent(null, effectId) : null);
}

async function settled(tx: Queryable, effectId: string, result: Uint8Array | null): Promise<StoredState> {
  await tx.query(`update baton.effects set status = 'done', result = $2, ended_at = now() where effect_id = $1`, [
    effectId,
    result,
  ]);
  return { is: 'done', effectId, asked: 0, result, resultOf: effectId };
}

/** Scope, thread, place, name and key. */
export function identityOf(call: EffectCall, { thread_id }: AttemptRef): unknown[] {
  return [call.scope, call.scope === 'global' ? null : thread_id, call.place, call.name, call.key];
}

const FOUND = `
  select e.effect_id, e.kind, e.status, e.args_hash, e.attempts, e.idempotency_key, e.fencing_token, e.result, e.error, e.asks,
    e.answers, e.asked_in, e.reused_from,
    extract(epoch from e.wake_at - now())::float8 * 1000 left_ms, extract(epoch from now() - e.started_at)::float8 * 1000 age_ms,
    extract(epoch from now())::float8 * 1000 now_ms,
    exists (select 1 from baton.runs r where r.run_id = e.run_id and r.fencing_token = e.fencing_token
            and r.status = 'running' and r.lease_until > now()) holder_lives
  from baton.effects e`;
const FIND = `${FOUND} where e.scope = $1 and e.thread_id = $2::uuid and e.place = $3 and e.name = $4 and e.key = $5 for update of e`;
const FIND_GLOBAL = `${FOUND} where e.scope = 'global' and e.name = $1 and e.key = $2 for update of e`;
