import { Access, type Guarded } from '../../core/access.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Database } from '../database.ts';
import { Filter } from '../filter.ts';
import { contains } from '../../core/json-contains.ts';
import { OF_NO_THREAD } from '../../core/data-key.ts';
import { matchesFilter } from './matches-filter.ts';
import { addItemFilter } from './item-filter.ts';
import { decodeLabel, encodeLabel, fromPath, toPath } from './namespace-path.ts';

export interface StoredItem {
  namespace: string[];
  key: string;
  value: JsonObject;
  created_at: string;
  updated_at: string;
  expires: boolean;
  /** How like the query it is, 1 being the same. Only with a query. */
  score?: number;
}

export interface ItemSearch {
  prefix: readonly string[];
  filter: Readonly<Record<string, unknown>>;
  /** What the query means, for a search by likeness. */
  vector: readonly number[] | null;
  limit: number;
  offset: number;
}

/** `*` stands for any one label. */
export interface NamespaceSearch {
  prefix: readonly string[];
  suffix: readonly string[];
  /** Longer namespaces are cut to this many labels. */
  maxDepth: number | undefined;
  limit: number;
  offset: number;
}

type ItemRow = Omit<StoredItem, 'namespace'> & { namespace_path: string };

const COLUMNS = 'namespace_path, key, value, created_at, updated_at, expires_at is not null as expires';
const SEALED_PAGE = 200;
const ALIVE = '(expires_at is null or expires_at > now())';

/**
 * Reads the tables of PostgresStore, which writes them. Its own reads answer items of other namespaces, leave out filters that
 * they do not know, and move `updated_at`: `docs/decisions/0005-the-store-reads-by-itself.md`.
 */
export class StoreItems implements Guarded<StoreItems> {
  readonly #db: Database;
  readonly #access: Access;
  constructor(database: Database, access = Access.everything) {
    this.#db = database;
    this.#access = access;
  }

  /** An item's metadata are the fields of its value, its `namespace` and its `key`. */
  within(access: Access): StoreItems {
    return new StoreItems(this.#db, access);
  }

  async get(namespace: readonly string[], key: string): Promise<StoredItem | null> {
    const conditions = this.#reachable().and('namespace_path = ?', toPath(namespace)).and('key = ?', key);
    const [row] = await this.#db.query<ItemRow>(
      `select ${COLUMNS} from baton_store.store ${whereAlive(conditions)}`,
      conditions.values,
    );
    const item = row ? toItem(row) : null;
    return item && this.#allows(item) ? item : null;
  }

  /** In the order of likeness, else the latest change first. */
  async search(search: ItemSearch): Promise<StoredItem[]> {
    return this.#db.sealing === null ? this.#find(search) : this.#findSealed(search);
  }

