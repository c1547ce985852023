import { isGraphBubbleUp, isGraphInterrupt, START } from '@langchain/langgraph';
import type { CompiledGraph } from './graphs/registry.ts';
import type { NodeEnd } from './run-observer.ts';

type Node = CompiledGraph['nodes'][string];
type Step = NonNullable<ReturnType<Node['getNode']>>;
type Report = (node: string, end: NodeEnd, ms: number) => void;

/**
 * Has every execution of a node reported with its duration. The graph must be a copy of one's own; the nodes stay as they
 * are. Around the node itself, since callbacks cost a fifth of a short run and the stream tells of a node only when it
 * lets others work.
 */
export function timeNodes(graph: CompiledGraph, report: Report): void {
  // The first one is LangGraph's own: it takes the input.
  const timedNode = (name: string, node: Node): Node =>
    name === START
      ? node
      : (Object.create(node, { getNode: { value: () => timed(node.getNode(), name, report) } }) as Node);
  graph.nodes = Object.fromEntries(Object.entries(graph.nodes).map(([name, node]) => [name, timedNode(name, node)]));
}

function timed(step: Step | undefined, name: string, report: Report): Step | undefined {
  if (step === undefined) return undefined;
  const invoke: Step['invoke'] = async (...call) => {
    const beganMs = performance.now();
    let end: NodeEnd = 'success';
    try {
      return await step.invoke(...call);
    } catch (error) {
      end = endOf(error);
      throw error;
    } finally {
      report(name, end, performance.now() - beganMs);
    }
  };
  return Object.create(step, { invoke: { value: invoke } }) as Step;
}

/** A command to the parent graph is thrown as well, and is no failure. */
function endOf(error: unknown): NodeEnd {
  if (isGraphInterrupt(error)) return 'interrupted';
  return isGraphBubbleUp(error) ? 'success' : 'error';
}
