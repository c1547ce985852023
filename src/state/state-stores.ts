import { ConflictError } from '../core/errors.ts';
import { DEFAULT_STORE, storeSetting } from '../core/state-store.ts';
import { isMemory, shownStateUrl } from '../core/state-url.ts';
import type { StateSaver } from './state-saver.ts';

export interface StateStoresOptions {
  /** Where the threads of graphs that name no store are kept. */
  url: string;
  /** By graph id; `state`: where the threads of the graph are kept. */
  graphs: Readonly<Record<string, { readonly state?: string | undefined }>>;
  /** Called once for each address. */
  open: (url: string, setting: string) => Promise<StateSaver>;
}

/** All stores of a server. Which of them has a thread, its row says (`state_store`). */
export class StateStores {
  readonly #savers: ReadonlyMap<string, StateSaver>;
  /** By the name under which rows name the store. */
  readonly #urls: ReadonlyMap<string, string>;

  private constructor(urls: ReadonlyMap<string, string>, savers: ReadonlyMap<string, StateSaver>) {
    this.#urls = urls;
    this.#savers = savers;
  }

  static async open({ url, graphs, open }: StateStoresOptions): Promise<StateStores> {
    const urls = new Map([[DEFAULT_STORE, url]]);
    for (const [graphId, { state }] of Object.entries(graphs)) if (state !== undefined) urls.set(graphId, state);
    const savers = new Map<string, StateSaver>();
    const stores = new StateStores(urls, savers);
    try {
      for (const [name, each] of urls) {
        if (!savers.has(each)) savers.set(each, await open(each, storeSetting(name)));
      }
    } catch (error) {
      await stores.close();
      throw error;
    }
    return stores;
  }

  /** The saver of a thread, by the name in its row. @throws ConflictError when langgraph.json has that store no more. */
  of(name: string | null): StateSaver {
    const saver = this.find(name);
    if (saver !== undefined) return saver;
    throw new ConflictError(
      `The thread's state is in the store that graph "${name}" had, and langgraph.json names none for it any more: set baton.graphs.${name}.state again, or move its threads with "baton state copy --graph ${name} --from <that store>"`,
    );
  }

  /** As `of`; undefined when langgraph.json has that store no more. */
  find(name: string | null): StateSaver | undefined {
    return this.#savers.get(this.#urls.get(name ?? DEFAULT_STORE) ?? '');
  }

  /** The names that mean the store of a graph's threads; the first is the one to write down. */
  namesFor(graphId: string): readonly [string, ...string[]] {
    const own = this.#urls.has(graphId) ? graphId : DEFAULT_STORE;
    const url = this.#urls.get(own);
    const [first = own, ...others] = [...this.#urls].filter(([, other]) => other === url).map(([name]) => name);
    return [first, ...others];
  }

  /** Where the threads of a graph are kept; of no graph in particular: the default. */
  urlFor(graphId = DEFAULT_STORE): string {
    return this.#urls.get(graphId) ?? this.#urls.get(DEFAULT_STORE) ?? '';
  }

  /** The saver over an address, if it is one of these stores. */
  at(url: string): StateSaver | undefined {
    return this.#savers.get(url);
  }

  get all(): StateSaver[] {
    return [...this.#savers.values()];
  }

  /** Those that outlive the process, by each name under which rows name them. */
  get lasting(): { name: string; shown: string; saver: StateSaver }[] {
    return [...this.#urls].flatMap(([name, url]) => {
      const saver = this.#savers.get(url);
      return saver === undefined || isMemory(url) ? [] : [{ name, shown: shownStateUrl(url), saver }];
    });
  }

  get checkpointsWritten(): number {
    return this.all.reduce((sum, saver) => sum + saver.checkpointsWritten, 0);
  }

  /** Where state is kept, without secrets. */
  get shown(): { default: string; graphs: Record<string, string> } {
    const [first, ...graphs] = [...this.#urls].map(([name, url]): [string, string] => [name, shownStateUrl(url)]);
    return { default: first?.[1] ?? '', graphs: Object.fromEntries(graphs) };
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((saver) => saver.close()));
  }
}
