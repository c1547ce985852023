import type { Response } from 'express';
import type { Logger } from 'pino';

const MAX_NAMED = 10;
const MAX_NAME_CHARS = 100;
const MAX_REMEMBERED = 1000;

/** Tells client and operator of fields that a newer client sent and this server did not use: nothing is dropped in silence. */
export class UnknownFields {
  readonly #log: Logger;
  readonly #seen = new Set<string>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Names them in a `Warning` header, and in the log the first time. */
  report(res: Response, fields: readonly string[]): void {
    if (fields.length === 0) return;
    const names = fields
      .slice(0, MAX_NAMED)
      .map((field) => field.slice(0, MAX_NAME_CHARS).replaceAll(/[^\w.$-]/g, '?'));
    res.setHeader('Warning', `299 baton "not used, since this version does not know them: ${names.join(', ')}"`);
    for (const name of names) {
      if (this.#seen.has(name) || this.#seen.size >= MAX_REMEMBERED) continue;
      this.#seen.add(name);
      this.#log.warn({ field: name }, 'a client sent a field that this version does not know; it is not used');
    }
  }
}
