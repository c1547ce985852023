import { type Duration, timeoutOf } from '../core/duration.ts';
import { openLedger } from './ledger-use.ts';

/**
 * Waits until the time is over, counted by the database's clock from the first time that the node came here; a `Date` is judged by it, too. A short wait
 * is made in place; a long one costs a row and no worker, and outlives restarts and deployments.
 *
 *     await sleep('credit-api-cooldown', '2h');
 *
 * Do not catch what it throws: like an interrupt, it leaves the node that way and comes back.
 */
export async function sleep(name: string, duration: Duration | Date): Promise<void> {
  const { ledger, call } = openLedger('sleep', name, { timeout: timeoutOf(duration) });
  for (;;) {
    const state = await ledger.come(call);
    if (state.is !== 'waiting') return;
    await ledger.wait(state, call);
  }
}
