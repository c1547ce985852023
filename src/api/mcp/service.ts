import type { Assistant } from '../../core/assistant.ts';
import type { Caller } from '../../core/caller.ts';
import { InvalidInputError, ServiceError } from '../../core/errors.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import type { GraphRegistry } from '../../engine/graphs/registry.ts';
import type { AssistantService } from '../assistants/service.ts';
import { assistantSearch } from '../assistants/schemas.ts';
import { runCreate } from '../runs/schemas.ts';
import type { RunService } from '../runs/service.ts';

const PAGE = 1000;

/** An assistant as a model that calls tools sees it. */
export interface Tool {
  name: string;
  description: string;
  /** A JSON Schema of an object. */
  input_schema: JsonObject;
}

/** Assistants as tools: a call is a run on a thread of its own, which goes with it. */
export class AssistantTools {
  readonly #assistants: AssistantService;
  readonly #runs: RunService;
  readonly #graphs: GraphRegistry;

  constructor(parts: { assistants: AssistantService; runs: RunService; graphs: GraphRegistry }) {
    this.#assistants = parts.assistants;
    this.#runs = parts.runs;
    this.#graphs = parts.graphs;
  }

  /** Those that the caller may see. */
  async list(caller: Caller): Promise<Tool[]> {
    const named = await this.#named(caller);
    return Promise.all(
      [...named].map(async ([name, assistant]) => ({
        name,
        description: assistant.description ?? this.#graphs.source(assistant.graph_id).description ?? '',
        input_schema: await this.#inputSchema(assistant),
      })),
    );
  }

  /**
   * Runs an assistant to its end and answers its values, or `{__error__}`. A caller who leaves stops the run, unless `stays`
   * says that it was the server that left. Throws InvalidInputError for a tool that there is not.
   */
  async call(
    caller: Caller,
    { name, input, signal, stays }: { name: string; input: Json; signal: AbortSignal; stays: () => boolean },
  ): Promise<Json> {
    const assistant = (await this.#named(caller)).get(name);
    if (!assistant) throw new InvalidInputError(`There is no tool "${name}": tools/list names those that there are`);
    const { assistant_id } = assistant;
    const run = await this.#runs.create(caller, null, runCreate.parse({ assistant_id, input }));
    signal.addEventListener('abort', () => {
      // A run that has ended meanwhile needs no stopping.
      if (!stays()) this.#runs.cancel(caller, run, 'interrupt').catch(() => undefined);
    });
    return this.#runs.result(run, signal);
  }

  /** By the names of their tools. Of several with one name the oldest has it; the others have their id behind it. */
  async #named(caller: Caller): Promise<Map<string, Assistant>> {
    const named = new Map<string, Assistant>();
    for (let offset = 0; ; offset += PAGE) {
      const page = { limit: PAGE, offset, sort_by: 'created_at', sort_order: 'asc' };
      const { assistants } = await this.#assistants.search(caller, assistantSearch.parse(page));
      for (const assistant of assistants) {
        // One whose graph was taken out of langgraph.json cannot be run.
        if (!this.#graphs.has(assistant.graph_id)) continue;
        const name = toolName(assistant.name);
        named.set(named.has(name) ? `${name}-${assistant.assistant_id.slice(-12)}` : name, assistant);
      }
      if (assistants.length < PAGE) return named;
    }
  }

  async #inputSchema({ graph_id, config }: Assistant): Promise<JsonObject> {
    try {
      const { input_schema } = await this.#graphs.schemas(graph_id, { configurable: config.configurable ?? {} });
      return input_schema['type'] === 'object' ? input_schema : { type: 'object' };
    } catch (error) {
      // A graph that does not load fails when it is called, and says why.
      if (error instanceof ServiceError) return { type: 'object' };
      throw error;
    }
  }
}

/** Clients take letters, digits, `_` and `-`, and not many of them. */
function toolName(name: string): string {
  return name.replaceAll(/[^\w-]+/g, '_').slice(0, 50) || '_';
}
