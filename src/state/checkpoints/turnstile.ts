/** Lets the operations of one key through one after the other, while those of other keys pass by. */
export class Turnstile {
  readonly #last = new Map<string, Promise<void>>();

  /** Whether an operation of the key is not done yet. */
  isBusy(key: string): boolean {
    return this.#last.has(key);
  }

  /** Prepares, then starts an operation, after those of the key that came before have been started; waits until it is done. */
  async pass<T>(key: string, prepare: () => Promise<T>, start: (prepared: T) => Promise<void>): Promise<void> {
    const before = this.#last.get(key);
    const started = (async () => {
      await before;
      const done = start(await prepare());
      return { done };
    })();
    const settled = started.then(
      () => {},
      () => {},
    );
    this.#last.set(key, settled);
    try {
      await (
        await started
      ).done;
    } finally {
      if (this.#last.get(key) === settled) this.#last.delete(key);
    }
  }
}
