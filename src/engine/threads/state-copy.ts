import { ConflictError, messageOf, NotFoundError, ServiceError } from '../../core/errors.ts';
import { storeName } from '../../core/state-store.ts';
import { isUuid, nameUuid, systemAssistantId } from '../../core/ids.ts';
import type { ThreadPlace, Threads } from '../../database/threads.ts';
import { type CopiedHistory, copyHistory } from '../../state/copy/copy-history.ts';
import type { LatestCheckpoint, StateSaver } from '../../state/state-saver.ts';
import type { StateStores } from '../../state/state-stores.ts';
import type { ThreadStates } from './thread-state.ts';

export interface StateCopyParts {
  from: StateSaver;
  to: StateSaver;
  threads: Threads;
  states: Pick<ThreadStates, 'show'>;
  stores: Pick<StateStores, 'of' | 'find' | 'namesFor'>;
  /** A line for a person. */
  tell: (line: string) => void;
}

export interface StateCopyRequest {
  /** Only these. */
  threads?: readonly string[] | undefined;
  /** Only the threads of this graph; those that the control plane does not know are made threads of it. */
  graphId?: string | undefined;
  dryRun: boolean;
}

export interface StateCopySum {
  threads: number;
  checkpoints: number;
  /** Of these, how many were new there. */
  added: number;
  bytes: number;
  /** Threads that were left, each told of with the reason. */
  left: number;
}

const PAGE = 100;

/**
 * Copies threads from one store to another, each as a whole, and verifies what it copied. The source keeps all it has. A thread
 * that is busy, or changes meanwhile, is left and told of: the same again will find it at rest.
 */
export class StateCopy {
  readonly #parts: StateCopyParts;
  constructor(parts: StateCopyParts) {
    this.#parts = parts;
  }

