import { Access, type Guarded } from '../core/access.ts';
import {
  COUNTED_KEY,
  type Effect,
  type EffectCall,
  type EffectFailure,
  type EffectStatus,
  type EffectTurn,
} from '../core/effect.ts';
import { OF_NO_THREAD } from '../core/data-key.ts';
import { FencedError, NotFoundError } from '../core/errors.ts';
import { uuidv7 } from '../core/ids.ts';
import type { Json } from '../core/json.ts';
import { CHANNELS } from './channels.ts';
import type { Database, Queryable } from './database.ts';
import { claimEffect, type EffectRequest, findEffect, identityOf, type StoredState } from './effect-claims.ts';
import type { AttemptRef } from './run-queue.ts';
import { lockThread } from './threads.ts';

/** An effect of the same site. */
export interface DoneElsewhere {
  effect_id: string;
  same_args: boolean;
  checkpoint_id: string | null;
  reused_from: string | null;
  /** When its checkpoint was pruned: the nearest later one of its branch that was left. */
  led_to: string | null;
  /** Whether it is the very effect that is asked about. */
  is_here: boolean;
}

/** Where effects of a checkpoint led, so far and from now on. */
export interface BranchNote {
  checkpoint_id: string;
  led_to: string | null;
  left: string;
}

interface SealedCall {
  call: EffectCall;
  /** Of a key of the caller's own, to be shown. */
  sealedKey: string | null;
}

/** The ledger of effects. A row is written before a node goes on, so that whoever executes it again finds it. */
export class Effects implements Guarded<Effects> {
  readonly #db: Database;
  readonly #access: Access;
  constructor(database: Database, access = Access.everything) {
    this.#db = database;
    this.#access = access;
  }

