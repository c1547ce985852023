import type { DataKeys } from '../../core/data-key.ts';
import { OF_NO_THREAD } from '../../core/data-key.ts';
import { keyIdOf } from '../../core/envelope.ts';
import { InvalidInputError, ServiceError } from '../../core/errors.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import { unsealText } from '../../core/sealed-text.ts';
import {
  type CellPlace,
  type Cells,
  type Entity,
  isEmpty,
  isSealedField,
  SEALED_FIELD,
  SEALED_TEXT,
  SealedCells,
} from './cells.ts';

type Row = Record<string, unknown>;

/** Rows whose keys may be asked for at the same time: a key service has its limits. */
const AT_ONCE = 8;

/** The columns of results that hold nothing in clear, with what a row may be about. A column that can hold what users said belongs here. */
const COLUMNS: Readonly<Record<string, readonly Entity[]>> = {
  kwargs: ['run'],
  auth_user: ['run', 'cron'],
  error: ['run', 'thread', 'effect'],
  config: ['thread', 'assistant'],
  context: ['assistant'],
  description: ['assistant'],
  values: ['thread'],
  interrupts: ['thread'],
  payload: ['cron', 'told'],
  headers: ['cron'],
  url: ['run'],
  last_error: ['delivery'],
  shown_key: ['effect'],
  data: ['event', 'part'],
  value: ['item'],
};

/** The id to which a row's cells are bound, from the row. */
const ID_OF: Record<Entity, (row: Row) => unknown> = {
  run: (row) => row['run_id'],
  thread: (row) => row['thread_id'],
  assistant: (row) => row['assistant_id'],
  cron: (row) => row['cron_id'],
  effect: (row) => row['effect_id'],
  told: (row) => `${String(row['thread_id'])} ${String(row['name'])}`,
  event: (row) => `${String(row['run_id'])} ${String(row['seq'])}`,
  part: (row) => `${String(row['run_id'])} ${String(row['id'])}`,
  delivery: (row) => row['delivery_id'],
  item: (row) => `${String(row['namespace_path'])} ${String(row['key'])}`,
};

export interface SealingOptions {
  keys: DataKeys;
  /** Whether what was stored before the store was encrypted is read. */
  readsPlain: boolean;
  clearMetadata: ReadonlySet<string>;
}

/** Seals what the control plane keeps of users: each column on its way in, and all of a result on its way out. */
export class Sealing {
  readonly readsPlain: boolean;
  readonly #keys: DataKeys;
  readonly #clear: ReadonlySet<string>;

  constructor({ keys, readsPlain, clearMetadata }: SealingOptions) {
    this.#keys = keys;
    this.readsPlain = readsPlain;
    this.#clear = clearMetadata;
  }

  /** Before a transaction, which would wait for the key with its locks. */
  async cells(threadId: string): Promise<Cells> {
    return new SealedCells(await this.#keys.of(threadId), await this.#keys.of(OF_NO_THREAD), this.#clear);
  }

  /**
   * Opens all sealed cells of rows, in place. @throws ServiceError `unreadable_value` for a cell that is plain, or does not
   * belong where it stands. `shredded`: a cell whose thread was deleted is null instead of that.
   */
  async open<T>(rows: T[], { shredded = false } = {}): Promise<T[]> {
    for (const row of rows as Row[]) {
      for (const [column, value] of Object.entries(row)) {
        if (value === null) continue;
        const entities = COLUMNS[column];
        if (entities !== undefined) row[column] = await this.#cell(row, column, value, shredded);
        else if (column === 'metadata') row[column] = await this.#metadata(row, value as JsonObject, shredded);
      }
    }
    return rows;
  }

  /** As `open`; but one that cannot be opened keeps no other from it: it is `told`, and as far open as it could be. */
  async openEach<T>(rows: T[], told: (row: T, error: Error) => void): Promise<T[]> {
    const opened = async (row: T): Promise<void> => {
      try {
        await this.open([row]);
      } catch (error) {
        told(row, error instanceof Error ? error : new Error(String(error)));
      }
    };
    for (let at = 0; at < rows.length; at += AT_ONCE) await Promise.all(rows.slice(at, at + AT_ONCE).map(opened));
    return rows;
  }

  /** @throws InvalidInputError when a search, or a rule of authorisation, asks for what stands nowhere in clear. */
  requireClear(filter: Readonly<JsonObject> | undefined, what: string): void {
    const hidden = Object.keys(filter ?? {}).find((key) => !this.#clear.has(key));
    if (hidden === undefined) return;
    throw new InvalidInputError(
      `${what}.${hidden} is encrypted and nothing can be found by it: name it in BATON_CLEAR_METADATA, and it stands in clear from then on`,
    );
  }

  async #cell(row: Row, column: string, value: unknown, shredded: boolean): Promise<unknown> {
    const sealed = sealedIn(value);
    if (sealed === null) {
      if (isEmpty(value) || this.readsPlain || isOurs(value)) return value;
      throw isPlain(column, row);
    }
    const text = await this.#unsealed(row, column, sealed, shredded);
    if (text === null) return null;
    return typeof value === 'string' ? text : (JSON.parse(text) as Json);
  }

  async #metadata(row: Row, metadata: JsonObject, shredded: boolean): Promise<JsonObject> {
    const opened: JsonObject = {};
    for (const [key, value] of Object.entries(metadata)) {
      if (!isSealedField(key)) {
        opened[key] = value;
        continue;
      }
      const text = await this.#unsealed(row, 'metadata', typeof value === 'string' ? value : '', shredded);
      if (text === null) continue;
      const [name, item] = JSON.parse(text) as [string, Json];
      // In clear it is newer: BATON_CLEAR_METADATA names it only since then.
      if (!Object.hasOwn(metadata, name)) opened[name] = item;
    }
    return opened;
  }

