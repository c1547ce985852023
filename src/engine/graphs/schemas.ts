import {
  getConfigTypeSchema,
  getInputTypeSchema,
  getOutputTypeSchema,
  getStateTypeSchema,
} from '@langchain/langgraph/zod/schema';
import { toJSONSchema, type $ZodType } from 'zod/v4/core';
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

/** Whether the graph itself knows its schema: its state is declared by zod or a StateSchema. */
export function declaresSchema(graph: CompiledGraph): boolean {
  return extract(getStateTypeSchema, graph) !== undefined;
}

/**
 * What the graph itself knows of its schemas, then what `typed` says, then permissive ones that name its channels. Never
 * throws: a schema that has no JSON form is permissive as well.
 */
export function schemasOf(graph: CompiledGraph, typed: Partial<GraphSchemas> = {}): GraphSchemas {
  const context = extract(getConfigTypeSchema, graph) ?? typed.context_schema ?? { type: 'object' };
  const state = Object.keys(graph.channels).filter((name) => !isInternal(name));
  const open = (keys: string | string[] | undefined) => permissive(keysOf(keys, state));
  return {
    input_schema: extract(getInputTypeSchema, graph) ?? typed.input_schema ?? open(graph.inputChannels),
    output_schema: extract(getOutputTypeSchema, graph) ?? typed.output_schema ?? open(graph.outputChannels),
    state_schema: extract(getStateTypeSchema, graph) ?? typed.state_schema ?? open(graph.streamChannels),
    config_schema: context,
    context_schema: context,
  };
}

function extract(read: Extract, graph: CompiledGraph): JsonObject | undefined {
  // Reducers' metadata stand in the registry of the LangGraph that the graph was made with.
  const registry = '_metaRegistry' in graph ? (graph._metaRegistry as ZodRegistry) : undefined;
  for (const way of registry ? [registry, lenient(registry)] : [registry]) {
    try {
      const schema = read(graph, way);
      return schema === undefined ? undefined : plain(schema);
    } catch {
      // The next way, or nothing.
    }
  }
  return undefined;
}

/** LangGraph refuses a whole zod schema for one date in it. Of that nothing is known, the rest is as it says. */
function lenient(registry: NonNullable<ZodRegistry>): ZodRegistry {
  const getExtendedChannelSchemas = (...call: Parameters<typeof registry.getExtendedChannelSchemas>) =>
    // Plain: LangGraph would make it anew, were it told by what.
    plain(toJSONSchema(registry.getExtendedChannelSchemas(...call) as unknown as $ZodType, { unrepresentable: 'any' }));
  return { getExtendedChannelSchemas } as unknown as ZodRegistry;
}

function plain(schema: unknown): JsonObject {
  return JSON.parse(JSON.stringify(schema)) as JsonObject;
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