  within(access: Access): Effects {
    return new Effects(this.#db, access);
  }

  /**
   * Takes the turn of an effect, or says how it stands. Throws FencedError when the run is no longer this attempt's, and
   * ConflictError when the same effect was recorded for something else.
   */
  async come(asked: EffectRequest): Promise<StoredState> {
    const { call, sealedKey } = await this.#sealed(asked.call, asked.attempt, asked.effectId);
    const request = { ...asked, call, sealedKey };
    return (await this.#insert(request)) ?? this.#db.transaction((tx) => claimEffect(tx, request));
  }

  /** Null when it was there before, or the run is no longer this attempt's. */
  async #insert({
    effectId,
    call,
    sealedKey,
    attempt,
    hands,
  }: EffectRequest & { sealedKey: string | null }): Promise<StoredState | null> {
    const { timeout } = call;
    if (call.kind === 'effect') hands.take(effectId);
    const [made] = await this.#db.prepared<{ now_ms: number; left_ms: number | null }>(INSERT, [
      effectId,
      call.kind,
      ...identityOf(call, attempt),
      call.site,
      call.argsHash,
      call.kind === 'effect' ? 'started' : 'waiting',
      attempt.run_id,
      attempt.fencing_token,
      call.node,
      call.checkpointId,
      timeout && 'ms' in timeout ? timeout.ms : null,
      timeout && 'until' in timeout ? timeout.until : null,
      sealedKey,
    ]);
    // Of an event: it may have been told before.
    if (!made || call.kind === 'event') return null;
    if (call.kind === 'sleep') return { is: 'waiting', effectId, asked: 0, leftMs: made.left_ms, busy: false };
    const turn = { effectId, attempt: 1, idempotencyKey: effectId, ageMs: 0, nowMs: made.now_ms };
    return { is: 'yours', effectId, asked: 0, turn };
  }

  /** Throws FencedError when another attempt has taken it over. */
  async done(turn: EffectTurn, result: Uint8Array): Promise<void> {
    await this.#db.requireReadable();
    await this.#end(turn, 'done', {
      change: 'result = $4, error = null, ended_at = now(), wake_at = null',
      value: result,
    });
  }

  /** @param owner The thread that it goes with; of scope `global` none. */
  async failed(turn: EffectTurn, failure: EffectFailure, retryMs: number | null, owner: string): Promise<void> {
    const cells = await this.#db.cells(owner);
    const value = await cells.json(['effect.error', turn.effectId], failure, failure.final ? { final: true } : {});
    if (retryMs === null) {
      await this.#end(turn, 'failed', { change: 'error = $4, ended_at = now(), wake_at = null', value });
    } else {
      const wakeAt = `now() + ${Math.ceil(retryMs)} * interval '1 millisecond'`;
      await this.#end(turn, 'waiting', { change: `error = $4, wake_at = ${wakeAt}`, value });
    }
  }

  /** Failures are forgotten with the execution of the node that they made fail: the next one tries again. */
  async forgetFailures(attempt: AttemptRef, effectIds: string[]): Promise<void> {
    await this.#db.query(
      `update baton.effects set status = 'waiting', wake_at = now(), ended_at = null
       where effect_id = any($1::uuid[]) and status = 'failed' and fencing_token <= $2 and error->>'final' is null`,
      [effectIds, attempt.fencing_token],
    );
  }

  /** What was done in this thread at the same site, at other places: in other branches, or earlier in this one. */
  async elsewhere(attempt: AttemptRef, asked: EffectCall): Promise<DoneElsewhere[]> {
    const { call } = await this.#sealed(asked, attempt, '');
    const plain = this.#db.sealing?.readsPlain ? asked : call;
    return this.#db.query(
      `select effect_id, coalesce(args_hash, '') in ($7, $8) same_args, checkpoint_id, reused_from, led_to, place = $5 is_here
       from baton.effects
       where thread_id = $1 and name = $2 and key in ($3, $6) and scope = 'step' and site = $4 and (status = 'done' or place = $5)
       order by started_at, effect_id`,
      [
        attempt.thread_id,
        call.name,
        call.key,
        call.site,
        call.place,
        plain.key,
        call.argsHash ?? '',
        plain.argsHash ?? '',
      ],
    );
  }

  /** The checkpoints at which effects of a thread were done, and those that they are said to have led to. */
  async checkpoints(threadId: string): Promise<{ checkpoint_id: string; led_to: string | null }[]> {
    return this.#db.query(
      `select distinct checkpoint_id, led_to from baton.effects
       where thread_id = $1 and scope = 'step' and checkpoint_id is not null`,
      [threadId],
    );
  }

  /** Notes, for effects at checkpoints that go, which later ones of their branch are left. */
  async noteBranches(threadId: string, notes: readonly BranchNote[]): Promise<void> {
    await this.#db.query(
      `update baton.effects e set led_to = note.led_to
       from unnest($2::text[], $3::text[], $4::text[]) note(checkpoint_id, was, led_to)
       where e.thread_id = $1 and e.scope = 'step' and e.checkpoint_id = note.checkpoint_id
         and e.led_to is not distinct from note.was`,
      [
        threadId,
        notes.map(({ checkpoint_id }) => checkpoint_id),
        notes.map(({ led_to }) => led_to),
        notes.map(({ left }) => left),
      ],
    );
  }

  /** Records that an effect was done as another one: its result is the other's. */
  async adopt(attempt: AttemptRef, call: EffectCall, from: string): Promise<void> {
    const effectId = uuidv7();
    const { sealedKey } = await this.#sealed(call, attempt, effectId);
    await this.#db.query(
      `insert into baton.effects (effect_id, kind, scope, thread_id, place, name, key, site, args_hash, status, attempts, run_id,
         by_thread_id, fencing_token, node, checkpoint_id, idempotency_key, result, reused_from, sealed_key, ended_at)
       select $1::uuid, e.kind, e.scope, r.thread_id, $2::text, e.name, e.key, e.site, e.args_hash, e.status, 0, r.run_id, r.thread_id,
         r.fencing_token, $3::text, $4::text, e.idempotency_key, e.result, coalesce(e.reused_from, e.effect_id), $8::text, now()
       from baton.effects e, baton.runs r
       where e.effect_id = $5 and r.run_id = $6 and r.fencing_token = $7 and r.status = 'running' on conflict do nothing`,
      [effectId, call.place, call.node, call.checkpointId, from, attempt.run_id, attempt.fencing_token, sealedKey],
    );
  }

  /** Notes that a person is about to be asked in that step whether it happened. */
  async asking(turn: EffectTurn, place: string): Promise<void> {
    await this.#db.query(
      `update baton.effects set asked_in = $3,
         asks = case when asked_in = $3 then asks + 1 else 1 end, answers = case when asked_in = $3 then answers else 0 end
       where effect_id = $1 and attempts = $2`,
      [turn.effectId, turn.attempt, place],
    );
  }

  /** The effects of a thread, the oldest first. Throws NotFoundError. */
  async list(threadId: string, page: { limit: number; offset: number }): Promise<Effect[]> {
    await this.#requireThread(threadId);
    const rows = await this.#db.query<Effect & { shown_key: string | null }>(
      `select effect_id, kind, name, scope, case when starts_with(key, '${COUNTED_KEY}') then null else key end key, sealed_key shown_key, status, attempts, idempotency_key, node, run_id, checkpoint_id, error, wake_at,
         started_at, ended_at, extract(epoch from ended_at - started_at)::float8 * 1000 duration_ms, reused_from
       from baton.effects where by_thread_id = $1 order by started_at, effect_id limit $2 offset $3`,
      [threadId, page.limit, page.offset],
    );
    return rows.map(({ shown_key, ...effect }) => Object.assign(effect, { key: shown_key ?? effect.key }));
  }

  /** Ends the sleeps of a thread early, or those of one name. Returns how many. Throws NotFoundError. */
  async wake(threadId: string, name: string | null): Promise<number> {
    return this.#db.transaction(async (tx) => {
      if (!(await lockThread(tx, threadId, this.#access))) throw new NotFoundError('Thread', threadId);
      const woken = await tx.query(
        `update baton.effects set wake_at = now() where by_thread_id = $1 and status = 'waiting' and kind <> 'event'
           and wake_at > now() and ($2::text is null or name = $2)
         returning pg_notify('${CHANNELS.effects}', effect_id::text)`,
        [threadId, name],
      );
      if (woken.length > 0) await rouse(tx, threadId);
      return woken.length;
    });
  }

  /**
   * Tells a thread something; a node that waits for it, now or later, gets it. False when that event was told before.
   * Throws NotFoundError.
   */
  async tell(threadId: string, event: { name: string; payload: Json; event_id: string | null }): Promise<boolean> {
    await this.#requireThread(threadId);
    const cells = await this.#db.cells(threadId);
    const payload = await cells.json(['told.payload', `${threadId} ${event.name}`], event.payload);
    const eventId = event.event_id && cells.name('told', event.event_id);
    const plainId = this.#db.sealing?.readsPlain ? event.event_id : null;
    return this.#db.transaction(async (tx) => {
      if (!(await lockThread(tx, threadId, this.#access))) throw new NotFoundError('Thread', threadId);
      const told = await tx.query(
        `insert into baton.thread_events (thread_id, name, payload, event_id) select $1::uuid, $2, $3::json, $4::text
         where not exists (select from baton.thread_events where thread_id = $1 and event_id = $5)
         on conflict (thread_id, event_id) do nothing returning 1`,
        [threadId, event.name, payload, eventId, plainId],
      );
      const waiting = await tx.query(
        `select pg_notify('${CHANNELS.effects}', effect_id::text) from baton.effects
         where by_thread_id = $1 and kind = 'event' and name = $2 and status = 'waiting'`,
        [threadId, event.name],
      );
      if (told.length > 0 && waiting.length > 0) await rouse(tx, threadId);
      return told.length > 0;
    });
  }

  /** The call as the ledger knows it: its key and the hash of its arguments by names that tell nobody what they are. */
  async #sealed(call: EffectCall, attempt: AttemptRef, effectId: string): Promise<SealedCall> {
    await this.#db.requireReadable();
    if (this.#db.sealing === null) return { call, sealedKey: null };
    if (this.#db.sealing.readsPlain && (await this.#isPlain(call, attempt))) return { call, sealedKey: null };
    const cells = await this.#db.cells(call.scope === 'global' ? OF_NO_THREAD : attempt.thread_id);
    const argsHash = call.argsHash && cells.name('effect arguments', call.argsHash);
    if (call.key.startsWith(COUNTED_KEY)) return { call: { ...call, argsHash }, sealedKey: null };
    return {
      call: { ...call, argsHash, key: cells.name('effect key', call.key) },
      sealedKey: await cells.text(['effect.shown_key', effectId], call.key),
    };
  }

  /** Whether it was recorded before the server sealed what it keeps. */
  async #isPlain(call: EffectCall, attempt: AttemptRef): Promise<boolean> {
    const row = await findEffect(this.#db, { call, attempt });
    return row !== undefined && (!call.key.startsWith(COUNTED_KEY) || row.args_hash === call.argsHash);
  }

  async #requireThread(threadId: string): Promise<void> {
    const rows = await this.#db.query('select 1 from baton.threads where thread_id = $1 and metadata @> $2', [
      threadId,
      this.#access.contains,
    ]);
    if (rows.length === 0) throw new NotFoundError('Thread', threadId);
  }

  /** The turn's number guards it: whoever took it over has a higher one. Said twice, it is the same. */
  async #end(
    { effectId, attempt }: EffectTurn,
    status: EffectStatus,
    { change, value }: { change: string; value: unknown },
  ): Promise<void> {
    const ended = await this.#db.query(
      `update baton.effects set status = $3::text, ${change} where effect_id = $1 and attempts = $2 and status in ('started', $3::text)
       returning pg_notify('${CHANNELS.effects}', effect_id::text)`,
      [effectId, attempt, status, value],
    );
    if (ended.length === 0) throw new FencedError(`of effect ${effectId}`);
  }
}

/** Under the thread's row lock, as a run is parked: one of the two sees the other. */
async function rouse(tx: Queryable, threadId: string): Promise<void> {
  await tx.query(
    `with roused as (
       update baton.runs set available_at = least(available_at, now()), updated_at = now()
       where thread_id = $1 and status = 'pending' and waits_for is not null returning 1
     ) select pg_notify('${CHANNELS.runs}', '') from roused`,
    [threadId],
  );
}

const INSERT = `
  insert into baton.effects (effect_id, kind, scope, thread_id, place, name, key, site, args_hash, status, run_id, by_thread_id,
    fencing_token, node, checkpoint_id, wake_at, idempotency_key, sealed_key)
  select $1::uuid, $2::text, $3::text, $4::uuid, $5::text, $6::text, $7::text, $8::text, $9::text, $10::text, run_id, thread_id,
    fencing_token, $13::text, $14::text, coalesce($16::timestamptz, now() + $15::float8 * interval '1 millisecond'), $1::uuid::text, $17::text
  from baton.runs where run_id = $11::uuid and fencing_token = $12::bigint and status = 'running'
  on conflict do nothing
  returning extract(epoch from now())::float8 * 1000 now_ms, extract(epoch from wake_at - now())::float8 * 1000 left_ms`;
