import { InvalidInputError, ServiceError } from '../../core/errors.ts';
import type { Json } from '../../core/json.ts';
import type { Run } from '../../core/run.ts';
import type { GraphRegistry, GraphUse } from '../../engine/graphs/registry.ts';
import type { RunCreate } from './schemas.ts';

/** LangGraph's own names for where a graph begins and ends. */
const BOUNDS = new Set(['__start__', '__end__']);

/**
 * Throws InvalidInputError for a node to go to that the graph does not have: LangGraph would pass over it in silence, and the
 * run would end as if it had succeeded. A graph that fails to load says so when it is run.
 */
export async function refuseUnknownTargets(
  { command }: RunCreate,
  { graphs, graphId, config }: { graphs: GraphRegistry; graphId: string; config: GraphUse['config'] },
): Promise<void> {
  const targets = [command?.goto ?? []].flat().map((target) => (typeof target === 'string' ? target : target.node));
  if (targets.length === 0) return;
  const nodes = await nodesOf(graphs, graphId, config);
  const unknown = nodes && targets.find((name) => !nodes.includes(name));
  if (nodes && unknown) {
    throw new InvalidInputError(`body.command.goto: ${hasNoNode(graphId, unknown, nodes)}`);
  }
}

/**
 * What a run was asked for and is not done, a sentence each. The official server says nothing of these, and there are clients
 * that send them: AG-UI's and agent-chat-ui an input beside a command, a chat for any graph the breakpoints of all.
 */
export async function unusedParts(
  { kwargs, metadata }: Pick<Run, 'kwargs' | 'metadata'>,
  graphs: GraphRegistry,
): Promise<string[]> {
  const { input = null, command, feedback_keys, interrupt_before = [], interrupt_after = [] } = kwargs;
  const unused: string[] = [];
  if (command && !isEmpty(input)) unused.push('input is not used beside a command');
  if (feedback_keys) unused.push('feedback_keys are not used: this server has no connection to LangSmith');
  const graphId = metadata['graph_id'];
  const breakpoints = Object.entries({ interrupt_before, interrupt_after }).filter(
    ([, names]) => names !== '*' && names.length > 0,
  );
  if (breakpoints.length === 0 || typeof graphId !== 'string') return unused;
  const nodes = await nodesOf(graphs, graphId, kwargs.config);
  for (const [field, names] of breakpoints) {
    const unknown = [names].flat().find((name) => nodes && !nodes.includes(name));
    if (nodes && unknown !== undefined) unused.push(`${field}: ${hasNoNode(graphId, unknown, nodes)}`);
  }
  return unused;
}

function isEmpty(input: Json): boolean {
  return typeof input === 'object' && Object.keys(input ?? {}).length === 0;
}

async function nodesOf(graphs: GraphRegistry, graphId: string, config: GraphUse['config']): Promise<string[] | null> {
  try {
    return [...(await graphs.nodes(graphId, config)), ...BOUNDS];
  } catch (error) {
    if (error instanceof ServiceError && error.code === 'graph_failed_to_load') return null;
    throw error;
  }
}

function hasNoNode(graphId: string, name: string, nodes: readonly string[]): string {
  return `graph "${graphId}" has no node "${name}". It has: ${nodes.filter((node) => !BOUNDS.has(node)).join(', ')}`;
}
