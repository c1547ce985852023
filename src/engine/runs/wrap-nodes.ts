import type { CompiledGraph } from '../graphs/registry.ts';

export type GraphNode = CompiledGraph['nodes'][string];
/** What a node does: what its author wrote, then the writes to its channels. */
export type NodeStep = NonNullable<ReturnType<GraphNode['getNode']>>;

/** Replaces methods of nodes. The graph must be a copy of one's own; the nodes stay as they are. */
export function wrapNodes(graph: CompiledGraph, wrap: (name: string, node: GraphNode) => Partial<GraphNode>): void {
  graph.nodes = Object.fromEntries(
    Object.entries(graph.nodes).map(([name, node]) => [name, replaced(node, wrap(name, node))]),
  );
}

/** The object with some of its methods replaced, which themselves go on to those of the object. */
export function replaced<T extends object>(object: T, methods: Partial<T>): T {
  const descriptors = Object.entries(methods).map(([name, value]): [string, PropertyDescriptor] => [name, { value }]);
  return Object.create(object, Object.fromEntries(descriptors)) as T;
}
