import { Access, type Guarded } from '../core/access.ts';
import type { DeliveryStatus, WebhookDelivery } from '../core/webhook.ts';
import { OF_NO_THREAD } from '../core/data-key.ts';
import { ServiceError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { CHANNELS } from './channels.ts';
import type { Database } from './database.ts';
import { Filter } from './filter.ts';
import { NOTHING_IS_SEALED } from './sealing/plain-guard.ts';
import type { Sealing } from './sealing/sealing.ts';

const COLUMNS = `delivery_id, run_id, thread_id, url, status, attempts, next_attempt_at, last_status, last_error,
  created_at, delivered_at, dead_at`;

/** A delivery belongs to whom its thread belongs to, or did when its run ended. */
const OWNER = `coalesce((select t.metadata from baton.threads t where t.thread_id = d.thread_id), d.metadata)`;

/** Of how many due ones the next are chosen: hosts that take no more are not among them. */
const CANDIDATES = 1000;

/** Until one is tried again whose key cannot be had. */
const NO_KEY_MS = 30_000;

/** A delivery in the hands of a sender. `attempts` is also the fence: a later attempt makes what an earlier one says void. */
export interface ClaimedDelivery {
  delivery_id: string;
  run_id: string;
  url: string;
  host: string;
  /** A JSON object. */
  payload: string;
  attempts: number;
  /** Attempts since the run ended, or since somebody asked to send it again. */
  tries: number;
}
type AttemptRef = Pick<ClaimedDelivery, 'delivery_id' | 'attempts'>;

/** What came of an attempt: what the receiver answered, and what was wrong with it. */
export interface AttemptResult {
  status: number | null;
  error: string | null;
}

export interface DeliveryFilter {
  status?: DeliveryStatus | undefined;
  run_id?: string | undefined;
  thread_id?: string | undefined;
}

/** The outbox of webhooks. Rows come into it by themselves, in the very transaction that ends a run: see migration 0006. */
export class WebhookDeliveries implements Guarded<WebhookDeliveries> {
  readonly #db: Database;
  readonly #access: Access;
  constructor(database: Database, access = Access.everything) {
    this.#db = database;
    this.#access = access;
  }

  /** The same, as if there were no threads beyond the access, and nothing told of them. */
  within(access: Access): WebhookDeliveries {
    return new WebhookDeliveries(this.#db, access);
  }

  /**
   * Takes deliveries that are due, the oldest first, each for one attempt of at most `leaseMs`: after that it is due again.
   * `busy` says how many the caller has under way at which host; no host gets more than `perHost`.
   */
  async claim({
    limit,
    perHost,
    busy,
    leaseMs,
  }: {
    limit: number;
    perHost: number;
    busy: ReadonlyMap<string, number>;
    leaseMs: number;
  }): Promise<ClaimedDelivery[]> {
    await this.#db.requireReadable();
    const claimed = await this.#db.preparedAsStored<ClaimedDelivery>(CLAIM, [
      limit,
      perHost,
      [...busy.keys()],
      [...busy.values()],
      leaseMs,
      this.#db.sealing !== null,
    ]);
    return this.#db.sealing === null ? claimed : this.#openEach(this.#db.sealing, claimed);
  }

  /** The receiver has it. */
  async delivered({ delivery_id, attempts }: AttemptRef, status: number): Promise<void> {
    await this.#db.query(
      `update baton.webhook_deliveries set delivered_at = now(), next_attempt_at = null, last_status = $3, last_error = null
       where delivery_id = $1 and attempts = $2 and status = 'pending'`,
      [delivery_id, attempts, status],
    );
  }

  /** To be tried again after that time; null: never, until somebody asks for it. */
  async failed(
    { delivery_id, attempts }: AttemptRef,
    result: AttemptResult,
    againAfterMs: number | null,
  ): Promise<void> {
    await this.#db.query(
      `update baton.webhook_deliveries set last_status = $3, last_error = $4,
         next_attempt_at = now() + $5::float8 * interval '1 millisecond', dead_at = case when $5::float8 is null then now() end
       where delivery_id = $1 and attempts = $2 and status = 'pending'`,
      [delivery_id, attempts, result.status, await this.#sealed(delivery_id, result.error), againAfterMs],
    );
  }

  /** Hands an attempt back that was broken off from this side. It does not count. */
  async release({ delivery_id, attempts }: AttemptRef, { afterMs = 0 } = {}): Promise<void> {
    await this.#db.query(
      `with handed_back as (
         update baton.webhook_deliveries set next_attempt_at = now() + $3 * interval '1 millisecond', tries = tries - 1
         where delivery_id = $1 and attempts = $2 and status = 'pending' returning 1
       )
       select pg_notify('${CHANNELS.webhooks}', '') from handed_back`,
      [delivery_id, attempts, afterMs],
    );
  }

  /** Makes it due now, whatever became of it, with all its tries before it. Null when there is none. */
  async resend(deliveryId: string): Promise<WebhookDelivery | null> {
    const [row] = await this.#db.query<WebhookDelivery>(
      `with again as (
         update baton.webhook_deliveries d set next_attempt_at = now(), tries = 0, delivered_at = null, dead_at = null
         where delivery_id = $1 and ${OWNER} @> $2 returning ${COLUMNS}
       ), wake as (select pg_notify('${CHANNELS.webhooks}', ''))
       select again.* from again, wake`,
      [deliveryId, this.#access.contains],
    );
    return row ?? null;
  }

  /** With its payload, as JSON text. */
  async get(deliveryId: string): Promise<(WebhookDelivery & { payload: string }) | null> {
    const [row] = await this.#db.query<WebhookDelivery & { payload: string }>(
      `select ${COLUMNS}, payload from baton.webhook_deliveries d where delivery_id = $1 and ${OWNER} @> $2`,
      [deliveryId, this.#access.contains],
    );
    return row ?? null;
  }

  /** Newest first, and how many there are in all. Of one that cannot be opened `last_error` says why. */
  async list(
    filter: DeliveryFilter,
    { limit, offset }: { limit: number; offset: number },
  ): Promise<{ deliveries: WebhookDelivery[]; total: number }> {
    const conditions = new Filter()
      .andIf('status = ?', filter.status)
      .andIf('run_id = ?', filter.run_id)
      .andIf('thread_id = ?', filter.thread_id)
      .and(`${OWNER} @> ?`, this.#access.contains);
    const from = `from baton.webhook_deliveries d ${conditions.where}`;
    const [count] = await this.#db.query<{ n: number }>(`select count(*) n ${from}`, conditions.values);
    const deliveries = await this.#db.queryEach<WebhookDelivery>(
      `select ${COLUMNS} ${from} order by created_at desc, delivery_id
       limit ${conditions.param(limit)} offset ${conditions.param(offset)}`,
      conditions.values,
      (_, { message }) => ({ url: '', last_error: message }),
    );
    return { deliveries, total: count?.n ?? 0 };
  }

  async #sealed(deliveryId: string, error: string | null): Promise<string | null> {
    if (error === null) return null;
    return (await this.#db.cells(OF_NO_THREAD)).text(['delivery.last_error', deliveryId], error);
  }

  /** What was the thread's is null when it was deleted, with its key. One that cannot be read must not hold up the others. */
  async #openEach(sealing: Sealing, claimed: ClaimedDelivery[]): Promise<ClaimedDelivery[]> {
    const opened: ClaimedDelivery[] = [];
    for (const delivery of claimed) {
      const { payload, ...row } = delivery;
      try {
        await sealing.open([row]);
        const [told] = await sealing.open([JSON.parse(payload) as JsonObject], { shredded: true });
        opened.push({ ...row, payload: JSON.stringify(told) });
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        if (error.code !== 'unreadable_value') await this.release(delivery, { afterMs: NO_KEY_MS });
        else await this.failed(delivery, { status: null, error: error.message }, null);
      }
    }
    return opened;
  }

  /** How many wait to be delivered, and for how long the oldest has. */
  async backlog(): Promise<{ pending: number; oldest_seconds: number }> {
    const [row] = await this.#db.query<{ pending: number; oldest_seconds: number }>(
      `select count(*) pending, coalesce(extract(epoch from now() - min(created_at)), 0)::float8 oldest_seconds
       from baton.webhook_deliveries where status = 'pending'`,
    );
    return row ?? { pending: 0, oldest_seconds: 0 };
  }

  /** Removes up to `limit` that were delivered, or died, longer ago than that. Returns how many. */
  async sweep({ deliveredMs, deadMs, limit }: { deliveredMs: number; deadMs: number; limit: number }): Promise<number> {
    const gone = await this.#db.query(
      `delete from baton.webhook_deliveries where delivery_id in (
         select delivery_id from baton.webhook_deliveries
         where status <> 'pending' and coalesce(delivered_at, dead_at)
           < now() - case status when 'delivered' then $1::float8 else $2 end * interval '1 millisecond'
         order by coalesce(delivered_at, dead_at) limit $3 for update skip locked
       ) returning 1`,
      [deliveredMs, deadMs, limit],
    );
    return gone.length;
  }
}

