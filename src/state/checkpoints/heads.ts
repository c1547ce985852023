import type { CheckpointKey } from '../drivers/checkpoint-driver.ts';
import { type CheckpointBody, idsOfSlots, type Slot, slotsOf } from '../values/packed-values.ts';

/** What is known of a checkpoint that may get a child: enough to write the child without reading it. */
export interface Head {
  checkpoint_id: string;
  channel_versions: Record<string, unknown>;
  slots: ReadonlyMap<string, Slot>;
  /** Ids of big values that are stored for certain as long as this checkpoint is there. */
  stored: Set<string>;
}

/** The last checkpoint seen of each thread and namespace. Only a cache: it may forget any of them at any time. */
export class Heads {
  readonly #limit: number;
  /** In the order of their last change. A head that was only read is unpacked when it is asked for. */
  readonly #heads = new Map<string, Head | { checkpoint_id: string; body: string }>();

  constructor(limit = 500) {
    this.#limit = limit;
  }

  get(threadId: string, checkpointNs: string, checkpointId: string): Head | undefined {
    const head = this.#heads.get(keyOf(threadId, checkpointNs));
    if (head?.checkpoint_id !== checkpointId) return undefined;
    return 'body' in head ? headOf(checkpointId, head.body) : head;
  }

  set({ thread_id, checkpoint_ns }: CheckpointKey, head: Head): void {
    this.#add(keyOf(thread_id, checkpoint_ns), head);
  }

  /** Keeps a checkpoint that was read. */
  remember({ thread_id, checkpoint_ns, checkpoint_id }: CheckpointKey, body: string): void {
    const key = keyOf(thread_id, checkpoint_ns);
    // What a writer knows of the same checkpoint is more.
    if (this.#heads.get(key)?.checkpoint_id !== checkpoint_id) this.#add(key, { checkpoint_id, body });
  }

  forget(threadId: string): void {
    const prefix = keyOf(threadId, '');
    for (const key of this.#heads.keys()) if (key.startsWith(prefix)) this.#heads.delete(key);
  }

  #add(key: string, head: Head | { checkpoint_id: string; body: string }): void {
    this.#heads.delete(key);
    this.#heads.set(key, head);
    if (this.#heads.size <= this.#limit) return;
    const [oldest] = this.#heads.keys();
    if (oldest !== undefined) this.#heads.delete(oldest);
  }
}

export function headOf(checkpointId: string, text: string): Head {
  const body = JSON.parse(text) as CheckpointBody;
  const slots = slotsOf(body);
  return {
    checkpoint_id: checkpointId,
    channel_versions: body.checkpoint.channel_versions,
    slots,
    stored: new Set(idsOfSlots(slots.values())),
  };
}

function keyOf(threadId: string, checkpointNs: string): string {
  return `${JSON.stringify(threadId)}:${checkpointNs}`;
}