  async #unsealed(row: Row, column: string, sealed: string, shredded: boolean): Promise<string | null> {
    const [entity = '', base64 = ''] = sealed.split(':');
    const entities = column === 'metadata' ? METADATA_OF : COLUMNS[column];
    const known = entities?.find((candidate) => candidate === entity);
    const bytes = Buffer.from(base64, 'base64');
    const keyId = keyIdOf(bytes);
    if (known === undefined || keyId === null) throw isSpoilt(column, row);
    const key = await this.#keys.byId(keyId);
    if (key === null && shredded) return null;
    const place: CellPlace = [`${known}.${column}`, String(ID_OF[known](row))];
    const text = key && (await unsealText(key, bytes, place));
    if (text === null) throw isSpoilt(column, row);
    return text;
  }
}

/** Whether any cell looks as a sealed one does. */
export function holdsSealed(rows: readonly Row[]): boolean {
  const columns = Object.keys(rows[0] ?? {}).filter((column) => COLUMNS[column] !== undefined || column === 'metadata');
  return columns.some((column) =>
    rows.some((row) => {
      if (column !== 'metadata') return sealedIn(row[column]) !== null;
      return Object.keys(row[column] ?? {}).some(isSealedField);
    }),
  );
}

const METADATA_OF: readonly Entity[] = ['run', 'thread', 'assistant', 'cron'];

/** `entity:base64`, of a column of JSON or of text. */
function sealedIn(value: unknown): string | null {
  if (typeof value === 'string') return value.startsWith(SEALED_TEXT) ? value.slice(SEALED_TEXT.length) : null;
  const sealed = typeof value === 'object' && value !== null ? (value as JsonObject)[SEALED_FIELD] : undefined;
  return typeof sealed === 'string' ? sealed : null;
}

/** What SQL itself writes: it says nothing of any user. */
const OURS: ReadonlySet<string> = new Set([
  '{"status":"interrupted"}',
  '{"error":"RunRemoved","message":"The run was rolled back or deleted"}',
]);
function isOurs(value: unknown): boolean {
  return OURS.has(typeof value === 'string' ? value : JSON.stringify(value));
}

function nameOf(row: Row): string {
  const key = ['run_id', 'effect_id', 'cron_id', 'thread_id', 'assistant_id', 'key'].find((key) => row[key]);
  return key === undefined ? 'a row' : `${key.replace('_id', '')} ${String(row[key])}`;
}

function isSpoilt(column: string, row: Row): ServiceError {
  return new ServiceError(
    'unreadable_value',
    `The ${column} of ${nameOf(row)} cannot be opened: it was changed, cut or put there from elsewhere, or its key is gone. Restore it from a backup, or delete what it belongs to`,
  );
}

function isPlain(column: string, row: Row): ServiceError {
  return new ServiceError(
    'unreadable_value',
    `The ${column} of ${nameOf(row)} is not encrypted, and the store is: add "?migrate=plain" to STATE_URL to have plain rows read until they are replaced`,
  );
}
