import type { Guarded } from '../../core/access.ts';
import type { Caller } from '../../core/caller.ts';
import type { Effect } from '../../core/effect.ts';
import type { Json } from '../../core/json.ts';
import type { Effects } from '../../database/effects.ts';

/** What the nodes of a thread did to the world, and what they wait for. */
export class EffectService {
  readonly #effects: Guarded<Effects>;
  constructor(effects: Guarded<Effects>) {
    this.#effects = effects;
  }

  /** Oldest first. Throws NotFoundError. */
  async list(caller: Caller, threadId: string, page: { limit: number; offset: number }): Promise<Effect[]> {
    const access = await caller.may('threads:read', { thread_id: threadId });
    return this.#effects.within(access).list(threadId, page);
  }

  /** Ends sleeps early. Returns how many. Throws NotFoundError. */
  async wake(caller: Caller, threadId: string, name: string | null): Promise<number> {
    const access = await caller.may('threads:update', { thread_id: threadId });
    return this.#effects.within(access).wake(threadId, name);
  }

  /** Tells a thread something. False: it was told before, under the same id. Throws NotFoundError. */
  async tell(
    caller: Caller,
    threadId: string,
    event: { name: string; payload: Json; event_id: string | null },
  ): Promise<boolean> {
    const access = await caller.may('threads:update', { thread_id: threadId });
    return this.#effects.within(access).tell(threadId, event);
  }
}
