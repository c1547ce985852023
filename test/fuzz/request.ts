import type { Operation } from '../api/fixtures/operations.ts';
import type { Random } from '../random.ts';
import { rpcSchemas } from './commands.ts';
import { malform, malformBytes, oddValue } from './malform.ts';
import { toText } from './odd-values.ts';
import { validValue } from './valid-value.ts';

export interface FuzzRequest {
  method: string;
  /** Path and query. */
  target: string;
  headers: Record<string, string>;
  body: Buffer | null;
  /** Whether a server may leave it without an answer for as long as a run takes. */
  mayWait: boolean;
}

/** Things that are there, under the names that paths and bodies have for them. */
export type Known = Readonly<Record<string, unknown>>;

/** Where an answer comes when a run has ended; with luck one is made that begins in an hour. */
const WAITS = /\/(stream|wait|join|cancel|events|mcp|a2a\/[^/]*)$/;
const METHODS = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND'];
const CONTENT_TYPES = [
  'text/plain',
  'text/plain;charset=UTF-16',
  'application/json; charset=klingon',
  'application/xml',
  'multipart/form-data; boundary=',
  'application/x-www-form-urlencoded',
  '',
  ';;;',
];
const HEADERS: Record<string, readonly string[]> = {
  'content-type': CONTENT_TYPES,
  'last-event-id': ['-1', '-', '', '0', '9'.repeat(40), '-5', '1.5', 'NaN', '{}', '1-0', 'é'],
  accept: ['application/json', 'text/event-stream', 'text/*;q=nonsense', ',', 'application/json, text/event-stream'],
  'content-encoding': ['gzip', 'br', 'zstd', 'identity', 'gzip, gzip', ','],
  prefer: ['return=minimal', 'return=', ';'],
  origin: ['null', 'https://[', 'file://', '*', ''],
  host: ['', '[', 'a b', 'x:99999', "x'<script>"],
  authorization: ['Bearer', 'Basic :', 'Bearer \u00ff', ','],
  'x-api-key': ['', 'bk_nobody'],
  'x-auth-scheme': ['langsmith', ''],
  'x-odd': ['\u00ff\u00fe', 'x'.repeat(4000), '{"a":', '__proto__'],
  'x-__proto__': ['1'],
  expect: ['100-continue'],
  'access-control-request-method': ['POST', 'é'],
  connection: ['close'],
};

const WRONG = ['body', 'body', 'body', 'body', 'bytes', 'path', 'query', 'query', 'headers', 'method'] as const;

/** A request of an operation with something wrong in it: most things about it are right, so that it gets far. */
export function oddRequest(operation: Operation, random: Random, known: Known): FuzzRequest {
  const wrong = random.pick(WRONG);
  const times = wrong === 'body' ? random.int(1, 3) : 0;
  const text = operation.body && Buffer.from(toText(bodyOf(operation, random, { known, times })));
  const bytes = text && wrong === 'bytes' ? malformBytes(text, random) : (text ?? null);
  const method = wrong === 'method' ? random.pick(METHODS) : operation.method;
  const mayHaveBody = !['GET', 'HEAD', 'TRACE'].includes(method);
  const isOddPath = wrong === 'path';
  const isOddQuery = wrong === 'query';
  return {
    method,
    target:
      pathOf(operation, random, { known, isOdd: isOddPath }) + queryOf(operation, random, { known, isOdd: isOddQuery }),
    headers: {
      ...(bytes && { 'content-type': 'application/json' }),
      ...(operation.path === '/mcp' && { accept: 'application/json, text/event-stream' }),
      ...((wrong === 'headers' || random.chance(0.1)) && oddHeaders(random)),
    },
    body: mayHaveBody ? bytes : null,
    mayWait: WAITS.test(operation.path),
  };
}

function oddHeaders(random: Random): Record<string, string> {
  const names = Array.from({ length: random.int(1, 3) }, () => random.pick(Object.keys(HEADERS)));
  return Object.fromEntries(names.map((name) => [name, random.pick(HEADERS[name] ?? [])]));
}

function bodyOf(
  { name, body = {} }: Operation,
  random: Random,
  { known, times }: { known: Known; times: number },
): unknown {
  const schemas = rpcSchemas(name);
  let value = validValue(schemas ? random.pick(schemas) : body, random, known);
  for (let left = times; left > 0; left--) value = malform(value, random);
  return value;
}

function pathOf({ path }: Operation, random: Random, { known, isOdd }: { known: Known; isOdd: boolean }): string {
  const parts = path.split('/').slice(1);
  const odd = isOdd ? random.int(0, parts.length - 1) : -1;
  const written = parts.map((part, index) => {
    if (index === odd) return oddSegment(random);
    return part.replaceAll(/\{(\w+)\}/g, (_, name: string) => encoded(known[name] ?? 'a'));
  });
  const prefix = isOdd && random.chance(0.1) ? random.pick(['/', '/.', '/%2e%2e', '/x']) : '';
  return `${prefix}/${written.join('/')}`;
}

function oddSegment(random: Random): string {
  if (random.chance(0.2))
    return random.pick(['%ff', '%', '%zz', '', '.', '..', ';', '%2f', '%0d%0a', '[', '{x}', ':x']);
  return encoded(oddValue(random));
}

function queryOf(
  { parameters }: Operation,
  random: Random,
  { known, isOdd }: { known: Known; isOdd: boolean },
): string {
  const pairs: string[] = [];
  for (const { name, schema, in: place } of parameters) {
    if (place !== 'query' || !random.chance(isOdd ? 0.7 : 0.4)) continue;
    const value = () => encoded(isOdd && random.chance(0.7) ? oddValue(random) : validValue(schema, random, known));
    pairs.push(`${name}=${value()}`);
    if (isOdd && random.chance(0.2)) pairs.push(`${name}=${value()}`);
  }
  if (isOdd && random.chance(0.3))
    pairs.push(random.pick(['a[b]=c', '=', '&&', '__proto__=1', 'constructor[prototype]=1', '%=%', '?', '%00=%ff']));
  return pairs.length > 0 ? `?${pairs.join('&')}` : '';
}

/** Short enough for a request line; half of a surrogate pair has no encoding. */
function encoded(value: unknown): string {
  const text = typeof value === 'string' ? value : toText(value);
  return encodeURIComponent(text.slice(0, 3000).toWellFormed());
}
