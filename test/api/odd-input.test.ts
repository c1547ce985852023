import { afterAll, beforeAll, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import { call } from '../sdk/fixtures/call.ts';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';

interface Operation {
  parameters?: { name: string; in: string }[];
  requestBody?: { content: Record<string, { schema: { properties?: Record<string, unknown> } }> };
}

const ODD: unknown[] = [
  null,
  true,
  -1,
  0.5,
  1e308,
  '',
  ' ',
  '\u0000',
  '\\',
  "'; --",
  '%',
  'x'.repeat(300),
  [],
  [null],
  [[]],
  {},
  { '': {} },
  { $gt: '' },
  { toString: 1, constructor: null },
];
/** These answer when a run has ended, and none runs here. Their bodies are those of the others. */
const WAITING = /\/(stream|wait|join|batch)$/;

let server: TestServer;
let operations: { method: string; path: string; operation: Operation }[];
let ids: Record<string, string>;

beforeAll(async () => {
  server = await testServer({ stateUrl: 'memory:', worker: false });
  const { json } = await call(`${server.url}/openapi.json`, 'GET');
  operations = Object.entries<Record<string, Operation>>(json.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
  const { thread_id } = await server.client.threads.create({ graphId: 'line' });
  const { run_id } = await server.client.runs.create(thread_id, 'line', { input: {} });
  ids = { thread_id, run_id, assistant_id: 'line', checkpoint_id: uuidv7(), namespace: 'child' };
});
afterAll(() => server.stop());

function urlOf(path: string, query = ''): string {
  return server.url + path.replaceAll(/\{(\w+)\}/g, (_, name: string) => String(ids[name])) + query;
}

it('no field of any body is a way to an internal error', async () => {
  const faults: string[] = [];
  for (const { method, path, operation } of operations) {
    const { properties } = operation.requestBody?.content['application/json']?.schema ?? {};
    if (!properties || WAITING.test(path)) continue;
    for (const field of Object.keys(properties)) {
      for (const value of ODD) {
        const body = { assistant_id: 'line', graph_id: 'line', [field]: value };
        const { status } = await call(urlOf(path), method, body);
        if (status >= 500) faults.push(`${method} ${path} ${field}: ${JSON.stringify(value)} -> ${status}`);
      }
    }
  }
  expect(faults).toEqual([]);
}, 120_000);

it('nor is what stands deeper in them', async () => {
  const places: [path: string, wrap: (value: unknown) => object][] = [];
  for (const key of ['thread_id', 'checkpoint_id', 'checkpoint_ns', 'checkpoint_map']) {
    const named = (value: unknown) => ({ checkpoint: { [key]: value } });
    for (const path of ['state/checkpoint', 'state', 'history', 'runs'])
      places.push([`/threads/{thread_id}/${path}`, named]);
    places.push(['/threads/{thread_id}/runs', (value) => ({ config: { configurable: { [key]: value } } })]);
    places.push(['/threads/{thread_id}/history', (value) => ({ before: { configurable: { [key]: value } } })]);
  }
  for (const key of ['update', 'resume', 'goto']) {
    places.push(['/threads/{thread_id}/runs', (value) => ({ command: { [key]: value } })]);
    places.push(['/threads', (value) => ({ supersteps: [{ updates: [{ command: { [key]: value } }] }] })]);
  }
  for (const key of ['tags', 'recursion_limit', 'configurable', 'metadata']) {
    places.push(['/threads/{thread_id}/runs', (value) => ({ config: { [key]: value } })]);
    places.push(['/assistants', (value) => ({ config: { [key]: value } })]);
  }
  for (const asNode of [...ODD, '__copy__', '__end__', '__input__', '__start__', 'a']) {
    const metadata = { graph_id: 'line' };
    places.push(['/threads', (values) => ({ metadata, supersteps: [{ updates: [{ values, as_node: asNode }] }] })]);
  }
  const faults: string[] = [];
  for (const [path, wrap] of places) {
    for (const value of ODD) {
      const body = { assistant_id: 'line', graph_id: 'line', ...wrap(value) };
      const { status } = await call(urlOf(path), 'POST', body);
      if (status >= 500) faults.push(`${path} ${JSON.stringify(body)} -> ${status}`);
    }
  }
  expect(faults).toEqual([]);
}, 120_000);

it('nor is any query or path', async () => {
  const faults: string[] = [];
  for (const { method, path, operation } of operations) {
    if (WAITING.test(path)) continue;
    for (const parameter of operation.parameters ?? []) {
      for (const value of ODD) {
        const text = encodeURIComponent(typeof value === 'string' ? value : JSON.stringify(value));
        const url =
          parameter.in === 'query'
            ? urlOf(path, `?${parameter.name}=${text}`)
            : urlOf(path.replace(`{${parameter.name}}`, text));
        const { status } = await call(url, method);
        if (status >= 500) faults.push(`${method} ${url} -> ${status}`);
      }
    }
  }
  expect(faults).toEqual([]);
}, 120_000);
