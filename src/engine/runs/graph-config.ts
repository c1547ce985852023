import { withUser } from '../../core/caller.ts';
import { FENCING_TOKEN_KEY } from '../../core/fencing.ts';
import { READ_LATER_KEY } from '../../state/values/deferred-value.ts';
import type { Attempt } from './attempt.ts';
import { LANGGRAPH_VERSION } from './langgraph-version.ts';

/** What graphs and tracers read of the server, under the platform's names. The saver keeps none of it. */
const SERVER = { langgraph_version: LANGGRAPH_VERSION, langgraph_plan: 'developer', langgraph_host: 'self-hosted' };

/**
 * With what LangGraph executes a graph.
 * @param resumes An earlier attempt has applied the input.
 * @param later Channels whose values need not be read before a node looks at them.
 */
export function graphConfig(
  attempt: Attempt,
  resumes: boolean,
  later: ReadonlySet<string>,
): Record<string, unknown> & { runId: string } {
  const { run } = attempt;
  const { config, context, checkpoint, durability, interrupt_before, interrupt_after } = run.kwargs;
  const ids = { run_id: run.run_id, thread_id: run.thread_id, graph_id: run.graph_id, assistant_id: run.assistant_id };
  return {
    ...(config.tags && { tags: config.tags }),
    ...(config.recursion_limit !== undefined && { recursionLimit: config.recursion_limit }),
    context,
    ...(interrupt_before && { interruptBefore: interrupt_before }),
    ...(interrupt_after && { interruptAfter: interrupt_after }),
    // A resumed attempt goes on from its own last checkpoint, not again from the one that it forked.
    configurable: {
      ...withUser(run.kwargs.config.configurable, run.auth_user),
      ...(resumes ? {} : checkpoint),
      ...ids,
      [FENCING_TOKEN_KEY]: run.fencing_token,
      ...(later.size > 0 && { [READ_LATER_KEY]: later }),
    },
    metadata: { ...run.metadata, ...ids, run_attempt: run.attempt, ...SERVER },
    runId: run.run_id,
    signal: attempt.signal,
    control: attempt.control,
    // What `auto` leaves out, the saver leaves out.
    durability: durability === 'auto' ? 'sync' : durability,
  };
}
