import type { Json, JsonObject } from '../../src/core/json.ts';
import type { Answer, SseEvent } from './player.ts';

export const ABSENT = Symbol('absent');
type Value = Json | typeof ABSENT;

export interface Difference {
  /** `METHOD /path` as the scenario writes it. */
  request: string;
  /** Where, as in `body/tasks/0/error` or `events/values/data/log/1`. */
  path: string;
  reference: Value;
  baton: Value;
}

const ID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])/gi;
const INSTANT = /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const ADDRESS = /(127\.0\.0\.1|localhost):\d+/g;

/** Compares what two servers answered to one scenario. Ids may be others, but where one has the same id twice so must the other. */
export class Comparison {
  readonly differences: Difference[] = [];
  readonly #counterpart = new Map<string, string>();
  readonly #taken = new Set<string>();
  #request = '';

  answers(reference: Answer, baton: Answer): void {
    this.#request = reference.request;
    if (reference.status !== baton.status) {
      this.#differ('status', reference.status, baton.status);
      return;
    }
    // What an error says is each server's own, but it has to say something.
    if (reference.status >= 400) {
      if (baton.body === null) this.#differ('body', reference.body, baton.body);
      return;
    }
    this.#values(reference.headers, baton.headers, 'headers');
    this.#values(reference.body, baton.body, 'body');
    if (reference.events && baton.events) this.#events(reference.events, baton.events);
  }

  #values(reference: Json, baton: Json, path: string): void {
    if (typeof reference === 'string' && typeof baton === 'string') {
      if (!this.#sameText(reference, baton)) this.#differ(path, reference, baton);
    } else if (Array.isArray(reference) && Array.isArray(baton)) {
      if (reference.length !== baton.length) this.#differ(`${path}/length`, reference.length, baton.length);
      else for (const [i, item] of reference.entries()) this.#values(item, baton[i] ?? null, `${path}/${i}`);
    } else if (isObject(reference) && isObject(baton)) {
      this.#objects(reference, baton, path);
    } else if (reference !== baton) {
      this.#differ(path, reference, baton);
    }
  }

  #objects(reference: JsonObject, baton: JsonObject, path: string): void {
    const free = new Map(Object.entries(baton));
    const isOnly = Object.keys(reference).length === 1 && free.size === 1;
    for (const [key, value] of Object.entries(reference)) {
      const fitting = [...free].filter(([, candidate]) => isOnly || shape(candidate) === shape(value));
      const other = free.has(key) ? key : this.#counterpartOf(key, fitting);
      const given = other === undefined ? undefined : free.get(other);
      const place = `${path}/${key.replaceAll(ID, ':id')}`;
      if (other === undefined || given === undefined) this.#differ(place, value, ABSENT);
      else {
        free.delete(other);
        this.#values(value, given, place);
      }
    }
    for (const [key, value] of free) this.#differ(`${path}/${key.replaceAll(ID, ':id')}`, ABSENT, value);
  }

  /** Keys can be ids too, as those of tasks in `interrupts`: then the values tell which belong together. */
  #counterpartOf(key: string, fitting: readonly [string, Json][]): string | undefined {
    if (key.search(ID) < 0) return undefined;
    return fitting.map(([candidate]) => candidate).find((candidate) => this.#sameText(key, candidate));
  }

  #events(reference: readonly SseEvent[], baton: readonly SseEvent[]): void {
    const place = (name: string) => `events/${name.replaceAll(ID, ':id')}`;
    for (const [left, right] of align(reference, baton)) {
      if (left && right) this.#values(left.data, right.data, `${place(left.event)}/data`);
      else if (left) this.#differ(place(left.event), left.data, ABSENT);
      else if (right) this.#differ(place(right.event), ABSENT, right.data);
    }
  }

  #sameText(reference: string, baton: string): boolean {
    if (reference === baton) return true;
    if (INSTANT.test(reference) && INSTANT.test(baton)) return true;
    const [left, right] = [reference, baton].map((text) => text.replaceAll(ADDRESS, 'host'));
    if (left?.replaceAll(ID, ':id') !== right?.replaceAll(ID, ':id')) return false;
    const ids = left?.match(ID) ?? [];
    const others = right?.match(ID) ?? [];
    return ids.every((id, index) => this.#sameId(id, others[index] ?? ''));
  }

  #sameId(id: string, other: string): boolean {
    const known = this.#counterpart.get(id);
    if (known !== undefined) return known === other;
    if (this.#taken.has(other)) return false;
    this.#counterpart.set(id, other);
    this.#taken.add(other);
    return true;
  }

  #differ(path: string, reference: Value, baton: Value): void {
    this.differences.push({ request: this.#request, path, reference, baton });
  }
}

/** Pairs the events of two streams by their names, in order: the longest common sequence. */
function align<T extends SseEvent>(left: readonly T[], right: readonly T[]): [T | undefined, T | undefined][] {
  const name = (item: T) => kindOf(item).replaceAll(ID, ':id');
  const best: number[][] = Array.from({ length: left.length + 1 }, () => Array<number>(right.length + 1).fill(0));
  const at = (i: number, j: number) => best[i]?.[j] ?? 0;
  const same = (i: number, j: number) => {
    const [a, b] = [left[i], right[j]];
    return a !== undefined && b !== undefined && name(a) === name(b);
  };
  for (let i = left.length - 1; i >= 0; i--) {
    for (let j = right.length - 1; j >= 0; j--) {
      const row = best[i];
      if (row) row[j] = same(i, j) ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const pairs: [T | undefined, T | undefined][] = [];
  for (let i = 0, j = 0; i < left.length || j < right.length;) {
    if (same(i, j) && at(i, j) === at(i + 1, j + 1) + 1) pairs.push([left[i++], right[j++]]);
    else if (j >= right.length || (i < left.length && at(i + 1, j) >= at(i, j + 1))) pairs.push([left[i++], undefined]);
    else pairs.push([undefined, right[j++]]);
  }
  return pairs;
}

/** Events of LangChain all have one name on the wire and another inside. */
function kindOf({ event, data }: SseEvent): string {
  return event === 'events' && isObject(data) ? `events/${JSON.stringify([data['event'], data['name']])}` : event;
}

/** A value without its ids. */
function shape(value: Json): string {
  return JSON.stringify(value).replaceAll(ID, ':id');
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
