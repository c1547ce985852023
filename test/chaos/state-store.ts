import type { Pool } from 'pg';
import { pino } from 'pino';
import type { DurableSaver } from '../../src/state/durable-saver.ts';
import { openState } from '../../src/state/open-state.ts';
import type { Violation } from './checks.ts';
import type { Begun } from './outside-world.ts';

/** Checkpoints that are kept elsewhere than in the suite's Postgres, as one who only looks sees them. */
export class StateStore {
  readonly #saver: DurableSaver;

  private constructor(saver: DurableSaver) {
    this.#saver = saver;
  }

  static async open(url: string): Promise<StateStore> {
    return new StateStore(await openState({ url, log: pino({ level: 'error' }) }));
  }

  /** What is stored of a task: its writes, or the checkpoint that they led to. Null: nothing, or that it failed. */
  async storedOf({ thread_id, task, checkpoint_id, comes_back }: Begun): Promise<string | null> {
    if (checkpoint_id === null) return null;
    const { checkpoints } = await this.#saver.outline(thread_id);
    const child = checkpoints.find(
      ({ checkpoint_ns, parent_id }) => checkpoint_ns === '' && parent_id === checkpoint_id,
    );
    if (child !== undefined) return `checkpoint ${child.checkpoint_id}`;
    if (comes_back) return null;
    const tuple = await this.#saver.getTuple({ configurable: { thread_id, checkpoint_ns: '', checkpoint_id } });
    const taskId = task.split(':')[1];
    const channels = (tuple?.pendingWrites ?? []).filter(([id]) => id === taskId).map(([, channel]) => channel);
    return channels.length === 0 || channels.includes('__error__') ? null : channels.join(' ');
  }

  /** What rules about checkpoints the store breaks. */
  async violations(pool: Pool): Promise<Violation[]> {
    const found: Violation[] = [];
    const { rows } = await pool.query<{ thread_id: string }>('select thread_id from baton.threads');
    const known = new Set(rows.map(({ thread_id }) => thread_id));
    for (const thread_id of await this.#saver.threads(1_000_000)) {
      if (!known.has(thread_id)) found.push({ rule: 'nothing is left that belongs to nothing', detail: thread_id });
      const { checkpoints } = await this.#saver.outline(thread_id);
      const parents = checkpoints.map(({ checkpoint_ns, parent_id }) => JSON.stringify([checkpoint_ns, parent_id]));
      for (const twice of parents.filter((parent, at) => parents.indexOf(parent) !== at)) {
        found.push({ rule: 'a history without forks is one line', detail: `${thread_id}: two children of ${twice}` });
      }
    }
    return found;
  }

  async close(): Promise<void> {
    await this.#saver.close();
  }
}
