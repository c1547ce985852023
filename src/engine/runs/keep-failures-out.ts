import { type BaseCache, ERROR } from '@langchain/langgraph-checkpoint';
import type { CompiledGraph } from '../graphs/registry.ts';
import { replaced } from './wrap-nodes.ts';

/**
 * Keeps what a failed task has written out of the cache of nodes. LangGraph looks only at its first write (`putWrites` of
 * pregel/loop.js), which of a node whose conditional edge failed is its result: it would be taken for done, in other threads
 * too, and nothing would come after it. The graph must be a copy of one's own.
 */
export function keepFailuresOut(graph: Pick<CompiledGraph, 'cache'>): void {
  const { cache } = graph;
  if (cache === undefined) return;
  const set: BaseCache['set'] = (pairs) =>
    cache.set(pairs.filter(({ value }) => !(value as [string, unknown][]).some(([channel]) => channel === ERROR)));
  graph.cache = replaced(cache, { get: (keys) => cache.get(keys), set, clear: (spaces) => cache.clear(spaces) });
}
