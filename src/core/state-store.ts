import { ConflictError } from './errors.ts';

/**
 * The store of threads whose graph has none of its own, as a thread's row names it. Other stores have the name of the
 * graph whose `state` in langgraph.json says where they are. A row that names none is of a thread that has no state yet.
 */
export const DEFAULT_STORE = '';

/** The setting that says where a store is. */
export function storeSetting(name: string): string {
  return name === DEFAULT_STORE ? 'STATE_URL' : `baton.graphs.${name}.state of langgraph.json`;
}

/** For people. */
export function storeName(name: string): string {
  return name === DEFAULT_STORE
    ? 'the default store (STATE_URL)'
    : `the store of graph "${name}" (baton.graphs.${name}.state in langgraph.json)`;
}

/** Where a thread is kept is settled when it gets its first state; a graph that is kept elsewhere cannot go on with it. */
export class OtherStoreError extends ConflictError {
  constructor(threadId: string, kept: string, wanted: string) {
    const lost = kept === DEFAULT_STORE ? '' : `, or set baton.graphs.${kept}.state again if it was taken away`;
    super(
      `Thread ${threadId} is kept in ${storeName(kept)}, and what was asked for belongs into ${storeName(wanted)}: use a new thread, or move this one there with "baton state copy"${lost}`,
    );
  }
}
