import { Client } from '@langchain/langgraph-sdk';
import { describe, expect, it } from 'vitest';
import type { CorsRules } from '../../src/core/cors-rules.ts';
import { DEFAULT_CORS_RULES } from '../../src/http/cors.ts';
import { call } from '../sdk/fixtures/call.ts';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';

type Settings = NonNullable<Parameters<typeof testServer>[0]>['http'];

async function serving<T>(http: NonNullable<Settings>, work: (server: TestServer) => Promise<T>): Promise<T> {
  const server = await testServer({ stateUrl: 'memory:', http });
  try {
    return await work(server);
  } finally {
    await server.stop();
  }
}

describe('a prefix', () => {
  it('stands before every path, and the official client goes by it', () =>
    serving({ mountPrefix: '/my/api' }, async ({ url }) => {
      expect(url).toMatch(/\/my\/api$/);
      const client = new Client({ apiUrl: url, apiKey: null });
      const { thread_id } = await client.threads.create();
      expect(await client.runs.wait(thread_id, 'line', { input: { log: [] } })).toEqual({ log: ['a', 'b', 'c'] });
      const { headers } = await call(`${url}/threads/${thread_id}/runs`, 'POST', { assistant_id: 'line', input: {} });
      expect(headers.get('content-location')).toMatch(/^\/my\/api\/threads\//);
      const { origin } = new URL(url);
      for (const path of ['/ok', '/threads', '/my', '/my/apis/ok']) {
        expect(await call(origin + path, 'GET')).toMatchObject({ status: 404 });
      }
    }));
});

describe('a group of routes that is left out', () => {
  it.each([
    ['assistants', '/assistants/line', '/threads/count'],
    ['threads', '/threads/count', '/assistants/count'],
    ['runs', '/runs', '/threads/count'],
    ['store', '/store/items/search', '/threads/count'],
    ['meta', '/openapi.json', '/threads/count'],
  ] as const)('%s answers nothing, and is not described', (group, gone, left) =>
    serving({ disabled: [group] }, async ({ url }) => {
      const isRead = (path: string) => path === '/openapi.json' || path.endsWith('/line');
      const ask = (path: string) => (isRead(path) ? call(url + path, 'GET') : call(url + path, 'POST', {}));
      expect(await ask(gone)).toMatchObject({ status: 404, text: expect.stringMatching(/^There is no /) });
      expect(await ask(left)).toMatchObject({ status: 200 });
      if (group === 'meta') return;
      const { json } = await call(`${url}/openapi.json`, 'GET');
      expect(Object.keys(json.paths)).toContain('/ok');
      expect(Object.keys(json.paths)).not.toContain(gone);
    }),
  );
});

describe('pages of other origins', () => {
  const preflight = (url: string, origin: string) =>
    call(`${url}/threads`, 'OPTIONS', undefined, {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,x-mine',
    });
  const allowed = async (rules: Partial<CorsRules>, origins: string[]) =>
    serving({ cors: { ...DEFAULT_CORS_RULES, ...rules } }, async ({ url }) => {
      const answers = await Promise.all(origins.map((origin) => preflight(url, origin)));
      return answers.map(({ headers }) => headers.get('access-control-allow-origin'));
    });

  it('are named, or match a pattern as a whole', async () => {
    const origins = [
      'https://one.example',
      'https://a.two.example',
      'https://a.two.example.evil',
      'http://one.example',
      'null',
    ];
    const rules = { origins: ['https://one.example'], originPattern: String.raw`https://\w+\.two\.example` };
    expect(await allowed(rules, origins)).toEqual(['https://one.example', 'https://a.two.example', null, null, null]);
  });

  it('bring their logins only where they are named', () =>
    serving(
      { cors: { ...DEFAULT_CORS_RULES, origins: ['https://one.example'], credentials: true } },
      async ({ url }) => {
        const { headers } = await preflight(url, 'https://one.example');
        expect(headers.get('access-control-allow-credentials')).toBe('true');
        expect(headers.get('access-control-allow-origin')).toBe('https://one.example');
        const other = await preflight(url, 'https://other.example');
        expect(other.headers.get('access-control-allow-credentials')).toBeNull();
      },
    ));

  it('never bring them from anywhere', () =>
    serving({ cors: { ...DEFAULT_CORS_RULES, credentials: true } }, async ({ url }) => {
      const { headers } = await preflight(url, 'https://any.example');
      expect(headers.get('access-control-allow-origin')).toBe('*');
      expect(headers.get('access-control-allow-credentials')).toBeNull();
    }));

  it('may do what the rules say', () =>
    serving(
      { cors: { ...DEFAULT_CORS_RULES, methods: ['GET'], headers: ['x-mine'], exposed: ['X-Own'], maxAgeSeconds: 5 } },
      async ({ url }) => {
        const { headers } = await preflight(url, 'https://any.example');
        expect(headers.get('access-control-allow-methods')).toBe('GET');
        expect(headers.get('access-control-allow-headers')).toBe('x-mine');
        expect(headers.get('access-control-max-age')).toBe('5');
        expect(headers.get('access-control-expose-headers')).toMatch(/Content-Location.*X-Own/);
      },
    ));
});
