import type { Logger } from 'pino';
import { backoffMs } from '../../core/backoff.ts';
import { messageOf } from '../../core/errors.ts';
import { CHANNELS } from '../../database/channels.ts';
import type { Listener } from '../../database/listener.ts';
import type { ClaimedDelivery, WebhookDeliveries } from '../../database/webhook-deliveries.ts';
import { ForbiddenAddressError, postWebhook } from './post-webhook.ts';
import type { ResolveHost } from './resolve-host.ts';
import { sign } from './signature.ts';
import type { WebhookPolicy } from './webhook-policy.ts';

const CONCURRENCY = 20;
const PER_HOST = 4;
/** Ten tries take most of a day. */
const BACKOFF = { firstMs: 5000, factor: 4, maxMs: 6 * 3_600_000 };
/** An attempt that has not been heard of for so much longer than it may take was lost with its process. */
const GRACE_MS = 15_000;
const GONE = 410;

export type AttemptEnd = 'delivered' | 'failed' | 'dead';

/** Is told what becomes of attempts on this process. Must neither throw nor take long. */
export interface WebhookObserver {
  webhookAttempted(end: AttemptEnd): void;
}

export interface WebhookSenderParts {
  deliveries: WebhookDeliveries;
  listener: Pick<Listener, 'listen'>;
  policy: WebhookPolicy;
  resolve: ResolveHost;
  /** To the project's own app, for a webhook that is a path. */
  ownApp: (path: string, init: RequestInit) => Promise<Response>;
  settings: {
    /** Sent along; may hold secrets. */
    headers: Readonly<Record<string, string>>;
    /** What is signed with. */
    secrets: readonly string[];
    maxAttempts: number;
    timeoutMs: number;
  };
  /** The net under the notifications. */
  pollMs: number;
  userAgent: string;
  observer: WebhookObserver;
  log: Logger;
}

/**
 * Sends what is in the outbox, at least once. It has no part in runs: all that a slow or dead receiver holds up is one of
 * the few attempts that its host gets at a time.
 */
export class WebhookSender {
  readonly #parts: WebhookSenderParts;
  readonly #inHand = new Map<Promise<void>, string>();
  readonly #stopping = new AbortController();
  #unlisten = () => {};
  #timer: NodeJS.Timeout | null = null;
  #ticking: Promise<number> | null = null;
  #tickAgain = false;

  constructor(parts: WebhookSenderParts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    const { listener, pollMs } = this.#parts;
    this.#unlisten = await listener.listen(CHANNELS.webhooks, () => this.#wake());
    this.#timer = setInterval(() => this.#wake(), pollMs);
    this.#wake();
  }

