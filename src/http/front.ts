import { Router } from 'express';
import type { Logger } from 'pino';
import { createApp } from './app.ts';
import type { CorsRules } from '../core/cors-rules.ts';
import { withCustomApp, type CustomApp, type CustomAppOptions } from './custom-app.ts';
import { InProcess } from './in-process.ts';
import { bindLoopback, onBehalfOf, type Loopback } from './loopback.ts';

export interface FrontOptions {
  /** The project's own app; null: none. */
  customApp: CustomApp | null;
  corsRules: CorsRules;
  guard: CustomAppOptions['guard'];
  /** Where the server listens; null: nowhere. */
  address: () => string | null;
  log: Logger;
}

/** What stands between the API and the world: the project's own app, and the way in for code of this very process. */
export class Front {
  readonly router: Router;
  readonly #loopback: Loopback;
  readonly #closing: (() => void)[];

  constructor(api: Router, { customApp, address, log, ...rest }: FrontOptions) {
    const front = customApp === null ? null : withCustomApp(api, { app: customApp, log, ...rest });
    this.router = Router().use((_req, _res, next) => this.within(next), front?.router ?? api);
    const inside = new InProcess(createApp(this.router, { prefix: '', log }));
    this.#loopback = {
      fetch: (input, init) => inside.fetch(input, init),
      // The same path at all servers: a client that is made once may be used on behalf of several.
      url: () => new URL(address() ?? 'http://localhost').origin,
    };
    this.#closing = [bindLoopback(this.#loopback), () => inside.close(), () => front?.close()];
  }

  /** Does work whose `new Client()` means this server. */
  within<T>(work: () => T): T {
    return onBehalfOf(this.#loopback, work);
  }

  /** A request of this very process, to the project's own app and the API. */
  fetch(path: string, init: RequestInit): Promise<Response> {
    return this.#loopback.fetch(new URL(path, this.#loopback.url()), init);
  }

  close(): void {
    for (const close of this.#closing) close();
  }
}
