export const DELIVERY_STATUSES = ['pending', 'delivered', 'dead'] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

/** What somebody outside is to be told of the end of a run: one for each run that named a webhook. Field names are the wire's. */
export interface WebhookDelivery {
  /** The same at every attempt: receivers tell by it what they have had already. */
  delivery_id: string;
  run_id: string;
  thread_id: string;
  /** An address, or a path of the project's own app. */
  url: string;
  status: DeliveryStatus;
  attempts: number;
  /** Null when there will be none. */
  next_attempt_at: string | null;
  /** What the receiver answered to the latest attempt; null when it did not. */
  last_status: number | null;
  /** Why the latest attempt was none, or none that counts. */
  last_error: string | null;
  created_at: string;
  delivered_at: string | null;
  dead_at: string | null;
}

/** Where webhooks may lead. */
export interface WebhookRules {
  enabled: boolean;
  /** Whether a path stands for the project's own app. */
  ownPaths: boolean;
  /** Host names, or `*.domain` for all below one; null: any. */
  domains: readonly string[] | null;
  /** Null: any. */
  ports: readonly number[] | null;
  httpsOnly: boolean;
  maxUrlChars: number;
  /** Networks (`10.1.0.0/16`) that may be reached although they are not public. */
  networks: readonly string[];
}
