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
  readonly #reader: ValueReader;
  #read: { value: unknown } | undefined;
  #loading: Promise<void> | undefined;

  constructor(reader: ValueReader) {
    this.#reader = reader;
  }

  get value(): unknown {
    this.#read ??= { value: this.#reader.now() };
    return this.#read.value;
  }

  /** Reads it without blocking anybody. */
  async load(): Promise<void> {
    if (this.#read !== undefined) return;
    this.#loading ??= this.#reader.soon().then((value) => void (this.#read ??= { value }));
    await this.#loading;
  }

  /** Whoever shows a state, shows the value. */
  toJSON(): unknown {
    return this.value;
  }
}
