import type { RunnableConfig } from '@langchain/core/runnables';

/**
 * In `config.configurable`, from the engine to the saver: the names of channels (a set) whose values may come as
 * {@link DeferredValue} where reading them is a way to the blob store. Only who looks through them may ask for that.
 */
export const READ_LATER_KEY = '__baton_read_later';

/** A subgraph has its values read: nobody looks through them there. */
export function readLater({ configurable }: RunnableConfig): ReadonlySet<string> | undefined {
  const { [READ_LATER_KEY]: names, checkpoint_ns: ns = '' } = configurable ?? {};
  return ns === '' && names instanceof Set ? (names as Set<string>) : undefined;
}

interface ValueReader {
  /** Blocks the thread. */
  now(): unknown;
  soon(): Promise<unknown>;
}

/** The value of a channel that is read when somebody looks at it: once, whoever looks. */
export class DeferredValue {
  /** Let go when it is read, with all that it holds. */
  #reader: ValueReader | null;
  #value: unknown;
  #loading: Promise<void> | undefined;

  constructor(reader: ValueReader) {
    this.#reader = reader;
  }

  get value(): unknown {
    if (this.#reader !== null) this.#keep(this.#reader.now());
    return this.#value;
  }

  /** Reads it without blocking anybody. One that failed may be tried again. */
  async load(): Promise<void> {
    if (this.#reader === null) return;
    this.#loading ??= this.#reader
      .soon()
      .then((value) => this.#keep(value))
      .finally(() => (this.#loading = undefined));
    await this.#loading;
  }

  /** Whoever shows a state, shows the value. */
  toJSON(): unknown {
    return this.value;
  }

  /** The first one read is it, so that all have the same object. */
  #keep(value: unknown): void {
    if (this.#reader === null) return;
    this.#value = value;
    this.#reader = null;
  }
}
