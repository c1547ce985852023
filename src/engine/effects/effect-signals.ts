import { CHANNELS } from '../../database/channels.ts';
import type { Listener } from '../../database/listener.ts';

/** Tells those who wait for an effect in place that it stands differently. A hint: they look again in any case. */
export class EffectSignals {
  readonly #waiting = new Map<string, Set<() => void>>();
  #unlisten: (() => void) | null = null;

  async start(listener: Listener): Promise<void> {
    this.#unlisten = await listener.listen(CHANNELS.effects, (effectId) => this.#tell(effectId));
  }

  stop(): void {
    this.#unlisten?.();
    this.#tell(null);
  }

  /** Resolves when the effect changed or the time is over. @throws the signal's reason when it is aborted. */
  async change(effectId: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve } = withResolvers();
    const waiting = this.#waiting.get(effectId) ?? new Set();
    this.#waiting.set(effectId, waiting.add(resolve));
    const timer = setTimeout(resolve, timeoutMs);
    signal.addEventListener('abort', resolve, { once: true });
    await promise;
    clearTimeout(timer);
    signal.removeEventListener('abort', resolve);
    waiting.delete(resolve);
    if (waiting.size === 0) this.#waiting.delete(effectId);
    signal.throwIfAborted();
  }

  #tell(effectId: string | null): void {
    const told = effectId === null ? [...this.#waiting.values()] : [this.#waiting.get(effectId) ?? []];
    for (const waiting of told) for (const resolve of waiting) resolve();
  }
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
