import type { RunnableConfig } from '@langchain/core/runnables';
import { getCheckpointId } from '@langchain/langgraph-checkpoint';
import { InvalidInputError } from '../../core/errors.ts';
import { FENCING_TOKEN_KEY } from '../../core/fencing.ts';
import type { CheckpointKey } from '../drivers/checkpoint-driver.ts';

/** Which checkpoint a config means: one, or without an id the latest of the namespace. */
export interface Address {
  thread_id: string;
  checkpoint_ns: string;
  checkpoint_id: string | undefined;
}

/** The address in a config, or undefined when it names no thread. */
export function addressOf(config: RunnableConfig): Address | undefined {
  const { thread_id: threadId, checkpoint_ns: checkpointNs } = config.configurable ?? {};
  if (typeof threadId !== 'number' && (typeof threadId !== 'string' || threadId === '')) return undefined;
  return {
    thread_id: String(threadId),
    checkpoint_ns: typeof checkpointNs === 'string' ? checkpointNs : '',
    checkpoint_id: getCheckpointId(config) || undefined,
  };
}

/** @throws InvalidInputError when the config names no thread. */
export function requiredAddress(config: RunnableConfig): Address {
  const address = addressOf(config);
  if (address === undefined) {
    throw new InvalidInputError('A graph with a saver needs a thread: pass { configurable: { thread_id } }');
  }
  return address;
}

export function configOf({ thread_id, checkpoint_ns, checkpoint_id }: CheckpointKey): RunnableConfig {
  return { configurable: { thread_id, checkpoint_ns, checkpoint_id } };
}

/** What the engine hands to the saver: the right to write, and which run is writing. */
export function writerOf(config: RunnableConfig): { token: number | undefined; run_id: string | null } {
  const { [FENCING_TOKEN_KEY]: token, run_id: runId } = config.configurable ?? {};
  const id: unknown = runId ?? config.metadata?.['run_id'];
  return { token: token === undefined ? undefined : Number(token), run_id: typeof id === 'string' ? id : null };
}
