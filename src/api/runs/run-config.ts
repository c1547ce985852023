import type { Assistant, RunConfig } from '../../core/assistant.ts';
import { USER_KEYS } from '../../core/caller.ts';
import type { JsonObject } from '../../core/json.ts';
import type { CheckpointRef } from '../../core/run.ts';
import type { Thread } from '../../core/thread.ts';
import type { RunCreate } from './schemas.ts';

/** Keys that say where a run starts or who it is. They belong to one run, and in no configuration that outlives it. */
const PLACE_KEYS = new Set(['thread_id', 'run_id', 'checkpoint_id', 'checkpoint_ns', 'checkpoint_map']);
const SECRET = /api[-_]?key|token|secret|password|authorization|credential|cookie/i;

export interface MergedConfig {
  /** What the run is executed with: assistant < thread < run. */
  run: RunConfig;
  /** What the thread keeps, for reading a state whose graph depends on it. */
  thread: RunConfig;
}

export interface ConfigLayers {
  assistant: Assistant;
  thread: Thread | null;
  request: RunCreate;
  /** Of the request, as far as runs may read them. A proxy may have set them, so the body does not hide them. */
  headers: Readonly<Record<string, string>>;
}

export function mergeConfig({ assistant, thread, request, headers }: ConfigLayers): MergedConfig {
  const given: RunConfig = request.config ?? {};
  const configurable = withoutKeys(
    { ...assistant.config.configurable, ...thread?.config.configurable, ...given.configurable },
    isReserved,
  );
  const tags = given.tags ?? assistant.config.tags;
  const recursionLimit = given.recursion_limit ?? assistant.config.recursion_limit;
  const merged = {
    ...(tags && { tags }),
    ...(recursionLimit !== undefined && { recursion_limit: recursionLimit }),
  };
  return {
    run: { ...merged, configurable: { ...configurable, ...headers } },
    thread: { ...merged, configurable: withoutKeys(configurable, (key) => SECRET.test(key) || USER_KEYS.test(key)) },
  };
}

/** A fork may also be asked for in the configuration, as in LangGraph itself. */
export function checkpointOfConfig(request: RunCreate): CheckpointRef | undefined {
  const { checkpoint_id, checkpoint_ns, checkpoint_map } = request.config?.configurable ?? {};
  if (typeof checkpoint_id !== 'string' || checkpoint_id === '') return undefined;
  return {
    checkpoint_id,
    ...(typeof checkpoint_ns === 'string' && checkpoint_ns && { checkpoint_ns }),
    ...(isObject(checkpoint_map) && { checkpoint_map }),
  };
}

/** Keys that begin with `__` are between LangGraph, the engine and the saver. */
function isReserved(key: string): boolean {
  return PLACE_KEYS.has(key) || key.startsWith('__');
}

function withoutKeys(object: JsonObject, leftOut: (key: string) => boolean): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !leftOut(key)));
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
