import { AsyncLocalStorage } from 'node:async_hooks';

/** How code that a server runs reaches that server, without a network. */
export interface Loopback {
  fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>;
  /** What clients put before their paths. */
  url: () => string;
}

/** Where LangGraph's clients look when they are made without an address. */
const FETCH = Symbol.for('langgraph_api:fetch');
const ADDRESS = Symbol.for('langgraph_api:url');

// The two symbols are the whole process's, so this is the one place that cannot belong to a server: it lets each server's
// code find its own.
const running = new AsyncLocalStorage<Loopback>();
const servers: Loopback[] = [];
let before: readonly [symbol, PropertyDescriptor | undefined][] = [];

/**
 * From now on `new Client()` in this process works. Code that runs for a server (nodes, routes of its app) finds that
 * server, all other code the one bound last. Returns what takes it back.
 */
export function bindLoopback(server: Loopback): () => void {
  if (servers.length === 0) install();
  servers.push(server);
  return () => {
    const index = servers.indexOf(server);
    if (index === -1) return;
    servers.splice(index, 1);
    if (servers.length === 0) restore();
  };
}

/** Does work, and whatever follows from it, on behalf of a server. */
export function onBehalfOf<T>(server: Loopback, work: () => T): T {
  return running.run(server, work);
}

function current(): Loopback {
  const server = running.getStore() ?? servers.at(-1);
  if (!server) throw new Error('No LangGraph server runs in this process: give the client an apiUrl');
  return server;
}

function install(): void {
  before = [FETCH, ADDRESS].map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]);
  // Chosen at each call: a client may be made when a module is loaded, and used by any server.
  const value: Loopback['fetch'] = (input, init) => current().fetch(input, init);
  Object.defineProperty(globalThis, FETCH, { value, configurable: true, writable: true });
  Object.defineProperty(globalThis, ADDRESS, { get: () => current().url(), configurable: true });
}

function restore(): void {
  for (const [name, descriptor] of before) {
    if (descriptor) Object.defineProperty(globalThis, name, descriptor);
    else Reflect.deleteProperty(globalThis, name);
  }
}