  async #find({ prefix, filter, vector, limit, offset }: ItemSearch): Promise<StoredItem[]> {
    const conditions = this.#reachable();
    addPrefix(conditions, prefix);
    addItemFilter(conditions, filter);
    const likeness = vector
      ? `join lateral (
           select 1 - min(embedding <=> ${conditions.param(JSON.stringify(vector))}::vector) score
           from baton_store.store_vectors v where v.namespace_path = item.namespace_path and v.key = item.key
         ) likeness on score is not null`
      : '';
    const rows = await this.#db.query<ItemRow>(
      `select ${COLUMNS}${vector ? ', score' : ''} from baton_store.store item ${likeness} ${whereAlive(conditions)}
       order by ${vector ? 'score' : 'updated_at'} desc, namespace_path, key
       limit ${conditions.param(limit)} offset ${conditions.param(offset)}`,
      conditions.values,
    );
    return rows.map(toItem);
  }

  /** What cannot be seen in the store is compared here, page by page. */
  async #findSealed({ filter, limit, offset, ...search }: ItemSearch): Promise<StoredItem[]> {
    const wanted = offset + limit;
    const found: StoredItem[] = [];
    for (let from = 0; found.length < wanted; from += SEALED_PAGE) {
      const page = await this.#find({ ...search, filter: {}, limit: SEALED_PAGE, offset: from });
      found.push(...page.filter((item) => this.#allows(item) && matchesFilter(item.value, filter)));
      if (page.length < SEALED_PAGE) break;
    }
    return found.slice(offset, wanted);
  }

  /** How the value is kept. */
  async stored(namespace: readonly string[], key: string, value: JsonObject): Promise<JsonObject> {
    const cells = await this.#db.cells(OF_NO_THREAD);
    if (this.#db.sealing === null) return value;
    return JSON.parse(await cells.json(['item.value', `${toPath(namespace)} ${key}`], value)) as JsonObject;
  }

  /** As far as SQL could not tell. */
  #allows({ value, key }: StoredItem): boolean {
    if (this.#db.sealing === null) return true;
    const { namespace: _, ...asked } = this.#access.contains;
    return contains({ ...value, key }, asked);
  }

  async namespaces({ prefix, suffix, maxDepth, limit, offset }: NamespaceSearch): Promise<string[][]> {
    const conditions = this.#reachable();
    conditions.and('cardinality(labels) >= ?', Math.max(prefix.length, suffix.length));
    prefix.forEach((label, i) => addLabel(conditions, `labels[${i + 1}]`, label));
    suffix.forEach((label, i) => addLabel(conditions, `labels[cardinality(labels) - ${suffix.length - i - 1}]`, label));
    const shown = maxDepth === undefined ? 'labels' : `labels[1:${conditions.param(maxDepth)}]`;
    const rows = await this.#db.query<{ shown: string[] }>(
      `select distinct ${shown} as shown
       from baton_store.store
       cross join lateral (select string_to_array(namespace_path collate "C", ':') labels) split
       ${whereAlive(conditions)} order by shown limit ${conditions.param(limit)} offset ${conditions.param(offset)}`,
      conditions.values,
    );
    return rows.map((row) => row.shown.map(decodeLabel));
  }

  #reachable(): Filter {
    const { namespace, ...asked } = this.#access.contains;
    const conditions = new Filter();
    if (Object.keys(asked).length > 0 && this.#db.sealing === null)
      conditions.and(`value || jsonb_build_object('key', key) @> ?::jsonb`, JSON.stringify(asked));
    if (namespace !== undefined) {
      const labels = Array.isArray(namespace) ? namespace.filter((label) => typeof label === 'string') : [];
      // A namespace is a list of texts: a rule that asks for anything else holds for none.
      const canHold = Array.isArray(namespace) && labels.length === namespace.length;
      conditions.and(`string_to_array(namespace_path, ':') @> ?`, canHold ? labels.map(encodeLabel) : null);
    }
    return conditions;
  }

  /** For items that expire: how long they live from each time that they are used. */
  async keepTtl(namespace: readonly string[], key: string, minutes: number): Promise<void> {
    await this.#db.query(
      `update baton_store.store set ttl_minutes = $3, expires_at = now() + $3 * interval '1 minute'
       where namespace_path = $1 and key = $2 and expires_at is not null`,
      [toPath(namespace), key, minutes],
    );
  }

  /** Those of the items that expire live their time anew. */
  async refresh(items: readonly StoredItem[]): Promise<void> {
    const expiring = items.filter((item) => item.expires);
    if (expiring.length === 0) return;
    await this.#db.query(
      `update baton_store.store set expires_at = now() + ttl_minutes * interval '1 minute'
       where (namespace_path, key) in (select * from unnest($1::text[], $2::text[]))
         and ttl_minutes is not null and expires_at > now()`,
      [expiring.map((item) => toPath(item.namespace)), expiring.map((item) => item.key)],
    );
  }
}

function whereAlive(conditions: Filter): string {
  return `${conditions.where === '' ? 'where' : `${conditions.where} and`} ${ALIVE}`;
}

function addPrefix(conditions: Filter, prefix: readonly string[]): void {
  if (prefix.length === 0) return;
  const path = toPath(prefix); // has none of LIKE's wildcards
  conditions.and(`(namespace_path = ${conditions.param(path)} or namespace_path like ?)`, `${path}:%`);
}

function addLabel(conditions: Filter, place: string, label: string): void {
  if (label !== '*') conditions.and(`${place} = ?`, encodeLabel(label));
}

function toItem({ namespace_path, ...row }: ItemRow): StoredItem {
  return { namespace: fromPath(namespace_path), ...row };
}
