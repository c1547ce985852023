import type { Assistant, RunConfig } from '../../core/assistant.ts';
import { USER_KEYS } from '../../core/caller.ts';
import type { JsonObject } from '../../core/json.ts';
import type { CheckpointRef } from '../../core/run.ts';
import type { Thread } from '../../core/thread.ts';
import type { RunCreate } from './schemas.ts';

/** Keys that say where a run starts or who it is. They belong to one run, and in no configuration that outlives it. */
const PLACE_KEYS = new Set(['thread_id', 'run_id', 'checkpoint_id', 'checkpoint_ns', 'checkpoint_map']);
/** Of a name in snake case, as words or run together: `openai_api_key`, `authtoken`; not `max_tokens`, nor `tokenizer`. */
const SECRET =
  /(^|_)[a-z]*((api|access|private)_?keys?|token|secrets?|passwords?|authorization|credentials?|cookies?)\d*(_|$)/;

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
    thread: { ...merged, configurable: withoutKeys(configurable, (key) => isSecret(key) || USER_KEYS.test(key)) },
  };
}

/** A fork may also be asked for in the configuration, as in LangGraph itself. */
export function checkpointOfConfig(request: Pick<RunCreate, 'config'>): CheckpointRef | undefined {
  const { checkpoint_id, checkpoint_ns, checkpoint_map } = request.config?.configurable ?? {};
  if (typeof checkpoint_id !== 'string' || checkpoint_id === '') return undefined;
  return {
    checkpoint_id,
    ...(typeof checkpoint_ns === 'string' && checkpoint_ns && { checkpoint_ns }),
    ...(isObject(checkpoint_map) && { checkpoint_map }),
  };
}

function isSecret(key: string): boolean {
  const words = key.replaceAll(/([a-z\d])([A-Z])/g, '$1_$2').replaceAll(/[^A-Za-z\d]+/g, '_');
  return SECRET.test(words.toLowerCase());
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
