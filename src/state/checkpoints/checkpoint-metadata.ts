import type { RunnableConfig } from '@langchain/core/runnables';
import { type CheckpointMetadata, EXCLUDED_METADATA_KEYS } from '@langchain/langgraph-checkpoint';
import { UnstorableValueError } from '../../core/errors.ts';
import { serialize } from '../codec/serialize.ts';

/** LangGraph's own keys: what a caller puts under these names never hides what the loop says. */
const LOOP_KEYS = new Set([
  'source',
  'step',
  'parents',
  'writes',
  'counters_since_delta_snapshot',
  'delta_writes_versioned',
]);
/** All of `configurable` that may be seen in metadata. The rest can hold tokens. */
const STAMPS = ['run_id', 'assistant_id', 'graph_id'] as const;
const INTERNAL = /^(__|langgraph_|ls_)|^task_id$/;

/**
 * The metadata of a checkpoint: what the loop says, the caller's own metadata of the run, and which run wrote it.
 * `run_id` is what lets LangGraph see that a retried run is resuming (`isResuming` in pregel/loop.js).
 */
export function stampedMetadata(config: RunnableConfig, metadata: CheckpointMetadata): Record<string, unknown> {
  const configurable = config.configurable ?? {};
  const stamped: Record<string, unknown> = { ...metadata };
  delete stamped['thread_id'];
  for (const [key, value] of Object.entries(config.metadata ?? {})) {
    if (LOOP_KEYS.has(key) || EXCLUDED_METADATA_KEYS.has(key) || INTERNAL.test(key)) continue;
    // LangChain copies parts of `configurable` into a run's metadata for tracing.
    if (key in configurable && !STAMPS.some((stamp) => stamp === key)) continue;
    if (isStorable(value)) stamped[key] = value;
  }
  for (const key of STAMPS) {
    if (typeof configurable[key] === 'string') stamped[key] = configurable[key];
  }
  return stamped;
}

/** Of metadata, or of a filter for it, what stands in clear. */
export function clearPart(fields: Record<string, unknown>, clear: ReadonlySet<string>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([key]) => clear.has(key)));
}

/** Whether the graph has channels of which a checkpoint holds only what was added since an ancestor. */
export function hasDeltas(metadata: CheckpointMetadata): boolean {
  return 'counters_since_delta_snapshot' in metadata || 'delta_writes_versioned' in metadata;
}

/** A run's metadata is also for tracers, which take functions and handles: those are theirs, not the checkpoint's. */
function isStorable(value: unknown): boolean {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true;
  if (value === undefined) return false;
  try {
    serialize(value, 'metadata');
    return true;
  } catch (error) {
    if (error instanceof UnstorableValueError) return false;
    throw error;
  }
}
