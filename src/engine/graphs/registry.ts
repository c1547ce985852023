import type { BaseCheckpointSaver, BaseStore } from '@langchain/langgraph-checkpoint';
import { NotFoundError, type ServiceError } from '../../core/errors.ts';
import type { GraphSource } from '../../core/graph-source.ts';
import type { JsonObject } from '../../core/json.ts';
import {
  buildGraph,
  loadGraph,
  type CompiledGraph,
  type FactoryConfig,
  type FactoryRuntime,
  type LoadedGraph,
} from './load-graph.ts';
import { declaresSchema, schemasOf, type GraphSchemas } from './schemas.ts';
import type { TypeSchemas } from './types/type-schemas.ts';

export type { CompiledGraph } from './load-graph.ts';
export type { GraphSchemas } from './schemas.ts';

/** What a graph is wanted for. */
export interface GraphUse {
  checkpointer: BaseCheckpointSaver;
  /** Replaces the graph's own store, as the official servers do; without it the graph keeps its own. */
  store?: BaseStore;
  /** The run's or thread's configuration: a factory builds its graph from it. */
  config?: FactoryConfig;
  /** Default `threads.create_run`. */
  access?: FactoryRuntime['accessContext'];
  /** The run's context, for a factory. */
  context?: unknown;
}

export interface SubgraphQuery {
  /** Only the subgraph at this exact place, such as `parent|child`. */
  namespace?: string;
  recurse?: boolean;
  config?: FactoryConfig;
}

/** The graphs of one project. Each is imported once, when it is first needed or by {@link loadAll}. */
export class GraphRegistry {
  readonly #sources: ReadonlyMap<string, GraphSource>;
  readonly #types: TypeSchemas | null;
  readonly #loaded = new Map<string, Promise<LoadedGraph>>();

  /** Without `types` nothing is known of a state that only TypeScript knows, but the names of its keys. */
  constructor(sources: Readonly<Record<string, GraphSource>>, types: TypeSchemas | null = null) {
    this.#sources = new Map(Object.entries(sources));
    this.#types = types;
  }

  ids(): string[] {
    return [...this.#sources.keys()];
  }

  has(graphId: string): boolean {
    return this.#sources.has(graphId);
  }

  /** @throws NotFoundError for an unknown graph. */
  source(graphId: string): GraphSource {
    const source = this.#sources.get(graphId);
    if (!source) throw new NotFoundError('Graph', graphId);
    return source;
  }

  /** Imports every graph; answers the failures instead of throwing, so that one bad graph does not stop the others. */
  async loadAll(): Promise<ServiceError[]> {
    const outcomes = await Promise.allSettled(this.ids().map((graphId) => this.#load(graphId)));
    return outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as ServiceError] : []));
  }

  /**
   * A compiled graph of one's own, that keeps its state in `checkpointer`, as do its subgraphs.
   * @throws NotFoundError for an unknown graph, ServiceError `graph_failed_to_load`.
   */
  async get(graphId: string, use: GraphUse): Promise<CompiledGraph> {
    const accessContext = use.access ?? 'threads.create_run';
    const graph = await this.#compiled(graphId, use.config, {
      accessContext,
      executionRuntime: accessContext === 'threads.create_run' ? { context: use.context } : null,
    });
    return copyWith(graph, use);
  }

  /** The names of its own nodes, not those of subgraphs. Errors as in {@link get}. */
  async nodes(graphId: string, config?: FactoryConfig): Promise<string[]> {
    return Object.keys((await this.#compiled(graphId, config)).nodes);
  }

  /** Errors as in {@link get}; what cannot be known about a graph is an object schema that takes everything. */
  async schemas(graphId: string, config?: FactoryConfig): Promise<GraphSchemas & { graph_id: string }> {
    const graph = await this.#compiled(graphId, config);
    const typed = declaresSchema(graph) ? {} : await this.#types?.of(this.source(graphId));
    return { graph_id: graphId, ...schemasOf(graph, typed) };
  }

  /** Reads ahead what {@link schemas} would have to wait for. */
  async readTypes(): Promise<void> {
    const reads = this.ids().map(async (graphId) => {
      // What cannot be loaded is not asked for, and a factory is not called for this.
      const loaded = await this.#load(graphId).catch(() => null);
      if (!loaded || ('compiled' in loaded && declaresSchema(loaded.compiled))) return;
      await this.#types?.read(this.source(graphId));
    });
    await Promise.all(reads);
  }

  /** Nodes and edges as the wire has them; `xray` draws subgraphs too, a number to that depth. Errors as in {@link get}. */
  async drawable(graphId: string, xray: boolean | number = false, config?: FactoryConfig): Promise<JsonObject> {
    const graph = await this.#compiled(graphId, config);
    const options = { ...config, xray };
    const drawn = await graph.getGraphAsync(options);
    return JSON.parse(JSON.stringify(drawn.toJSON())) as JsonObject;
  }

  /** Schemas of the subgraphs by namespace: `a`, and with `recurse` also `a|b`. Errors as in {@link get}. */
  async subgraphs(graphId: string, { namespace, recurse, config }: SubgraphQuery = {}) {
    const graph = await this.#compiled(graphId, config);
    const found: Record<string, GraphSchemas> = {};
    for await (const [name, subgraph] of graph.getSubgraphsAsync(namespace, recurse)) {
      found[name] = schemasOf(subgraph as CompiledGraph);
    }
    return found;
  }

  async #compiled(
    graphId: string,
    config: FactoryConfig = { configurable: {} },
    runtime: FactoryRuntime = { accessContext: 'assistants.read', executionRuntime: null },
  ): Promise<CompiledGraph> {
    const loaded = await this.#load(graphId);
    if ('compiled' in loaded) return loaded.compiled;
    return buildGraph(graphId, this.source(graphId), () => loaded.factory(config, runtime));
  }

  #load(graphId: string): Promise<LoadedGraph> {
    const source = this.source(graphId);
    const loading = this.#loaded.get(graphId) ?? loadGraph(graphId, source);
    this.#loaded.set(graphId, loading);
    return loading;
  }
}

/**
 * The way in which LangGraph's own `withConfig` copies a graph. The user's instance stays as it is: another server in this
 * process may serve it too. Validation is left out because it appends to a table that the copies share.
 */
function copyWith(graph: CompiledGraph, { checkpointer, store }: GraphUse): CompiledGraph {
  const Graph = graph.constructor as new (fields: object) => CompiledGraph;
  const own = { channels: { ...graph.channels }, autoValidate: false, checkpointer, store: store ?? graph.store };
  return new Graph(Object.assign({}, graph, own));
}
