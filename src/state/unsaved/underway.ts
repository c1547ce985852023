/** What was begun and is not done yet, by key. */
export class Underway {
  readonly #work = new Map<string, Set<Promise<unknown>>>();

  track<T>(key: string, work: Promise<T>): Promise<T> {
    const all = this.#work.get(key) ?? new Set();
    this.#work.set(key, all.add(work));
    const settled = (): void => {
      all.delete(work);
      if (all.size === 0 && this.#work.get(key) === all) this.#work.delete(key);
    };
    work.then(settled, settled);
    return work;
  }

  /** Resolves when all of it is done. @throws what the first of it fails with. */
  async settled(key: string): Promise<void> {
    const all = this.#work.get(key);
    if (all !== undefined) await Promise.all(all);
  }
}
