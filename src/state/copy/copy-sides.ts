import { InvalidInputError } from '../../core/errors.ts';
import { isMemory, shownStateUrl, stateUrl } from '../../core/state-url.ts';
import type { StateSaver } from '../state-saver.ts';
import type { StateStores } from '../state-stores.ts';
import { isStock, openStock } from './stock-postgres.ts';

export interface CopySidesRequest {
  /** Addresses as a person writes them; null: the project's own store. */
  from: string | null;
  to: string | null;
  /** The graph whose threads are copied, if not all. */
  graphId?: string | undefined;
  /** What relative paths count from. */
  folder: string;
  stores: StateStores;
  open: (url: string, setting: string) => Promise<StateSaver>;
}

/** The two stores of a copy. `close` ends those that were opened for it. */
export interface CopySides {
  from: StateSaver;
  to: StateSaver;
  close: () => Promise<void>;
}

/** @throws InvalidInputError for addresses between which nothing can be copied. */
export async function openSides({ from, to, graphId, folder, stores, open }: CopySidesRequest): Promise<CopySides> {
  const home = stores.of(stores.namesFor(graphId ?? '')[0]);
  const opened: StateSaver[] = [];
  const close = async (): Promise<void> => void (await Promise.all(opened.map((saver) => saver.close())));
  const side = async (text: string | null, flag: '--from' | '--to'): Promise<StateSaver> => {
    const stock = flag === '--from' && text !== null && isStock(text);
    const url = text === null ? stores.urlFor(graphId) : stock ? text : stateUrl(text, folder, flag);
    if (isMemory(url)) throw new InvalidInputError(`${flag} is memory:, which no other process can reach`);
    const known = text === null ? home : stores.at(url);
    if (known !== undefined) return known;
    const saver = stock ? await openStock(url) : await open(url, flag);
    opened.push(saver);
    return saver;
  };
  try {
    const sides = { from: await side(from, '--from'), to: await side(to, '--to'), close };
    if (sides.from === sides.to) throw new InvalidInputError('--from and --to are one store: name another one');
    if (graphId !== undefined && sides.to !== home) {
      throw new InvalidInputError(
        `The threads of graph "${graphId}" are kept in another store than --to${to === null ? '' : ` ${shownStateUrl(to)}`}: leave --to out, or set STATE_URL or baton.graphs.${graphId}.state to it first`,
      );
    }
    return sides;
  } catch (error) {
    await close();
    throw error;
  }
}
