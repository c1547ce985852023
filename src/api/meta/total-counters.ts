import { Counter, type Registry } from 'prom-client';

/** Counters of totals that others keep. */
export class TotalCounters<Name extends string> {
  readonly #counters: ReadonlyMap<string, Counter>;

  /** @param helps By name, what each counts. */
  constructor(helps: Readonly<Record<Name, string>>, registry: Registry) {
    const registers = [registry];
    this.#counters = new Map(
      Object.entries<string>(helps).map(([name, help]) => [name, new Counter({ name, help, registers })]),
    );
  }

  show(totals: Readonly<Record<Name, number>>): void {
    for (const [name, total] of Object.entries<number>(totals)) {
      const counter = this.#counters.get(name);
      counter?.reset();
      counter?.inc(total);
    }
  }
}
