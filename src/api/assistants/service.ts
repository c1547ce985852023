import type { Assistant } from '../../core/assistant.ts';
import { ConflictError, NotFoundError } from '../../core/errors.ts';
import { isUuid, systemAssistantId, uuidv7 } from '../../core/ids.ts';
import type { AssistantFilter, AssistantPage, Assistants } from '../../database/assistants.ts';
import type { GraphRegistry } from '../../engine/graphs/registry.ts';
import type { AssistantCreate, AssistantPatch, AssistantSearch, VersionSearch } from './schemas.ts';

/** Makes the assistant of each graph that has none yet. Any number of servers may do so at once. */
export async function ensureSystemAssistants(assistants: Assistants, graphIds: readonly string[]): Promise<void> {
  for (const graphId of graphIds) {
    await assistants.insert({
      assistant_id: systemAssistantId(graphId),
      graph_id: graphId,
      name: graphId,
      description: null,
      config: {},
      context: {},
      metadata: { created_by: 'system' },
    });
  }
}

export class AssistantService {
  readonly #assistants: Assistants;
  readonly #graphs: GraphRegistry;

  constructor({ assistants, graphs }: { assistants: Assistants; graphs: GraphRegistry }) {
    this.#assistants = assistants;
    this.#graphs = graphs;
  }

  /** By its id, or by its graph's. Throws NotFoundError. */
  async get(idOrGraphId: string): Promise<Assistant> {
    const id = idOf(idOrGraphId);
    return (await this.#assistants.get(id)) ?? missing(idOrGraphId);
  }

  async create(request: AssistantCreate): Promise<Assistant> {
    this.#graphs.source(request.graph_id);
    const assistantId = request.assistant_id ?? uuidv7();
    const created = await this.#assistants.insert({
      assistant_id: assistantId,
      graph_id: request.graph_id,
      name: request.name ?? 'Untitled',
      description: request.description ?? null,
      config: request.config ?? {},
      context: request.context ?? {},
      metadata: request.metadata ?? {},
    });
    if (created) return created;
    if (request.if_exists === 'do_nothing') return this.get(assistantId);
    throw new ConflictError(`Assistant ${assistantId} already exists: use if_exists "do_nothing", or another id`);
  }

  async update(idOrGraphId: string, patch: AssistantPatch): Promise<Assistant> {
    if (patch.graph_id !== undefined) this.#graphs.source(patch.graph_id);
    const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
    return (await this.#assistants.update(idOf(idOrGraphId), given)) ?? missing(idOrGraphId);
  }

  /** Throws ConflictError for a graph's own assistant: the graph could no longer be addressed. */
  async delete(idOrGraphId: string): Promise<void> {
    const assistant = await this.get(idOrGraphId);
    if (assistant.assistant_id === systemAssistantId(assistant.graph_id) && this.#graphs.has(assistant.graph_id)) {
      throw new ConflictError(
        `Assistant ${assistant.assistant_id} comes with graph "${assistant.graph_id}": take the graph out of langgraph.json first`,
      );
    }
    if (!(await this.#assistants.delete(assistant.assistant_id))) missing(idOrGraphId);
  }

  async search(request: AssistantSearch): Promise<{ assistants: Assistant[]; total: number; page: AssistantPage }> {
    const filter: AssistantFilter = request;
    const page: AssistantPage = {
      limit: request.limit ?? 10,
      offset: request.offset ?? 0,
      sort_by: request.sort_by ?? 'created_at',
      sort_order: request.sort_order ?? 'desc',
    };
    const [assistants, total] = await Promise.all([
      this.#assistants.search(filter, page),
      this.#assistants.count(filter),
    ]);
    return { assistants, total, page };
  }

  count(filter: AssistantFilter): Promise<number> {
    return this.#assistants.count(filter);
  }

  /** Newest first. */
  async versions(idOrGraphId: string, { metadata, limit, offset }: VersionSearch) {
    const { assistant_id } = await this.get(idOrGraphId);
    return this.#assistants.versions(assistant_id, { metadata, limit: limit ?? 10, offset: offset ?? 0 });
  }

  async setLatest(idOrGraphId: string, version: number): Promise<Assistant> {
    const { assistant_id } = await this.get(idOrGraphId);
    const latest = await this.#assistants.setLatest(assistant_id, version);
    if (!latest) throw new NotFoundError(`Version ${version} of assistant`, assistant_id);
    return latest;
  }

  /** The graph's nodes and edges. */
  async drawing(idOrGraphId: string, xray: boolean | number) {
    const { graph_id, config } = await this.get(idOrGraphId);
    return this.#graphs.drawable(graph_id, xray, { configurable: config.configurable ?? {} });
  }

  async schemas(idOrGraphId: string) {
    const { graph_id, config } = await this.get(idOrGraphId);
    return this.#graphs.schemas(graph_id, { configurable: config.configurable ?? {} });
  }

  async subgraphs(idOrGraphId: string, query: { namespace?: string; recurse: boolean }) {
    const { graph_id, config } = await this.get(idOrGraphId);
    return this.#graphs.subgraphs(graph_id, { ...query, config: { configurable: config.configurable ?? {} } });
  }
}

function idOf(idOrGraphId: string): string {
  return isUuid(idOrGraphId) ? idOrGraphId.toLowerCase() : systemAssistantId(idOrGraphId);
}

function missing(idOrGraphId: string): never {
  throw new NotFoundError('Assistant', idOrGraphId);
}
