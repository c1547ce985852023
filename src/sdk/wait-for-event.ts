import { interrupt } from '@langchain/langgraph';
import { type Duration, timeoutOf } from '../core/duration.ts';
import type { Json } from '../core/json.ts';
import { openLedger } from './ledger-use.ts';

export interface ReceivedEvent<T> {
  payload: T;
  /** ISO 8601. */
  received_at: string;
}

/**
 * Waits until somebody tells the thread (`POST /threads/:id/events`); what was told before counts, in the order in which it
 * came. Null: the time was over. The run costs a row and no worker meanwhile. Without a Baton server it is an interrupt,
 * and the answer is the payload.
 *
 * Do not catch what it throws: like an interrupt, it leaves the node that way and comes back.
 */
export async function waitForEvent<T = Json>(
  name: string,
  { timeout }: { timeout?: Duration | Date } = {},
): Promise<ReceivedEvent<T> | null> {
  const { ledger, call, isServed } = openLedger('event', name, {
    timeout: timeout === undefined ? null : timeoutOf(timeout),
  });
  if (!isServed) return { payload: interrupt({ type: 'event', name }) as T, received_at: new Date().toISOString() };
  for (;;) {
    const state = await ledger.come(call);
    if (state.is === 'done') return state.result as ReceivedEvent<T> | null;
    if (state.is === 'waiting') await ledger.wait(state, call);
  }
}
