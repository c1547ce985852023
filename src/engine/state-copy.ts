import { messageOf, NotFoundError, ServiceError } from '../core/errors.ts';
import { isUuid, nameUuid, systemAssistantId } from '../core/ids.ts';
import type { ThreadPlace, Threads } from '../database/threads.ts';
import { copyHistory } from '../state/copy-history.ts';
import type { StateSaver } from '../state/state-saver.ts';
import type { StateStores } from '../state/state-stores.ts';
import type { ThreadStates } from './thread-state.ts';

export interface StateCopyParts {
  from: StateSaver;
  to: StateSaver;
  threads: Threads;
  states: Pick<ThreadStates, 'show'>;
  stores: Pick<StateStores, 'of' | 'namesFor'>;
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
 * Copies threads from one store to another, each as a whole, and verifies what it copied. The source is only read. A thread
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
      const { checkpoints, added, bytes } = request.dryRun
        ? await this.#sizes(threadId)
        : await this.#copy(threadId, toThreadId, place, request.graphId);
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
    const { checkpoints, values, writes } = await this.#parts.from.storage(threadId);
    return { checkpoints: checkpoints.count, added: 0, bytes: checkpoints.bytes + values.bytes + writes.bytes };
  }

  async #copy(threadId: string, toThreadId: string, place: ThreadPlace | null, graphId: string | undefined) {
    const { from, to } = this.#parts;
    const before = await from.latest(threadId);
    if (before === undefined) throw new NotFoundError('State of thread', threadId);
    const copied = await copyHistory({ from, to, threadId, toThreadId });
    if (place !== null) await this.#point(toThreadId, place);
    else if (graphId !== undefined) await this.#take(threadId, toThreadId, graphId);
    const after = await from.latest(threadId);
    if (after?.checkpoint_id !== before.checkpoint_id || after.pending_writes !== before.pending_writes) {
      throw changed();
    }
    return copied;
  }

  /** The thread goes on in the target, if that is where its graph's threads belong. Not when anything happened to it since. */
  async #point(threadId: string, place: ThreadPlace): Promise<void> {
    const { threads, stores, to } = this.#parts;
    if (place.graph_id === null) return;
    const names = stores.namesFor(place.graph_id);
    const [name] = names;
    if (stores.of(name) !== to || names.includes(place.state_store ?? name)) return;
    if (!(await threads.point(threadId, place, name))) throw changed();
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

function changed(): ServiceError {
  return new ServiceError('busy', 'it changed while it was copied: copy again');
}
