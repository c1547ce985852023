import type { Access } from '../core/access.ts';

/** Collects the conditions of a search and their parameters, so that no value ever becomes SQL text. */
export class Filter {
  readonly values: unknown[] = [];
  readonly #conditions: string[] = [];

  /** Adds a condition; `?` in it stands for the value. */
  and(condition: string, value: unknown): this {
    this.#conditions.push(condition.replace('?', this.param(value)));
    return this;
  }

  /** Adds a condition only when the value was given. */
  andIf(condition: string, value: unknown): this {
    return value === undefined || value === null ? this : this.and(condition, value);
  }

  /** Only rows of a table with metadata that the access is for. */
  within(access: Access): this {
    return Object.keys(access.contains).length === 0 ? this : this.and('metadata @> ?', access.contains);
  }

  param(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }

  get where(): string {
    return this.#conditions.length > 0 ? `where ${this.#conditions.join(' and ')}` : '';
  }
}

export interface Page<SortBy extends string> {
  limit: number;
  offset: number;
  sort_by: SortBy;
  sort_order: 'asc' | 'desc';
}

/** `order by … limit … offset …`; the tie-break keeps pages apart when many rows share a sort value. */
export function pageClause<S extends string>(
  filter: Filter,
  page: Page<S>,
  columns: Record<S, string>,
  tieBreak: string,
): string {
  const order = page.sort_order === 'asc' ? 'asc' : 'desc';
  return `order by ${columns[page.sort_by]} ${order}, ${tieBreak} ${order} limit ${filter.param(page.limit)} offset ${filter.param(page.offset)}`;
}
