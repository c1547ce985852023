import type { Item, Operation, OperationResults } from '@langchain/langgraph-checkpoint';
import { PostgresStore, type SearchItem } from '@langchain/langgraph-checkpoint-postgres/store';
import type { Logger } from 'pino';
import type { Access } from '../../core/access.ts';
import { outliveConnections } from '../../core/connection-loss.ts';
import type { Embedder } from '../../core/embedder.ts';
import { InvalidInputError, messageOf } from '../../core/errors.ts';
import { jsonFault, type JsonObject } from '../../core/json.ts';
import { Database } from '../database.ts';
import { encodeLabel, keyFault, namespaceFault } from './namespace-path.ts';
import { StoreItems, type StoredItem } from './store-items.ts';
import { prepareTables } from './tables.ts';

export interface LongTermStoreOptions {
  database: Database;
  log: Logger;
  /** For searches by likeness. `fields` as `title` or `chapters[*].text`; `$` is the whole value. */
  index: { embedder: Embedder; dims: number; fields: readonly string[] } | null;
  ttl: StoreTtl;
}

interface StoreTtl {
  /** Null: an item lives for ever, unless it was put with a time to live. */
  defaultMinutes: number | null;
  /** Whether reading an item gives it its whole time to live again, where the reader does not say. */
  refreshOnRead: boolean;
}

export interface NewItem {
  namespace: string[];
  key: string;
  value: Record<string, unknown>;
  /** Fields to index instead of the usual; false for none. */
  index?: false | string[] | undefined;
  /** Minutes; null for an item that does not expire where others do. */
  ttl?: number | null | undefined;
}

type SearchOptions = Omit<NonNullable<Parameters<PostgresStore['search']>[1]>, 'filter'> & {
  filter?: Record<string, unknown> | undefined;
  access?: Access;
};
type NamespaceOptions = NonNullable<Parameters<PostgresStore['listNamespaces']>[0]> & { access?: Access };
type MatchCondition = { matchType: 'prefix' | 'suffix'; path: readonly string[] };

/** An embedder answers when it likes, and PostgresStore holds a connection meanwhile: not one that the queue needs. */
const INDEXING_CONNECTIONS = 8;

/** The embedder failed, or gives other vectors than the store keeps. */
export class EmbedderError extends Error {
  override readonly name = 'EmbedderError';
}

/** What graphs remember across threads: PostgresStore's tables, writes and index, with reads that keep namespaces apart. */
export class LongTermStore extends PostgresStore {
  readonly #items: StoreItems;
  readonly #options: LongTermStoreOptions;
  /** Of its own only where it indexes. */
  readonly #writing: Database;

  private constructor(options: LongTermStoreOptions, writing: Database) {
    const { index } = options;
    super({
      connectionOptions: {}, // of a pool that is never used
      schema: 'baton_store',
      ensureTables: false,
      ...(index && { index: { ...index, fields: [...index.fields], embed: embedderOf(index) } }),
    });
    this.#options = options;
    this.#writing = writing;
    this.#items = new StoreItems(options.database);
    // It takes no pool from outside: https://github.com/langchain-ai/langgraphjs/issues/1966
    Object.assign(Reflect.get(this, 'core'), { pool: writing.pool });
  }

  /** @throws InvalidInputError when an index is asked for and the database has no pgvector, or holds vectors of another size. */
  static async open(options: LongTermStoreOptions): Promise<LongTermStore> {
    const { database, log, index } = options;
    if (index && database.sealing) {
      throw new InvalidInputError(
        'store.index of langgraph.json cannot be had with an encrypted store, as vectors tell what texts say: take "index" out',
      );
    }
    const { url } = database;
    const own = { url, log, applicationName: 'baton store', maxConnections: INDEXING_CONNECTIONS };
    const store = new LongTermStore(options, index ? new Database(own) : database);
    try {
      await prepareTables(database, { dims: index?.dims ?? null, createTables: () => store.setup() });
      return store;
    } catch (error) {
      await store.stop();
      throw error;
    }
  }

