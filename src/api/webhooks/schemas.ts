import { z } from 'zod';
import { DELIVERY_STATUSES } from '../../core/webhook.ts';
import { jsonObject, queryPage, uuid } from '../../http/fields.ts';

const fields = {
  delivery_id: z.string(),
  run_id: z.string(),
  thread_id: z.string(),
  url: z.string(),
  status: z.enum(DELIVERY_STATUSES),
  attempts: z.int(),
  next_attempt_at: z.string().nullable(),
  last_status: z.int().nullable().describe('What the receiver answered to the latest attempt'),
  last_error: z.string().nullable(),
  created_at: z.string(),
  delivered_at: z.string().nullable(),
  dead_at: z.string().nullable(),
};
export const delivery = z.object(fields).meta({ title: 'WebhookDelivery' });
export const deliveryList = z.array(delivery);
export const deliveryWithPayload = z.object({ ...fields, payload: jsonObject });

export const deliveryPath = z.object({ delivery_id: uuid });
export const listQuery = z.strictObject({
  ...queryPage,
  status: z.enum(DELIVERY_STATUSES).optional(),
  run_id: uuid.optional(),
  thread_id: uuid.optional(),
});

export type ListQuery = z.output<typeof listQuery>;
