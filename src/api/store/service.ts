import type { Item } from '@langchain/langgraph-checkpoint';
import type { Access } from '../../core/access.ts';
import type { Caller } from '../../core/caller.ts';
import { EmptyNamespaceError, ForbiddenError, NotFoundError, ServiceError } from '../../core/errors.ts';
import { EmbedderError, type LongTermStore } from '../../database/store/long-term-store.ts';
import type { ItemAnswer, ItemDelete, ItemPut, ItemQuery, ItemSearch, NamespaceSearch } from './schemas.ts';

/** What graphs remember across threads, for people and programs outside of them. */
export class StoreService {
  readonly #store: LongTermStore;
  constructor(store: LongTermStore) {
    this.#store = store;
  }

  /** Throws NotFoundError when somebody else's item is in the place. */
  async put(caller: Caller, { index, ttl, ...item }: ItemPut): Promise<void> {
    requireLabels(item.namespace);
    const access = await caller.may('store:put', item);
    const { namespace, key, value } = item;
    if (!access.allows({ ...value, namespace, key })) throw new ForbiddenError('You may not store this item');
    if (isLimited(access) && (await this.#look(item)) && !(await this.#look(item, access))) missing(key);
    await blameTheEmbedder(() => this.#store.putItem({ ...item, index: index ?? undefined, ttl }));
  }

  /** Null when there is none that the caller may read, or its time is over. */
  async get(caller: Caller, { namespace = [], key, refresh_ttl }: ItemQuery): Promise<ItemAnswer | null> {
    const asked = { namespace, key };
    const access = await caller.may('store:get', asked);
    const item = await this.#store.get(asked.namespace, asked.key, { refreshTtl: refresh_ttl, access });
    return item && toAnswer(item);
  }

  /** Whoever may reach only some items is not told whether another is not his or does not exist. */
  async delete(caller: Caller, { namespace = [], key }: ItemDelete): Promise<void> {
    requireLabels(namespace);
    const asked = { namespace, key };
    const access = await caller.may('store:delete', asked);
    if (isLimited(access) && !(await this.#look(asked, access))) missing(asked.key);
    await this.#store.delete(asked.namespace, asked.key);
  }

  async search(caller: Caller, request: ItemSearch): Promise<ItemAnswer[]> {
    const { namespace_prefix: namespace = [], refresh_ttl: refreshTtl, ...rest } = request;
    const asked = { namespace, ...rest };
    const access = await caller.may('store:search', asked);
    const items = await blameTheEmbedder(() => this.#store.search(asked.namespace, { ...asked, refreshTtl, access }));
    return items.map(toAnswer);
  }

  async namespaces(caller: Caller, request: NamespaceSearch): Promise<string[][]> {
    const { prefix: namespace, ...rest } = request;
    if (namespace) requireLabels(namespace);
    if (rest.suffix) requireLabels(rest.suffix);
    const asked = { namespace, ...rest };
    const access = await caller.may('store:list_namespaces', asked);
    const { namespace: prefix, max_depth: maxDepth, ...options } = asked;
    return this.#store.listNamespaces({ ...options, prefix, maxDepth, access });
  }

  #look({ namespace, key }: { namespace: string[]; key: string }, access?: Access): Promise<Item | null> {
    return this.#store.get(namespace, key, { refreshTtl: false, ...(access && { access }) });
  }
}

function requireLabels(namespace: readonly string[]): void {
  if (namespace.length === 0) throw new EmptyNamespaceError();
}

function isLimited(access: Access): boolean {
  return Object.keys(access.contains).length > 0;
}

function missing(key: string): never {
  throw new NotFoundError('Item', key);
}

function toAnswer({ namespace, key, value, createdAt, updatedAt, ...rest }: Item & { score?: number }): ItemAnswer {
  return {
    namespace,
    key,
    value: value as ItemAnswer['value'],
    created_at: createdAt.toISOString(),
    updated_at: updatedAt.toISOString(),
    ...(rest.score !== undefined && { score: rest.score }),
  };
}

/** The caller can do nothing about it but come back. */
async function blameTheEmbedder<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof EmbedderError) throw new ServiceError('unavailable', error.message, { cause: error });
    throw error;
  }
}
