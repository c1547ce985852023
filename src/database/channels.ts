/** The NOTIFY channels of the control plane. They carry hints only: every listener can do without any of them. */
export const CHANNELS = {
  /** A run may be claimable. No payload. */
  runs: 'baton_runs',
  /** A running run is to be stopped. Payload: run id. */
  cancel: 'baton_cancel',
  /** A cron was made or changed. No payload. */
  crons: 'baton_crons',
  /**
   * A run's log grew, ended, or went with its run. Payload, with spaces between: thread id, run id, the highest number that
   * was added; the thread's alone when all went with it, no number when the log may be gone.
   */
  events: 'baton_events',
  /** A webhook is to be sent. No payload. */
  webhooks: 'baton_webhooks',
  /** An effect stands differently. Payload: effect id. */
  effects: 'baton_effects',
} as const;

/** SQL that tells the readers of a row's `run_id` and `thread_id`. `seq`: SQL of the highest number that was added. */
export const notifyEvents = (seq = 'null'): string =>
  `pg_notify('${CHANNELS.events}', concat_ws(' ', thread_id, run_id, ${seq}))`;
