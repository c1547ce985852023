import { Access, type Guarded } from '../../core/access.ts';
import type { Assistant } from '../../core/assistant.ts';
import { withUser, type AuthEvent, type Caller } from '../../core/caller.ts';
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
  readonly #assistants: Guarded<Assistants>;
  readonly #graphs: GraphRegistry;

  constructor({ assistants, graphs }: { assistants: Guarded<Assistants>; graphs: GraphRegistry }) {
    this.#assistants = assistants;
    this.#graphs = graphs;
  }

  /** By its id, or by its graph's. Throws NotFoundError. */
  async get(caller: Caller, idOrGraphId: string): Promise<Assistant> {
    const { assistants, id } = await this.#allowed(caller, 'assistants:read', idOrGraphId);
    return (await assistants.get(id)) ?? missing(idOrGraphId);
  }

  /**
   * The one that a run is asked for. A graph's own assistant is everybody's who may create runs, whatever a filter for
   * reading says: it has no owner. Throws NotFoundError.
   */
  async toRun(caller: Caller, idOrGraphId: string): Promise<Assistant> {
    const assistant = await this.#assistants.within(Access.everything).get(assistantIdOf(idOrGraphId));
    if (assistant?.assistant_id === systemAssistantId(assistant?.graph_id ?? '')) return assistant;
    return this.get(caller, idOrGraphId);
  }

  async create(caller: Caller, request: AssistantCreate): Promise<Assistant> {
    const assistantId = request.assistant_id ?? uuidv7();
    const value = { ...request, assistant_id: assistantId, metadata: { ...request.metadata } };
    const access = await caller.may('assistants:create', value);
    this.#graphs.source(value.graph_id);
    const assistants = this.#assistants.within(access);
    const created = await assistants.insert({
      assistant_id: assistantId,
      graph_id: value.graph_id,
      name: value.name ?? 'Untitled',
      description: value.description ?? null,
      config: value.config ?? {},
      context: value.context ?? {},
      metadata: value.metadata,
    });
    if (created) return created;
    const existing = request.if_exists === 'do_nothing' ? await assistants.get(assistantId) : null;
    if (existing) return existing;
    throw new ConflictError(`Assistant ${assistantId} already exists: use if_exists "do_nothing", or another id`);
  }

  async update(caller: Caller, idOrGraphId: string, patch: AssistantPatch): Promise<Assistant> {
    const value = { ...patch, metadata: { ...patch.metadata } };
    const { assistants, id } = await this.#allowed(caller, 'assistants:update', idOrGraphId, value);
    if (value.graph_id !== undefined) this.#graphs.source(value.graph_id);
    return (await assistants.update(id, givenFields(value))) ?? missing(idOrGraphId);
  }

  /** Returns its id. Throws ConflictError for a graph's own assistant: the graph could no longer be addressed. */
  async delete(caller: Caller, idOrGraphId: string): Promise<string> {
    const { assistants, id } = await this.#allowed(caller, 'assistants:delete', idOrGraphId);
    const assistant = (await assistants.get(id)) ?? missing(idOrGraphId);
    // Whatever graph it was pointed at meanwhile.
    const own = this.#graphs.ids().find((graphId) => systemAssistantId(graphId) === assistant.assistant_id);
    if (own !== undefined) {
      throw new ConflictError(
        `Assistant ${assistant.assistant_id} comes with graph "${own}": take the graph out of langgraph.json first`,
      );
    }
    if (!(await assistants.delete(id))) missing(idOrGraphId);
    return id;
  }

  async search(
    caller: Caller,
    request: AssistantSearch,
  ): Promise<{ assistants: Assistant[]; total: number; page: AssistantPage }> {
    const permitted = this.#assistants.within(await caller.may('assistants:search', searched(request)));
    const filter: AssistantFilter = request;
    const page: AssistantPage = {
      limit: request.limit ?? 10,
      offset: request.offset ?? 0,
      sort_by: request.sort_by ?? 'created_at',
      sort_order: request.sort_order ?? 'desc',
    };
    const [assistants, total] = await Promise.all([permitted.search(filter, page), permitted.count(filter)]);
    return { assistants, total, page };
  }

  async count(caller: Caller, filter: AssistantFilter): Promise<number> {
    return this.#assistants.within(await caller.may('assistants:search', searched(filter))).count(filter);
  }

  /** Newest first. */
  async versions(caller: Caller, idOrGraphId: string, { metadata, limit, offset }: VersionSearch) {
    const { assistants, id } = await this.#allowed(caller, 'assistants:read', idOrGraphId);
    if (!(await assistants.get(id))) missing(idOrGraphId);
    return assistants.versions(id, { metadata, limit: limit ?? 10, offset: offset ?? 0 });
  }

  async setLatest(caller: Caller, idOrGraphId: string, version: number): Promise<Assistant> {
    const { assistants, id } = await this.#allowed(caller, 'assistants:update', idOrGraphId, { version });
    if (!(await assistants.get(id))) missing(idOrGraphId);
    const latest = await assistants.setLatest(id, version);
    if (!latest) throw new NotFoundError(`Version ${version} of assistant`, id);
    return latest;
  }

  /** The graph's nodes and edges. */
  async drawing(caller: Caller, idOrGraphId: string, xray: boolean | number) {
    const { graph_id, config } = await this.get(caller, idOrGraphId);
    return this.#graphs.drawable(graph_id, xray, { configurable: withUser(config.configurable, caller.user) });
  }

  async schemas(caller: Caller, idOrGraphId: string) {
    const { graph_id, config } = await this.get(caller, idOrGraphId);
    return this.#graphs.schemas(graph_id, { configurable: withUser(config.configurable, caller.user) });
  }

  async subgraphs(caller: Caller, idOrGraphId: string, query: { namespace?: string; recurse: boolean }) {
    const { graph_id, config } = await this.get(caller, idOrGraphId);
    return this.#graphs.subgraphs(graph_id, {
      ...query,
      config: { configurable: withUser(config.configurable, caller.user) },
    });
  }

  async #allowed(caller: Caller, event: AuthEvent, idOrGraphId: string, value: object = {}) {
    const id = assistantIdOf(idOrGraphId);
    const access = await caller.may(event, Object.assign(value, { assistant_id: id }));
    return { assistants: this.#assistants.within(access), id };
  }
}

/** What a handler gets to see of a search: it may change it without effect, and return a filter. */
function searched(request: AssistantFilter): object {
  return { ...request, metadata: { ...request.metadata } };
}

function givenFields({ graph_id, name, description, config, context, metadata }: AssistantPatch) {
  const fields = { graph_id, name, description, config, context, metadata };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** Of the assistant with that id, or of the graph's own. */
export function assistantIdOf(idOrGraphId: string): string {
  return isUuid(idOrGraphId) ? idOrGraphId.toLowerCase() : systemAssistantId(idOrGraphId);
}

function missing(idOrGraphId: string): never {
  throw new NotFoundError('Assistant', idOrGraphId);
}
