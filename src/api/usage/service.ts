import type { Guarded } from '../../core/access.ts';
import type { Caller } from '../../core/caller.ts';
import { NotFoundError } from '../../core/errors.ts';
import type { UsageReport } from '../../core/usage.ts';
import type { Threads } from '../../database/threads.ts';
import type { Usages } from '../../database/usages.ts';
import type { GraphRegistry } from '../../engine/graphs/registry.ts';
import type { RunService } from '../runs/service.ts';

interface UsageServiceParts {
  usages: Guarded<Usages>;
  threads: Guarded<Threads>;
  runs: Pick<RunService, 'find'>;
  graphs: Pick<GraphRegistry, 'source'>;
}

/** What runs used, as far as the caller may see them. */
export class UsageService {
  readonly #parts: UsageServiceParts;
  constructor(parts: UsageServiceParts) {
    this.#parts = parts;
  }

  /** Throws NotFoundError. */
  async ofRun(caller: Caller, runId: string): Promise<UsageReport> {
    const { run_id, thread_id } = await this.#parts.runs.find(caller, runId);
    return this.#parts.usages.within(await caller.may('threads:read', { thread_id })).report({ thread_id, run_id });
  }

  /** Of all its runs, also of those that were undone or deleted. Throws NotFoundError. */
  async ofThread(caller: Caller, threadId: string): Promise<UsageReport> {
    const access = await caller.may('threads:read', { thread_id: threadId });
    if (!(await this.#parts.threads.within(access).get(threadId))) throw new NotFoundError('Thread', threadId);
    return this.#parts.usages.within(access).report({ thread_id: threadId });
  }

  /** On the threads that there are. Throws NotFoundError for an unknown graph. */
  async ofGraph(caller: Caller, graphId: string): Promise<UsageReport> {
    const access = await caller.may('threads:read', {});
    const { graphs, usages } = this.#parts;
    graphs.source(graphId);
    return usages.within(access).report({ graph_id: graphId });
  }
}
