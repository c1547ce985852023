import { createHash } from 'node:crypto';
import type { CheckpointMetadata, CheckpointTuple, PendingWrite } from '@langchain/langgraph-checkpoint';
import { requiredAddress } from '../checkpoints/checkpoint-address.ts';
import type { CheckpointDriver, LoadedCheckpoint } from '../drivers/checkpoint-driver.ts';
import { stampedMetadata } from '../checkpoints/checkpoint-metadata.ts';
import type { CheckpointReader } from '../checkpoints/checkpoint-reader.ts';
import { serialize } from '../codec/serialize.ts';

/** What one call of `putWrites` wrote. */
interface SavedWrites {
  task_id: string;
  task_path: string;
  run_id: string | null;
  writes: PendingWrite[];
}

/** A checkpoint with all that was written after it, in the order of storing: enough to store it again, anywhere. */
export interface SavedStep {
  checkpoint_ns: string;
  parent_id: string | null;
  run_id: string | null;
  checkpoint: CheckpointTuple['checkpoint'];
  metadata: CheckpointMetadata;
  writes: SavedWrites[];
}

/** The checkpoints of a thread in the order in which they were stored, one at a time: it may have any number of them. */
export async function* eachCheckpoint(driver: CheckpointDriver, threadId: string): AsyncGenerator<LoadedCheckpoint> {
  for (const { checkpoint_ns, checkpoint_id } of (await driver.outline(threadId)).checkpoints) {
    const loaded = await driver.get(threadId, checkpoint_ns, checkpoint_id);
    if (loaded !== undefined) yield loaded; // else pruned meanwhile
  }
}

/** The same, opened. */
export async function* savedSteps(
  driver: CheckpointDriver,
  reader: CheckpointReader,
  threadId: string,
): AsyncGenerator<SavedStep> {
  for await (const loaded of eachCheckpoint(driver, threadId)) {
    const tuple = await reader.tuple({ ...loaded, writes: [] }, await reader.body(loaded.row));
    const writes = await Promise.all(
      loaded.writes.map(async (row) => ({
        task_id: row.task_id,
        task_path: row.task_path,
        run_id: row.run_id,
        writes: await reader.writes(row, loaded.values),
      })),
    );
    const { checkpoint_ns, parent_id, run_id } = loaded.row;
    yield { checkpoint_ns, parent_id, run_id, ...savedOf(tuple), writes };
  }
}

/** A step of any saver, as far as its tuple tells. */
export function savedStep(tuple: CheckpointTuple, writes: Omit<SavedWrites, 'run_id'>[]): SavedStep {
  const { checkpoint_ns } = requiredAddress(tuple.config);
  const parent: unknown = tuple.parentConfig?.configurable?.['checkpoint_id'];
  const runId: unknown = (tuple.metadata as Record<string, unknown> | undefined)?.['run_id'];
  return {
    checkpoint_ns,
    parent_id: typeof parent === 'string' ? parent : null,
    run_id: typeof runId === 'string' ? runId : null,
    ...savedOf(tuple),
    writes: writes.map(({ task_id, task_path, writes: own }) => ({ task_id, task_path, run_id: null, writes: own })),
  };
}

/** What tells whether two steps are the same, in whichever stores: of the checkpoint, and of each call of `putWrites`. */
export function fingerprints(step: SavedStep): { checkpoint: string; writes: string[]; bytes: number } {
  const { writes, ...rest } = step;
  const texts = [rest, ...writes].map((part) => canonical(serialize(part, 'checkpoint')));
  const [checkpoint = '', ...others] = texts.map((text) => createHash('sha256').update(text).digest('base64url'));
  return { checkpoint, writes: others, bytes: texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) };
}

function savedOf({ checkpoint, metadata }: CheckpointTuple): Pick<SavedStep, 'checkpoint' | 'metadata'> {
  // What no version was given to is what the channel begins with: some savers keep it, and nobody needs it.
  const values = Object.entries(checkpoint.channel_values).filter(([channel]) =>
    Object.hasOwn(checkpoint.channel_versions, channel),
  );
  const kept = { ...checkpoint, channel_values: Object.fromEntries(values) };
  return {
    checkpoint: kept,
    metadata: stampedMetadata({}, metadata ?? ({} as CheckpointMetadata)) as CheckpointMetadata,
  };
}

/** JSON text with sorted keys: stores do not agree on their order. */
function canonical(json: string): string {
  return JSON.stringify(JSON.parse(json), (_key, value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  });
}
