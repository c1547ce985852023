import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig, type ConfigRequest } from '../../src/config/config.ts';
import { WEBHOOK_DEFAULTS, webhookSettings } from '../../src/config/webhook-settings.ts';
import { DEFAULT_HEADER_RULES } from '../../src/auth/passed-headers.ts';
import { readEnv } from '../../src/config/env.ts';
import { DEFAULT_CORS_RULES } from '../../src/http/cors.ts';

let dir: string;
let warnings: string[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'baton-config-'));
  warnings = [];
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Baton's own part; the variables of the example graph come after it. */
const example = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8').split('# ---')[0] ?? '';
const graphs = { agent: './agent.ts:graph' };

function load(json: unknown, request: Partial<ConfigRequest> = {}) {
  const configPath = join(dir, 'langgraph.json');
  writeFileSync(configPath, typeof json === 'string' ? json : JSON.stringify(json));
  return loadConfig({ configPath, env: {}, warn: (line) => warnings.push(line), ...request });
}

describe('a project', () => {
  test('needs nothing but graphs', () => {
    expect(load({ graphs })).toEqual({
      projectDir: dir,
      configPath: join(dir, 'langgraph.json'),
      dataDir: join(dir, '.baton'),
      graphs: { agent: { file: join(dir, 'agent.ts'), exportName: 'graph', description: null } },
      http: {
        host: '127.0.0.1',
        port: 2024,
        insecure: false,
        disabled: [],
        mountPrefix: '',
        app: null,
        guardApp: true,
        configurableHeaders: DEFAULT_HEADER_RULES,
        cors: DEFAULT_CORS_RULES,
      },
      auth: { project: null, apiKeys: [], trustStudio: false, cache: null, described: null },
      ui: {},
      databaseUrl: null,
      stateUrl: null,
      encryption: { keys: [], clearMetadata: [] },
      blobs: { url: null, limitBytes: 65_536, credentials: {} },
      worker: { concurrency: 10, leaseMs: 10_000, pollMs: 1000, maxAttempts: 5, graceMs: 10_000, parkAfterMs: 5000 },
      autoDurability: { ms: 2000, cost: 0.01 },
      prices: {},
      retention: {
        everyMs: 300_000,
        threadLimit: 1000,
        threads: null,
        logsMs: 604_800_000,
        runsMs: null,
        changesMs: null,
        takenEventsMs: null,
        usageMs: null,
        globalEffectsMs: null,
      },
      store: { index: null, ttl: { defaultMinutes: null, refreshOnRead: true, sweepMinutes: 5 } },
      webhooks: webhookSettings({ key: {}, disabled: false, set: WEBHOOK_DEFAULTS, env: {} }),
      logLevel: 'info',
      environment: {},
    });
    expect(warnings).toEqual([]);
  });

  test('says how durable its graphs are, and how much work `auto` may lose', () => {
    const baton = { graphs: { agent: { durability: 'exit' } }, auto_durability: { seconds: 0.5 } };
    const config = load({ graphs, baton });
    expect(config.graphs['agent']).toMatchObject({ exportName: 'graph', durability: 'exit' });
    expect(config.autoDurability).toEqual({ ms: 500, cost: 0.01 });
    expect(() => load({ graphs, baton: { graphs: { agnet: {} } } })).toThrow('only agent');
    expect(() => load({ graphs, baton: { graphs: { agent: { durability: 'never' } } } })).toThrow('baton.graphs.agent');
  });

  test('says what models cost', () => {
    const prices = { 'my-model': { input: 1, output: 2.5, cache_read: 0 } };
    expect(load({ graphs, baton: { prices } }).prices).toEqual(prices);
    expect(load({ graphs }).prices).toEqual({});
    expect(() => load({ graphs, baton: { prices: { 'my-model': { input: -1, output: 2 } } } })).toThrow('baton.prices');
  });

  test('says how long things are kept', () => {
    const DAY_MS = 86_400_000;
    const ttl = { strategy: 'keep_latest', default_ttl: 43_200, sweep_interval_minutes: 10, sweep_limit: 50 };
    const retention = { run_logs_days: 0, runs_days: 90 };
    expect(load({ graphs, checkpointer: { ttl }, baton: { retention } }).retention).toEqual({
      everyMs: 600_000,
      threadLimit: 50,
      threads: { strategy: 'keep_latest', minutes: 43_200 },
      logsMs: 0,
      runsMs: 90 * DAY_MS,
      changesMs: null,
      takenEventsMs: null,
      usageMs: null,
      globalEffectsMs: null,
    });
    expect(load({ graphs, checkpointer: { ttl: { default_ttl: 5 } } }).retention.threads).toEqual({
      strategy: 'delete',
      minutes: 5,
    });
    expect(() => load({ graphs, checkpointer: { ttl: { strategy: 'forget' } } })).toThrow('checkpointer.ttl.strategy');
    expect(() => load({ graphs, baton: { retention: { runs_days: -1 } } })).toThrow('baton.retention.runs_days');
  });

  test('says what a run of a graph may spend', () => {
    const budget = { cost: 0.5, seconds: 60 };
    expect(load({ graphs, baton: { graphs: { agent: { budget } } } }).graphs['agent']).toMatchObject({ budget });
    expect(() => load({ graphs, baton: { graphs: { agent: { budget: { cost: 0 } } } } })).toThrow('baton.graphs.agent');
  });

  test('may bring an app of its own', () => {
    const { http } = load({ graphs, http: { app: './src/app.ts:app', enable_custom_route_auth: false } });
    expect(http).toMatchObject({ app: { file: join(dir, 'src/app.ts'), exportName: 'app' }, guardApp: false });
    expect(warnings).toEqual([]);
  });

  test('gives a configuration that nobody can change', () => {
    const config = load({ graphs });
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.worker)).toBe(true);
    expect(Object.isFrozen(config.graphs['agent'])).toBe(true);
  });

  test('names graphs by path, export and description', () => {
    const config = load({ graphs: { a: 'src/a.mts', b: { path: './b.js:make', description: 'Makes b' } } });
    expect(config.graphs).toEqual({
      a: { file: join(dir, 'src/a.mts'), exportName: 'default', description: null },
      b: { file: join(dir, 'b.js'), exportName: 'make', description: 'Makes b' },
    });
  });

  test.each([
    ['not JSON', '{', 'langgraph.json is not valid JSON'],
    ['no graphs', {}, 'langgraph.json is wrong at "graphs"'],
    ['empty graphs', { graphs: {} }, 'langgraph.json names no graphs'],
    ['a Python graph', { graphs: { agent: './agent.py:graph' } }, 'Graph "agent" is written in Python'],
    ['a wrong setting of ours', { graphs, baton: { port: 'x' } }, 'langgraph.json is wrong at "baton.port"'],
    ['an unknown setting of ours', { graphs, baton: { prot: 1 } }, 'Unrecognized key: "prot"'],
    ['a wrong prefix', { graphs, http: { mount_prefix: 'api' } }, 'langgraph.json is wrong at "http.mount_prefix"'],
    [
      'a wrong pattern',
      { graphs, http: { cors: { allow_origin_regex: '(' } } },
      'wrong at "http.cors.allow_origin_regex"',
    ],
    ['encryption', { graphs, encryption: { path: './e.ts:e' } }, 'sets encryption, which Baton does not support yet'],
  ])('is refused with one line for %s', (_, json, message) => {
    expect(() => load(json)).toThrow(message);
    expect(() => load(json)).toThrow(/^[^\n]*$/);
  });

  test('that is not there is named', () => {
    const configPath = join(dir, 'nowhere', 'langgraph.json');
    expect(() => loadConfig({ configPath, env: {} })).toThrow(`No langgraph.json at ${configPath}`);
  });

  test('is served without what Baton does not support yet, and says so in one line a kind', () => {
    load({
      graphs,
      checkpointer: { backend: 'mongo' },
      http: { middleware_order: 'auth_first', disable_webhooks: false, logging_headers: null },
      auth: { path: './auth.ts:auth', colour: 'blue' },
      node_version: '20',
      dependencies: ['.'],
      colour: 'red',
      ui: null,
    });
    expect(warnings).toEqual([
      expect.stringContaining(
        'not supported yet and left out: checkpointer.backend, http.middleware_order, auth.colour',
      ),
      expect.stringContaining('unknown and left out: colour'),
    ]);
  });
});

