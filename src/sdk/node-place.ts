import { getConfig } from '@langchain/langgraph';
import { NODE_EXECUTION_KEY, type NodeExecution } from '../core/effect.ts';

/** Where in a graph's run the code that is executed belongs. */
export interface NodePlace {
  /** The same when the node is executed again, after a crash too; differs in every branch of the thread. */
  at: string;
  /** The same in every branch. */
  site: string;
  node: string;
  /** The root graph's checkpoint that the step began from. */
  checkpointId: string | null;
  execution: NodeExecution | null;
  checkpointer: object | null;
  /** LangGraph's own notes of this execution. */
  scratchpad: object | null;
  nodeAttempt: number;
  signal: AbortSignal | undefined;
}

/** Code that no graph executes. */
export const OUTSIDE: NodePlace = {
  at: '',
  site: '',
  node: '',
  checkpointId: null,
  execution: null,
  checkpointer: null,
  scratchpad: null,
  nodeAttempt: 1,
  signal: undefined,
};

interface PlaceConfig {
  configurable?: {
    checkpoint_ns?: string;
    checkpoint_id?: string;
    checkpoint_map?: Record<string, string>;
    __pregel_checkpointer?: object;
    __pregel_scratchpad?: object;
    [NODE_EXECUTION_KEY]?: NodeExecution;
  };
  metadata?: { langgraph_step?: number; langgraph_path?: unknown[]; langgraph_node?: string };
  executionInfo?: { nodeAttempt?: number };
  signal?: AbortSignal;
}

/**
 * The ids of tasks inside a subgraph cannot be had for it: a subgraph without a checkpointer gets new ones each time. The
 * names on the way down, the subgraph's step and its task's path are the same.
 * @returns null outside of a graph.
 */
export function nodePlace(): NodePlace | null {
  const config = getConfig() as PlaceConfig | undefined;
  const { configurable = {}, metadata = {} } = config ?? {};
  if (!configurable.checkpoint_ns) return null;
  return {
    ...addressOf(configurable.checkpoint_ns, metadata),
    checkpointId: configurable.checkpoint_map?.[''] ?? configurable.checkpoint_id ?? null,
    execution: configurable[NODE_EXECUTION_KEY] ?? null,
    checkpointer: configurable.__pregel_checkpointer ?? null,
    scratchpad: configurable.__pregel_scratchpad ?? null,
    nodeAttempt: config?.executionInfo?.nodeAttempt ?? 1,
    signal: config?.signal,
  };
}

/** `namespace`: `node:task`, then the same for each subgraph on the way, and a number where it is not the first of its node. */
function addressOf(
  namespace: string,
  { langgraph_node, langgraph_path, langgraph_step }: NonNullable<PlaceConfig['metadata']>,
): Pick<NodePlace, 'at' | 'site' | 'node'> {
  const [root = '', ...inner] = namespace.split('|');
  const [rootNode = '', rootTask = ''] = root.split(':');
  const names = inner.map((part) => part.split(':')[0]);
  const path = JSON.stringify(langgraph_path ?? []);
  const within = names.length > 0 ? `|${names.join('|')}@${langgraph_step}${path}` : '';
  return { at: rootTask + within, site: rootNode + (within || path), node: langgraph_node ?? rootNode };
}
