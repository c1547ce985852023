import { type DataKey, nameOf, whenThere } from '../../core/data-key.ts';
import type { JsonObject } from '../../core/json.ts';
import { sealText } from '../../core/sealed-text.ts';

/** What a row is about. */
export type Entity =
  | 'run'
  | 'thread'
  | 'assistant'
  | 'cron'
  | 'effect'
  | 'told'
  | 'event'
  | 'part'
  | 'delivery'
  | 'item';

/** `run.kwargs`: the column, as results name it, and the row that a cell belongs to, by its id. */
export type CellPlace = readonly [column: `${Entity}.${string}`, id: string];

type Soon<T> = T | Promise<T>;

/**
 * From values to what columns hold, for one thread: as they are, or sealed under its key. What is sealed says of which entity
 * it is; where it belongs is bound to it.
 */
export interface Cells {
  /** JSON text. `shown`: what SQL has to see of it. Null and nothing stay what they are. */
  json(place: CellPlace, value: unknown, shown?: JsonObject): Soon<string>;
  /** `tail`: what SQL has to see of it. */
  text(place: CellPlace, text: string, tail?: string): Soon<string>;
  /** With the fields that may be searched for in clear. Each field stands by itself, so that SQL can merge metadata. */
  metadata(place: CellPlace, metadata: JsonObject): Soon<JsonObject>;
  /** What stands for a text that is looked up. `use` keeps names of different things apart. */
  name(use: string, text: string): string;
}

/** The field of a JSON column that holds what is sealed; of metadata the beginning of its fields' names. */
export const SEALED_FIELD = '$sealed';
/** How a sealed text column begins. */
export const SEALED_TEXT = 'sealed:';

export const plainCells: Cells = {
  json: (_, value) => JSON.stringify(value),
  text: (_, text) => text,
  metadata: (_, metadata) => metadata,
  name: (_, text) => text,
};

export class SealedCells implements Cells {
  readonly #key: DataKey;
  readonly #server: DataKey;
  readonly #clear: ReadonlySet<string>;

  /** @param server Gives the fields of metadata their names: the same in every thread, so that they can be merged. */
  constructor(key: DataKey, server: DataKey, clear: ReadonlySet<string>) {
    this.#key = key;
    this.#server = server;
    this.#clear = clear;
  }

  json(place: CellPlace, value: unknown, shown: JsonObject = {}): Soon<string> {
    const text = JSON.stringify(value);
    if (isEmpty(value)) return text;
    return whenThere(this.#seal(place, text), (sealed) => JSON.stringify({ ...shown, [SEALED_FIELD]: sealed }));
  }

  text(place: CellPlace, text: string, tail?: string): Soon<string> {
    return whenThere(
      this.#seal(place, text),
      (sealed) => `${SEALED_TEXT}${sealed}${tail === undefined ? '' : `:${tail}`}`,
    );
  }

  async metadata(place: CellPlace, metadata: JsonObject): Promise<JsonObject> {
    const stored: JsonObject = {};
    for (const [key, value] of Object.entries(metadata)) {
      if (this.#clear.has(key)) stored[key] = value;
      else stored[`${SEALED_FIELD}:${this.#nameOf(key)}`] = await this.#seal(place, JSON.stringify([key, value]));
    }
    return stored;
  }

  name(use: string, text: string): string {
    return nameOf(this.#key, use, text);
  }

  #nameOf(key: string): string {
    return nameOf(this.#server, 'metadata', key);
  }

  #seal([column, id]: CellPlace, text: string): Soon<string> {
    const entity = column.slice(0, column.indexOf('.'));
    return whenThere(sealText(this.#key, text, [column, id]), (sealed) => `${entity}:${sealed.toString('base64')}`);
  }
}

/** Of stored metadata, by the name of a field. */
export function isSealedField(key: string): boolean {
  return key.startsWith(`${SEALED_FIELD}:`);
}

/** Of stored metadata what stands in clear. */
export function metadataInClear(metadata: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => !isSealedField(key)));
}

/** Says nothing, so that it need not be sealed: SQL's own defaults are such. */
export function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined || value === '') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}