describe('the environment', () => {
  test('of the graphs comes from a file, for Baton too', () => {
    writeFileSync(join(dir, '.env'), 'OPENAI_API_KEY="sk-1"\n# note\nPORT=3000\n');
    const config = load({ graphs, env: '.env' });
    expect(config.environment).toEqual({ OPENAI_API_KEY: 'sk-1', PORT: '3000' });
    expect(config.http.port).toBe(3000);
  });

  test('may be written out, or be a list of names', () => {
    expect(load({ graphs, env: { A: 'b', N: 1 } }).environment).toEqual({ A: 'b', N: '1' });
    expect(load({ graphs, env: ['OPENAI_API_KEY'] }).environment).toEqual({});
  });

  test('without its file is worth a warning only', () => {
    expect(load({ graphs, env: '.env.local' }).environment).toEqual({});
    expect(warnings).toEqual([expect.stringContaining('.env.local')]);
  });

  test('is beaten by the command line, and beats the env file, which beats our key, which beats the default', () => {
    writeFileSync(join(dir, '.env'), 'PORT=3\nBATON_WORKERS=3\nSTATE_URL=memory:');
    const json = { graphs, env: '.env', baton: { port: 4, workers: 4, state_url: 'postgres://x/y', data_dir: 'data' } };
    const config = load(json, { env: { PORT: '2', BATON_DATA_DIR: '' }, flags: { port: 1 } });
    expect(config.http.port).toBe(1);
    expect(load(json, { env: { PORT: '2' } }).http.port).toBe(2);
    expect(config.worker.concurrency).toBe(3);
    expect(config.stateUrl).toBe('memory:');
    expect(config.dataDir).toBe(join(dir, 'data'));
  });

  test('names the keys of encrypted stores, which a path of langgraph.json may do too', () => {
    const json = { graphs, baton: { keys: './kms.ts:keys' } };
    expect(load(json).encryption.keys).toEqual([{ file: join(dir, 'kms.ts'), exportName: 'keys' }]);
    const secret = Buffer.alloc(32).toString('base64');
    const env = { BATON_KEYS: `one:${secret},./other.ts:keys` };
    expect(load(json, { env }).encryption.keys).toEqual([
      { id: 'one', secret },
      { file: join(dir, 'other.ts'), exportName: 'keys' },
    ]);
  });

  test.each([
    ['PORT', '70000', 'PORT must be a whole number from 0 to 65535, not "70000"'],
    ['PORT', '20.5', 'PORT must be a whole number'],
    ['BATON_WORKERS', '0', 'BATON_WORKERS must be a whole number from 1'],
    ['BATON_LEASE_SECONDS', 'long', 'BATON_LEASE_SECONDS must be a whole number'],
    ['BATON_LOG_LEVEL', 'loud', 'BATON_LOG_LEVEL must be one of fatal, error'],
    ['DATABASE_URL', 'mysql://root:secret@db/x', 'DATABASE_URL is not an address'],
    ['STATE_URL', 'somewhere', 'STATE_URL has no scheme: write it as one of memory:'],
    ['STATE_URL', 'mysql://root:secret@db/x', 'STATE_URL begins with "mysql:", which no store takes'],
  ])('%s=%s is refused in one line that names it', (name, value, message) => {
    expect(() => load({ graphs }, { env: { [name]: value } })).toThrow(message);
    expect(() => load({ graphs }, { env: { [name]: value } })).not.toThrow('secret');
  });

  test('is documented: .env.example has each variable that is read, and no other', () => {
    const read = new Set<string>();
    readEnv(new Proxy({}, { get: (_, name) => void read.add(String(name)) }));
    const documented = [...example.matchAll(/^#([A-Z_]+)=/gm)].map(([, name]) => name);
    expect(new Set(documented)).toEqual(read);
  });

  test('is documented with the defaults that hold', () => {
    writeFileSync(join(dir, '.env'), example.replaceAll(/^#([A-Z_]+=)/gm, '$1'));
    const { environment, ...documented } = load({ graphs, env: '.env' });
    const { environment: none, ...actual } = load({ graphs });
    expect(Object.keys(environment).length).toBeGreaterThan(5);
    expect(none).toEqual({});
    expect(documented).toEqual(actual);
  });
});

describe('listening', () => {
  test.each(['localhost', '127.0.0.1', '127.3.2.1', '::1'])('on %s is for this machine only', (host) => {
    expect(load({ graphs }, { flags: { host } }).http.host).toBe(host);
  });

  test.each(['0.0.0.0', '::', '192.168.1.4', 'example.com', '127.0.0.1.example.com'])(
    'on %s is refused without --insecure',
    (host) => {
      expect(() => load({ graphs }, { env: { BATON_HOST: host } })).toThrow(`Refusing to listen on ${host}`);
      expect(load({ graphs }, { flags: { host, insecure: true } }).http).toMatchObject({ host, insecure: true });
    },
  );
});

describe('who may use it', () => {
  const sha256 = 'A1'.repeat(32);

  test('is said by keys in the environment, as hashes', () => {
    const { auth } = load(
      { graphs },
      { env: { BATON_API_KEYS: `ci:${sha256}:read, ops@home:${sha256}:read+write\nboss:${sha256}` } },
    );
    expect(auth.apiKeys).toEqual([
      { name: 'ci', sha256: sha256.toLowerCase(), scopes: ['read'] },
      { name: 'ops@home', sha256: sha256.toLowerCase(), scopes: ['read', 'write'] },
      { name: 'boss', sha256: sha256.toLowerCase(), scopes: ['admin'] },
    ]);
  });

  test.each(['secret', 'ci:secret', `ci:${sha256}:root`, `ci:${sha256}:read:secret`, `:${sha256}`, `ci:${sha256}00`])(
    '%s is no such key, and is not repeated',
    (entry) => {
      const env = { BATON_API_KEYS: `good:${sha256},${entry}` };
      expect(() => load({ graphs }, { env })).toThrow('Entry 2 of BATON_API_KEYS is wrong');
      expect(() => load({ graphs }, { env })).not.toThrow('secret');
    },
  );

  test('is one key a name', () => {
    const env = { BATON_API_KEYS: `ci:${sha256},ci:${sha256}` };
    expect(() => load({ graphs }, { env })).toThrow('two keys of one name');
  });

  test('may be said by the project itself', () => {
    const { auth } = load({ graphs, auth: { path: './src/auth.ts:mine' } });
    expect(auth.project).toEqual({ file: join(dir, 'src/auth.ts'), exportName: 'mine' });
    expect(load({ graphs, auth: { path: './auth.ts' } }).auth.project?.exportName).toBe('default');
    expect(load({ graphs, auth: {} }).auth.project).toBeNull();
  });

  test('is never said by a header of Studio, unless one trusts it in so many words', () => {
    const auth = { path: './auth.ts:auth', disable_studio_auth: false };
    expect(load({ graphs, auth }).auth.trustStudio).toBe(false);
    expect(warnings).toEqual([expect.stringContaining('"trust_studio": true')]);
    expect(load({ graphs, auth, baton: { trust_studio: true } }).auth.trustStudio).toBe(true);
    expect(warnings).toHaveLength(1);
  });

  test('opens an address to others without --insecure', () => {
    const flags = { host: '0.0.0.0' };
    expect(load({ graphs }, { flags, env: { BATON_API_KEYS: `ci:${sha256}` } }).http.host).toBe('0.0.0.0');
    expect(load({ graphs, auth: { path: './auth.ts:auth' } }, { flags }).http.host).toBe('0.0.0.0');
  });
});

describe('http', () => {
  test('is what langgraph.json says', () => {
    const { http } = load({
      graphs,
      http: {
        disable_store: true,
        disable_meta: true,
        disable_runs: false,
        mount_prefix: '/my/api/',
        configurable_headers: { includes: ['x-org-*'], excludes: ['x-org-key'] },
        cors: {
          allow_origins: ['https://one.example'],
          allow_origin_regex: 'https://.*\\.example',
          allow_methods: ['GET'],
          allow_headers: ['*'],
          expose_headers: ['X-Mine'],
          allow_credentials: true,
          max_age: 5,
        },
      },
    });
    expect(http).toMatchObject({
      disabled: ['store', 'meta'],
      mountPrefix: '/my/api',
      configurableHeaders: { includes: ['x-org-*'], excludes: ['x-org-key'] },
      cors: {
        origins: ['https://one.example'],
        originPattern: 'https://.*\\.example',
        methods: ['GET'],
        headers: null,
        exposed: ['X-Mine'],
        credentials: true,
        maxAgeSeconds: 5,
      },
    });
    expect(warnings).toEqual([]);
  });

  test('opens nothing to all origins that names some, or a pattern', () => {
    expect(load({ graphs, http: { cors: { allow_origin_regex: 'https://x' } } }).http.cors.origins).toEqual([]);
    expect(load({ graphs, http: { cors: { allow_origins: [] } } }).http.cors.origins).toEqual([]);
    expect(load({ graphs, http: { cors: { allow_origins: ['a', '*'] } } }).http.cors.origins).toBe('*');
    expect(load({ graphs, http: { cors: {}, mount_prefix: '/' } }).http).toMatchObject({
      mountPrefix: '',
      cors: DEFAULT_CORS_RULES,
    });
  });
});