  async run(request: StateCopyRequest): Promise<StateCopySum> {
    const sum: StateCopySum = { threads: 0, checkpoints: 0, added: 0, bytes: 0, left: 0 };
    for await (const page of this.#pages(request.threads)) {
      const before = { ...sum };
      for (const threadId of page) await this.#one(threadId, request, sum);
      const did = request.dryRun ? 'would be copied' : 'copied and verified';
      this.#parts.tell(
        `${page.at(0)} … ${page.at(-1)}: ${sum.threads - before.threads} of ${page.length} threads ${did}, ${sum.checkpoints - before.checkpoints} checkpoints (${sum.added - before.added} new), ${sum.bytes - before.bytes} bytes`,
      );
    }
    return sum;
  }

  async *#pages(named: readonly string[] | undefined): AsyncGenerator<readonly string[]> {
    if (named !== undefined) return yield named;
    let after: string | undefined;
    for (;;) {
      const page = await this.#parts.from.threads(PAGE, after);
      if (page.length > 0) yield page;
      if (page.length < PAGE) return;
      after = page.at(-1);
    }
  }

  async #one(threadId: string, request: StateCopyRequest, sum: StateCopySum): Promise<void> {
    const { threads, tell } = this.#parts;
    const toThreadId = request.graphId === undefined || isUuid(threadId) ? threadId : nameUuid(threadId);
    try {
      const place = isUuid(toThreadId) ? await threads.place(toThreadId) : null;
      if (place && request.graphId !== undefined && place.graph_id !== request.graphId) return;
      if (place?.busy) throw new ServiceError('busy', 'it is busy with a run: wait for its end, then copy again');
      if (place) this.#requireKeptHere(place);
      const { checkpoints, added, bytes } = request.dryRun
        ? await this.#sizes(threadId)
        : await this.#copyUnlessDeleted(threadId, toThreadId, place, request.graphId);
      sum.threads += 1;
      sum.checkpoints += checkpoints;
      sum.added += added;
      sum.bytes += bytes;
    } catch (error) {
      if (!(error instanceof ServiceError) || error.code === 'unavailable') throw error;
      sum.left += 1;
      tell(`left ${threadId}: ${messageOf(error)}`);
    }
  }

  async #sizes(threadId: string): Promise<{ checkpoints: number; added: number; bytes: number }> {
    const { checkpoints, values, writes, blobs } = await this.#parts.from.storage(threadId);
    const bytes = checkpoints.bytes + values.bytes + writes.bytes + blobs.values.bytes;
    return { checkpoints: checkpoints.count, added: 0, bytes };
  }

  /** What else a store has of a thread is what it was once: it was moved away since, or copied there. */
  #requireKeptHere({ state_store }: ThreadPlace): void {
    const { from, to, stores } = this.#parts;
    if (state_store === null) return;
    const kept = stores.find(state_store);
    if (kept === undefined || kept === from || kept === to) return;
    throw new ConflictError(
      `it is kept in ${storeName(state_store)}, which --from is not: leave --from out, or give that address as it is written there`,
    );
  }

  /** Of a thread that is deleted meanwhile, no copy stays. */
  async #copyUnlessDeleted(
    threadId: string,
    toThreadId: string,
    place: ThreadPlace | null,
    graphId: string | undefined,
  ): Promise<CopiedHistory> {
    const { to, threads } = this.#parts;
    const [copy] = await Promise.allSettled([this.#copy(threadId, toThreadId, place, graphId)]);
    if (place !== null && (await threads.place(toThreadId)) === null) {
      await to.deleteThread(toThreadId);
      throw new ConflictError('it was deleted while it was copied, and its copy with it');
    }
    if (copy.status === 'rejected') throw copy.reason;
    return copy.value;
  }

  async #copy(
    threadId: string,
    toThreadId: string,
    place: ThreadPlace | null,
    graphId: string | undefined,
  ): Promise<CopiedHistory> {
    const { from, to } = this.#parts;
    const before = await from.latest(threadId);
    if (before === undefined) throw new NotFoundError('State of thread', threadId);
    const copied = await copyHistory({ from, to, threadId, toThreadId });
    const requireSame = async (): Promise<void> => requireUnchanged(before, await from.latest(threadId));
    const store = place && this.#storeToGoOnIn(place);
    if (place !== null && store !== null) {
      await this.#move(toThreadId, { place, store, requireSame });
    } else {
      await requireSame();
      if (place === null && graphId !== undefined) await this.#take(threadId, toThreadId, graphId);
    }
    return copied;
  }

  /** Null: the thread stays where it is. It goes on in the target if that is where its graph's threads belong. */
  #storeToGoOnIn({ graph_id, state_store }: ThreadPlace): string | null {
    const { stores, to } = this.#parts;
    if (graph_id === null) return null;
    const names = stores.namesFor(graph_id);
    const [name] = names;
    return stores.of(name) !== to || names.includes(state_store ?? name) ? null : name;
  }

  /**
   * The thread goes on in the target, unless anything happened to it since. A change by hand that is under way shows
   * nowhere until it is stored: the fence refuses what it has yet to store, so all that it could say was done is compared.
   */
  async #move(
    threadId: string,
    { place, store, requireSame }: { place: ThreadPlace; store: string; requireSame: () => Promise<void> },
  ): Promise<void> {
    const { from, threads } = this.#parts;
    const done = await threads.whileIdle(threadId, async ({ at, state_store, token, keepIn }) => {
      if (at !== place.at || state_store !== place.state_store) throw changed();
      await from.fence(threadId, token);
      await requireSame();
      await keepIn(store);
    });
    if (done === 'busy' || done === null) throw changed();
  }

  /** A thread that Baton has not met yet: of this graph, and as its state shows it. */
  async #take(threadId: string, toThreadId: string, graphId: string): Promise<void> {
    const { threads, states } = this.#parts;
    const metadata = {
      graph_id: graphId,
      assistant_id: systemAssistantId(graphId),
      ...(toThreadId !== threadId && { thread_name: threadId }),
    };
    const thread = await threads.insert({ thread_id: toThreadId, metadata });
    if (thread !== null) await states.show(thread, graphId);
  }
}

function requireUnchanged(before: LatestCheckpoint, after: LatestCheckpoint | undefined): void {
  if (after?.checkpoint_id !== before.checkpoint_id || after.pending_writes !== before.pending_writes) throw changed();
}

function changed(): ServiceError {
  return new ServiceError('busy', 'it changed while it was copied: copy again');
}
