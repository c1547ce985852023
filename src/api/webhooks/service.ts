import type { Guarded } from '../../core/access.ts';
import type { Caller } from '../../core/caller.ts';
import { NotFoundError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import type { WebhookDelivery } from '../../core/webhook.ts';
import type { WebhookDeliveries } from '../../database/webhook-deliveries.ts';
import type { ListQuery } from './schemas.ts';

/** What was told of runs, what is still to be told, and what could not be. */
export class WebhookService {
  readonly #deliveries: Guarded<WebhookDeliveries>;
  constructor(deliveries: Guarded<WebhookDeliveries>) {
    this.#deliveries = deliveries;
  }

  /** Newest first, and how many there are in all. */
  async list(
    caller: Caller,
    { limit, offset, ...filter }: ListQuery,
  ): Promise<{ deliveries: WebhookDelivery[]; total: number }> {
    const { status: _status, ...ids } = filter;
    const access = await caller.may('threads:search', { ...ids, metadata: {} });
    return this.#deliveries.within(access).list(filter, { limit, offset });
  }

  /** Throws NotFoundError. */
  async get(caller: Caller, deliveryId: string): Promise<WebhookDelivery & { payload: JsonObject }> {
    const access = await caller.may('threads:read', {});
    const found = await this.#deliveries.within(access).get(deliveryId);
    if (!found) throw new NotFoundError('Delivery', deliveryId);
    return { ...found, payload: JSON.parse(found.payload) as JsonObject };
  }

  /** Sends it once more, whatever became of it. Throws NotFoundError. */
  async resend(caller: Caller, deliveryId: string): Promise<WebhookDelivery> {
    const access = await caller.may('threads:update', { action: 'resend_webhook' });
    const found = await this.#deliveries.within(access).resend(deliveryId);
    if (!found) throw new NotFoundError('Delivery', deliveryId);
    return found;
  }
}
