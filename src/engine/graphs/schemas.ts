import {
  getConfigTypeSchema,
  getInputTypeSchema,
  getOutputTypeSchema,
  getStateTypeSchema,
} from '@langchain/langgraph/zod/schema';
import type { JsonObject } from '../../core/json.ts';
import type { CompiledGraph } from './load-graph.ts';

/** JSON Schemas of what a graph takes, gives and keeps. Field names are the wire's. */
export interface GraphSchemas {
  input_schema: JsonObject;
  output_schema: JsonObject;
  state_schema: JsonObject;
  config_schema: JsonObject;
  context_schema: JsonObject;
}

type ZodRegistry = Parameters<typeof getStateTypeSchema>[1];
type Extract = (graph: unknown, registry?: ZodRegistry) => unknown;

/**
 * The schemas of a graph whose state is declared by zod or a StateSchema. Any other state gives permissive schemas that
 * name its channels. Never throws: a schema that has no JSON form is permissive as well.
 */
export function schemasOf(graph: CompiledGraph): GraphSchemas {
  const context = extract(getConfigTypeSchema, graph) ?? { type: 'object' };
  const state = Object.keys(graph.channels).filter((name) => !isInternal(name));
  return {
    input_schema: extract(getInputTypeSchema, graph) ?? permissive(keysOf(graph.inputChannels, state)),
    output_schema: extract(getOutputTypeSchema, graph) ?? permissive(keysOf(graph.outputChannels, state)),
    state_schema: extract(getStateTypeSchema, graph) ?? permissive(keysOf(graph.streamChannels, state)),
    config_schema: context,
    context_schema: context,
  };
}

function extract(read: Extract, graph: CompiledGraph): JsonObject | undefined {
  try {
    // Reducers' metadata stand in the registry of the LangGraph that the graph was made with.
    const registry = '_metaRegistry' in graph ? (graph._metaRegistry as ZodRegistry) : undefined;
    const schema = read(graph, registry);
    return schema === undefined ? undefined : (JSON.parse(JSON.stringify(schema)) as JsonObject);
  } catch {
    return undefined;
  }
}

function permissive(keys: string[]): JsonObject {
  return { type: 'object', properties: Object.fromEntries(keys.map((key) => [key, {}])) };
}

/** A single channel (`__start__` of a StateGraph, `__root__`, an entrypoint's value) says nothing about keys. */
function keysOf(channels: string | string[] | undefined, all: string[]): string[] {
  return Array.isArray(channels) ? channels.filter((name) => !isInternal(name)) : all;
}

function isInternal(channel: string): boolean {
  return channel.startsWith('__') || channel.startsWith('branch:') || channel.startsWith('join:');
}
