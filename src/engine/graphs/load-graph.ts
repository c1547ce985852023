import { pathToFileURL } from 'node:url';
import type { BaseChannel, PregelNode } from '@langchain/langgraph';
import type { Pregel } from '@langchain/langgraph/pregel';
import { ServiceError, messageOf } from '../../core/errors.ts';
import type { GraphSource } from '../../core/graph-source.ts';

/** A graph that can be invoked, whatever it was made with: a StateGraph, an entrypoint or an agent. */
export type CompiledGraph = Pregel<Record<string, PregelNode>, Record<string, BaseChannel>>;

/** What a factory is told about its use: the second argument that the official server passes. */
export interface FactoryRuntime {
  accessContext: 'threads.create_run' | 'threads.read' | 'threads.update' | 'assistants.read';
  /** Null unless a run is about to be executed. */
  executionRuntime: { context: unknown } | null;
}

export interface FactoryConfig {
  configurable?: Record<string, unknown>;
}

type GraphFactory = (config: FactoryConfig, runtime: FactoryRuntime) => unknown;

export type LoadedGraph = { compiled: CompiledGraph } | { factory: GraphFactory };

/**
 * Imports a graph's module and looks its export up.
 * @throws ServiceError `graph_failed_to_load`, naming the graph, its file and export, and the cause.
 */
export async function loadGraph(graphId: string, source: GraphSource): Promise<LoadedGraph> {
  try {
    const exported = findExport(await import(pathToFileURL(source.file).href), source.exportName);
    return typeof exported === 'function'
      ? { factory: exported as GraphFactory }
      : { compiled: await compile(exported) };
  } catch (error) {
    throw failure(graphId, source, error);
  }
}

/** Calls a factory and compiles what it returns. Errors as in {@link loadGraph}. */
export async function buildGraph(graphId: string, source: GraphSource, build: () => unknown): Promise<CompiledGraph> {
  try {
    return await compile(await build());
  } catch (error) {
    throw failure(graphId, source, error);
  }
}

function failure(graphId: string, { file, exportName }: GraphSource, cause: unknown): ServiceError {
  // Compilers and LangGraph explain at length below a blank line; `cause` has it all.
  const reason = messageOf(cause)
    .trim()
    .split(/\n\s*\n/)[0]
    ?.replaceAll(/\s*\n\s*/g, ' ');
  return new ServiceError(
    'graph_failed_to_load',
    `Graph "${graphId}" failed to load from ${file} (export "${exportName}"): ${reason}`,
    { cause },
  );
}

/** A CommonJS module's exports may stand one level down, under `default`. */
function findExport(module: Record<string, unknown>, name: string): unknown {
  const inner = module['default'];
  const commonJs = isObject(inner) && name in inner && (name !== 'default' || '__esModule' in inner);
  const found = commonJs ? inner[name] : module[name];
  if (found !== undefined && found !== null) return found;
  const others = Object.keys(module).filter((key) => key !== '__esModule' && key !== 'module.exports');
  throw new Error(`it has no such export. It exports: ${others.join(', ') || 'nothing'}`);
}

/** Takes a builder, a compiled graph, a promise of either, or an agent that wraps one. */
async function compile(value: unknown): Promise<CompiledGraph> {
  const graph = await value;
  // createAgent's wrapper has a `builder` of its own, so its inner graph is looked for first.
  if (isObject(graph) && isCompiled(graph['graph'])) return graph['graph'];
  if (isCompiled(graph)) return graph;
  if (isObject(graph) && typeof graph['compile'] === 'function') return graph['compile']() as CompiledGraph;
  throw new Error('it is not a graph. Export a StateGraph, a compiled graph, an agent, or a function that returns one');
}

/** By its mark and not by its class: the project may have a copy of LangGraph of its own. */
function isCompiled(value: unknown): value is CompiledGraph {
  return isObject(value) && value['lg_is_pregel'] === true;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
