/** The NOTIFY channels of the control plane. They carry hints only: every listener can do without any of them. */
export const CHANNELS = {
  /** A run may be claimable. No payload. */
  runs: 'baton_runs',
  /** A running run is to be stopped. Payload: run id. */
  cancel: 'baton_cancel',
  /** A run's log grew, ended, or went with its run. Payload: run id. */
  events: 'baton_events',
} as const;