  /** Begins as many attempts as there is room for. Returns how many. */
  async tick(): Promise<number> {
    this.#tickAgain = false;
    const before = this.#ticking ?? Promise.resolve(0);
    const ticking = before.then(() => this.#claim());
    this.#ticking = ticking;
    const claimed = await ticking;
    if (this.#ticking === ticking) this.#ticking = null;
    if (this.#tickAgain) this.#wake();
    return claimed;
  }

  /** Resolves when the attempts that are under way have ended. */
  async settled(): Promise<void> {
    await this.#ticking;
    await Promise.all(this.#inHand.keys());
  }

  /** Breaks off what is under way: somebody else sends it again, under the same id. */
  async stop(): Promise<void> {
    this.#unlisten();
    if (this.#timer) clearInterval(this.#timer);
    this.#stopping.abort(new Error('the sender stops'));
    await this.settled();
  }

  #wake(): void {
    if (this.#ticking) this.#tickAgain = true;
    else void this.tick();
  }

  async #claim(): Promise<number> {
    const { deliveries, settings, log } = this.#parts;
    const limit = CONCURRENCY - this.#inHand.size;
    if (limit <= 0 || this.#stopping.signal.aborted) return 0;
    try {
      const leaseMs = settings.timeoutMs + GRACE_MS;
      const claimed = await deliveries.claim({ limit, perHost: PER_HOST, busy: this.#busyHosts(), leaseMs });
      for (const delivery of claimed) this.#begin(delivery);
      return claimed.length;
    } catch (error) {
      log.warn({ err: error }, 'could not look for webhooks to send; will look again');
      return 0;
    }
  }

  #busyHosts(): Map<string, number> {
    const busy = new Map<string, number>();
    for (const host of this.#inHand.values()) busy.set(host, (busy.get(host) ?? 0) + 1);
    return busy;
  }

  #begin(delivery: ClaimedDelivery): void {
    const ended: Promise<void> = this.#attempt(delivery)
      .catch((error: unknown) =>
        this.#parts.log.warn(
          { err: error, delivery_id: delivery.delivery_id },
          'it could not be noted what became of a webhook; it will be sent again',
        ),
      )
      .finally(() => {
        this.#inHand.delete(ended);
        this.#wake();
      });
    this.#inHand.set(ended, delivery.host);
  }

  async #attempt(delivery: ClaimedDelivery): Promise<void> {
    const { deliveries, observer } = this.#parts;
    try {
      const status = await this.#send(delivery);
      if (status < 200 || status > 299) return await this.#fail(delivery, status, `the receiver answered ${status}`);
      await deliveries.delivered(delivery, status);
      observer.webhookAttempted('delivered');
    } catch (error) {
      if (this.#stopping.signal.aborted) return deliveries.release(delivery);
      await this.#fail(delivery, null, error);
    }
  }

  async #fail(delivery: ClaimedDelivery, status: number | null, reason: unknown): Promise<void> {
    const { deliveries, observer, settings, log } = this.#parts;
    const error = messageOf(reason);
    const isLast = status === GONE || reason instanceof ForbiddenAddressError || delivery.tries >= settings.maxAttempts;
    await deliveries.failed(delivery, { status, error }, isLast ? null : backoffMs(delivery.tries, BACKOFF));
    observer.webhookAttempted(isLast ? 'dead' : 'failed');
    const { delivery_id, run_id, attempts } = delivery;
    // Not the address: people put tokens into it.
    if (isLast) log.warn({ delivery_id, run_id, attempts, status, reason: error }, 'a webhook was given up');
  }

  /** Returns the status of the answer. */
  async #send(delivery: ClaimedDelivery): Promise<number> {
    // AbortSignal.timeout may be collected before it fires when only AbortSignal.any refers to it, and a receiver that
    // hangs would keep its place for ever: https://github.com/nodejs/node/issues/57736
    const late = new AbortController();
    const timeout = new DOMException('The operation was aborted due to timeout', 'TimeoutError');
    const timer = setTimeout(() => late.abort(timeout), this.#parts.settings.timeoutMs);
    try {
      return await this.#post(delivery, AbortSignal.any([late.signal, this.#stopping.signal]));
    } finally {
      clearTimeout(timer);
    }
  }

  async #post({ delivery_id, url, payload, attempts }: ClaimedDelivery, signal: AbortSignal): Promise<number> {
    const { policy, resolve, settings, userAgent } = this.#parts;
    const now = new Date();
    const body = `${payload.slice(0, payload.lastIndexOf('}'))},"webhook_sent_at":"${now.toISOString()}"}`;
    const headers = {
      'content-type': 'application/json',
      'user-agent': userAgent,
      'x-baton-delivery': delivery_id,
      'x-baton-attempt': String(attempts),
      ...(settings.secrets.length > 0 && { 'x-baton-signature': sign(body, settings.secrets, now) }),
    };
    if (url.startsWith('/'))
      return this.#sendWithin(url, { body, headers: { ...settings.headers, ...headers }, signal });
    return postWebhook({ url, body, headers, secretHeaders: settings.headers, policy, resolve, signal });
  }

  async #sendWithin(path: string, init: RequestInit): Promise<number> {
    const { policy, ownApp } = this.#parts;
    policy.check(path);
    const answer = await ownApp(path, { ...init, method: 'POST' });
    await answer.body?.cancel();
    return answer.status;
  }
}
