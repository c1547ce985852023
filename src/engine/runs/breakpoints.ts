import type { RunKwargs } from '../../core/run.ts';
import type { CompiledGraph } from '../graphs/registry.ts';

type Breakpoints = RunKwargs['interrupt_before'];

/**
 * Whether the attempt before this one had come to a breakpoint and died before it could say so. LangGraph passes over a
 * breakpoint when it resumes, since for it somebody has resumed; after a crash nobody has.
 */
export async function restsAtBreakpoint(
  graph: CompiledGraph,
  threadId: string,
  { interrupt_before, interrupt_after }: RunKwargs,
): Promise<boolean> {
  if (!interrupt_before && !interrupt_after) return false;
  const here = await graph.getState({ configurable: { thread_id: threadId } });
  if (names(interrupt_before, here.next)) return true;
  if (!here.parentConfig || here.metadata?.source !== 'loop') return false;
  const before = await graph.getState(here.parentConfig);
  return names(interrupt_after, before.next);
}

function names(breakpoints: Breakpoints, nodes: readonly string[]): boolean {
  return breakpoints === '*' ? nodes.length > 0 : nodes.some((node) => breakpoints?.includes(node));
}
