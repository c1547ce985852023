import { InvalidInputError, ServiceError } from '../../core/errors.ts';
import type { GraphRegistry, GraphUse } from '../../engine/graphs/registry.ts';
import type { RunCreate } from './schemas.ts';

/** LangGraph's own names for where a graph begins and ends. */
const BOUNDS = new Set(['__start__', '__end__']);

type Asked = Partial<Pick<RunCreate, 'input' | 'command'>>;

/** A command takes the place of an input, which is then used for nothing. */
export function hasIdleInput({ input, command }: Asked): boolean {
  return command !== undefined && input !== undefined && input !== null;
}

/**
 * Throws InvalidInputError for an input that nothing would use. Beside an answer it is let pass: the AG-UI client sends the
 * state that it knows along with every answer.
 */
export function refuseIdleInput(asked: Asked): void {
  if (!hasIdleInput(asked) || asked.command?.resume !== undefined) return;
  throw new InvalidInputError(
    'body.input: is not used beside body.command. Send one of them; what is to change the state is command.update',
  );
}

/**
 * Throws InvalidInputError for a node that the graph does not have: LangGraph would pass over it in silence. A graph that
 * fails to load says so when it is run.
 */
export async function refuseUnknownNodes(
  { command, interrupt_before, interrupt_after }: RunCreate,
  { graphs, graphId, config }: { graphs: GraphRegistry; graphId: string; config: GraphUse['config'] },
): Promise<void> {
  const named = {
    'command.goto': [command?.goto ?? []].flat().map((target) => (typeof target === 'string' ? target : target.node)),
    interrupt_before: interrupt_before === '*' ? [] : (interrupt_before ?? []),
    interrupt_after: interrupt_after === '*' ? [] : (interrupt_after ?? []),
  };
  if (Object.values(named).every((names) => names.length === 0)) return;
  const nodes = await graphs.nodes(graphId, config).catch(unlessItFailsToLoad);
  if (nodes === null) return;
  for (const [field, names] of Object.entries(named)) {
    const unknown = names.find((name) => !nodes.includes(name) && !BOUNDS.has(name));
    if (unknown === undefined) continue;
    const known = nodes.filter((name) => !BOUNDS.has(name)).join(', ');
    throw new InvalidInputError(`body.${field}: graph "${graphId}" has no node "${unknown}". It has: ${known}`);
  }
}

function unlessItFailsToLoad(error: unknown): null {
  if (error instanceof ServiceError && error.code === 'graph_failed_to_load') return null;
  throw error;
}
