import type { JsonObject } from './json.ts';

/** How a graph is called: tags, recursion limit, and the values that its nodes read. The wire's own shape. */
export interface RunConfig {
  tags?: string[];
  recursion_limit?: number;
  configurable?: JsonObject;
}

/** A graph with a configuration. Field names are the wire's. */
export interface Assistant {
  assistant_id: string;
  graph_id: string;
  name: string;
  description: string | null;
  config: RunConfig;
  context: JsonObject;
  metadata: JsonObject;
  version: number;
  created_at: string;
  updated_at: string;
}