/** $1: limit, $2: of one host, $3 and $4: hosts and how many they have, $5: milliseconds. */
const CLAIM = `
  with busy as (
    select * from unnest($3::text[], $4::integer[]) as b (host, n)
  ), due as (
    select delivery_id, host, next_attempt_at from baton.webhook_deliveries
    where status = 'pending' and next_attempt_at <= now() and host <> all (array(select host from busy where n >= $2))
    order by next_attempt_at limit ${CANDIDATES}
  ), ranked as (
    select delivery_id, next_attempt_at,
      row_number() over (partition by host order by next_attempt_at) + coalesce((select n from busy b where b.host = due.host), 0) place
    from due
  ), chosen as (
    select delivery_id from baton.webhook_deliveries
    where delivery_id in (select delivery_id from ranked where place <= $2 order by next_attempt_at limit $1)
      and status = 'pending' and next_attempt_at <= now()
    for update skip locked
  )
  update baton.webhook_deliveries d set attempts = attempts + 1, tries = tries + 1,
    next_attempt_at = now() + $5 * interval '1 millisecond'
  from chosen where d.delivery_id = chosen.delivery_id and ($6::boolean or ${NOTHING_IS_SEALED})
  returning d.delivery_id, run_id, url, host, payload, attempts, tries`;