  /** Graphs come through here. One after another: what a node puts, its next search finds. */
  override async batch<Op extends Operation[]>(operations: Op): Promise<OperationResults<Op>> {
    const results: unknown[] = [];
    for (const operation of operations) results.push(await this.#perform(operation));
    return results as OperationResults<Op>;
  }

  override async put(...[namespace, key, value, index, options]: Parameters<PostgresStore['put']>): Promise<void> {
    await this.putItem({ namespace, key, value, index, ttl: options?.ttl });
  }

  /** @throws InvalidInputError for what cannot be stored, EmbedderError: then the item is stored and not indexed. */
  async putItem({ namespace, key, value, index, ttl = this.#options.ttl.defaultMinutes }: NewItem): Promise<void> {
    refuse('namespace', namespaceFault(namespace) ?? rootFault(namespace));
    refuse('key', keyFault(key));
    const fault = jsonFault(value, 'value');
    if (fault) throw new InvalidInputError(`The store cannot keep this item: ${fault}`);
    // The stock class leaves the vectors of an item's last value where it is told to make none.
    const fields = index === false && this.#options.index ? [] : index;
    await outliveConnections(async () => {
      const stored = await this.#items.stored(namespace, key, value as JsonObject);
      await super.put(namespace.map(encodeLabel), key, stored, fields, ttl === null ? {} : { ttl });
      if (ttl !== null) await this.#items.keepTtl(namespace, key, ttl);
    });
  }

  override async get(
    namespace: string[],
    key: string,
    { refreshTtl, access }: { refreshTtl?: boolean | undefined; access?: Access } = {},
  ): Promise<Item | null> {
    if (namespaceFault(namespace) ?? keyFault(key)) return null;
    const item = await outliveConnections(() => this.#within(access).get(namespace, key));
    if (item) await this.#refresh([item], refreshTtl);
    return item && toItem(item);
  }

  override async delete(namespace: string[], key: string): Promise<void> {
    if (namespace.length === 0 || (namespaceFault(namespace) ?? rootFault(namespace) ?? keyFault(key))) return;
    await outliveConnections(() => super.delete(namespace.map(encodeLabel), key));
  }

  /** Without an index the query is passed over, as the official servers do. The stock class would look for its words. */
  override async search(namespacePrefix: string[], options: SearchOptions = {}): Promise<SearchItem[]> {
    const { filter = {}, query, limit = 10, offset = 0, refreshTtl, access } = options;
    const { index } = this.#options;
    refuse('namespace_prefix', namespaceFault(namespacePrefix));
    const fault = jsonFault(filter, 'filter');
    if (fault) throw new InvalidInputError(fault);
    const vector = query && index ? await embedQuery(index, query) : null;
    const items = await outliveConnections(() =>
      this.#within(access).search({ prefix: namespacePrefix, filter, vector, limit, offset }),
    );
    await this.#refresh(items, refreshTtl);
    return items.map(toItem);
  }

  override async listNamespaces(options: NamespaceOptions = {}): Promise<string[][]> {
    const { prefix = [], suffix = [], maxDepth, limit = 100, offset = 0, access } = options;
    refuse('prefix', namespaceFault(prefix));
    refuse('suffix', namespaceFault(suffix));
    return outliveConnections(() => this.#within(access).namespaces({ prefix, suffix, maxDepth, limit, offset }));
  }

  override async stop(): Promise<void> {
    if (this.#writing !== this.#options.database) await this.#writing.close();
  }

  async #perform(operation: Operation): Promise<unknown> {
    if ('namespacePrefix' in operation) {
      return this.search(operation.namespacePrefix, operation);
    }
    if ('value' in operation) {
      const { namespace, key, value, index } = operation;
      return value === null ? this.delete(namespace, key) : this.put(namespace, key, value, index);
    }
    if ('key' in operation) return this.get(operation.namespace, operation.key);
    const { matchConditions = [], ...options } = operation;
    return this.listNamespaces({
      ...options,
      prefix: pathOf(matchConditions, 'prefix'),
      suffix: pathOf(matchConditions, 'suffix'),
    } as NamespaceOptions);
  }

  /** A graph reaches everything: what it may show to whom is its author's to say. */
  #within(access: Access | undefined): StoreItems {
    return access ? this.#items.within(access) : this.#items;
  }

  async #refresh(items: StoredItem[], asked: boolean | undefined): Promise<void> {
    if (asked ?? this.#options.ttl.refreshOnRead) await outliveConnections(() => this.#items.refresh(items));
  }
}

function pathOf(conditions: readonly MatchCondition[], type: MatchCondition['matchType']): readonly string[] {
  return conditions.find(({ matchType }) => matchType === type)?.path ?? [];
}

function toItem({ created_at, updated_at, expires: _expires, ...item }: StoredItem): SearchItem {
  return { ...item, createdAt: new Date(created_at), updatedAt: new Date(updated_at) };
}

function refuse(what: string, fault: string | null): void {
  if (fault) throw new InvalidInputError(`${what} ${fault}`);
}

/** LangGraph keeps that root for itself. */
function rootFault([root]: readonly string[]): string | null {
  if (root === undefined) return 'is empty';
  return root === 'langgraph' ? 'begins with "langgraph", which is reserved' : null;
}

type Index = NonNullable<LongTermStoreOptions['index']>;

function embedderOf(index: Index): (texts: string[]) => Promise<number[][]> {
  return (texts) => checked(index, () => index.embedder.embedDocuments(texts));
}

async function embedQuery(index: Index, query: string): Promise<number[] | null> {
  const [vector = null] = await checked(index, async () => [await index.embedder.embedQuery(query)]);
  return vector;
}

/** The stock class leaves vectors of another length out without a word. */
async function checked({ dims }: Index, embed: () => Promise<number[][]>): Promise<number[][]> {
  let vectors: number[][];
  try {
    vectors = await embed();
  } catch (error) {
    throw new EmbedderError(`The embedder of store.index failed: ${messageOf(error)}`, { cause: error });
  }
  const wrong = vectors.find((vector) => vector.length !== dims);
  if (!wrong) return vectors;
  throw new EmbedderError(
    `The embedder of store.index gives vectors of ${wrong.length} numbers, and langgraph.json says "dims": ${dims}`,
  );
}
