import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';

/** What becomes of a key. `idle`: a server has nothing to do for it, as for those that build images. */
type Fate = 'done' | 'idle' | 'warned' | 'refused';

/** Every key of the official schema of langgraph.json, with a value that asks for something. */
const KEYS: [path: string, value: unknown, fate: Fate][] = [
  ['$schema', 'https://example.com/schema.json', 'idle'],
  ['_INTERNAL_docker_tag', 'tag', 'idle'],
  ['api_version', '0.3', 'idle'],
  ['base_image', 'image', 'idle'],
  ['dependencies', ['.'], 'idle'],
  ['docker_compose_file', 'compose.yml', 'idle'],
  ['dockerfile_lines', ['RUN true'], 'idle'],
  ['image_distro', 'wolfi', 'idle'],
  ['keep_pkg_tools', true, 'idle'],
  ['node_version', '20', 'idle'],
  ['pip_config_file', 'pip.conf', 'idle'],
  ['pip_installer', 'uv', 'idle'],
  ['python_version', '3.12', 'idle'],
  ['source', { kind: 'uv' }, 'idle'],
  ['env', { NAME: 'value' }, 'done'],
  ['graphs.a', { path: './a.ts:a', description: 'A' }, 'done'],
  ['ui', { a: './a.tsx' }, 'done'],
  ['ui_config', { shared: ['package'] }, 'idle'], // without any `ui`,
  ['auth.path', './auth.ts:auth', 'done'],
  ['auth.disable_studio_auth', true, 'idle'], // it is, unless Baton is told otherwise,
  ['auth.disable_studio_auth', false, 'warned'],
  ['auth.cache', { cache_keys: ['Authorization'], ttl_seconds: 5, max_size: 10 }, 'done'],
  ['auth.cache', { ttl_seconds: 5 }, 'refused'],
  ['auth.openapi.securitySchemes', { login: { type: 'oauth2' } }, 'done'],
  ['auth.openapi.security', [{ login: [] }], 'done'],
  ['auth.openapi.paths', { '/threads': { POST: [{ login: [] }] } }, 'done'],
  ['checkpointer', { backend: 'default' }, 'warned'],
  ['encryption', { path: './encryption.ts:encryption' }, 'refused'],
  ['http.app', './app.ts:app', 'done'],
  ['http.configurable_headers', { includes: ['y-*'], excludes: ['y-secret'] }, 'done'],
  ['http.cors.allow_origins', ['https://one.example'], 'done'],
  ['http.cors.allow_origin_regex', 'https://.*', 'done'],
  ['http.cors.allow_methods', ['GET'], 'done'],
  ['http.cors.allow_headers', ['x-mine'], 'done'],
  ['http.cors.expose_headers', ['x-mine'], 'done'],
  ['http.cors.allow_credentials', true, 'done'],
  ['http.cors.max_age', 5, 'done'],
  ['http.disable_a2a', true, 'done'],
  ['http.disable_assistants', true, 'done'],
  ['http.disable_mcp', true, 'done'],
  ['http.disable_meta', true, 'done'],
  ['http.disable_runs', true, 'done'],
  ['http.disable_store', true, 'done'],
  ['http.disable_threads', true, 'done'],
  ['http.disable_ui', true, 'done'],
  ['http.disable_webhooks', true, 'done'],
  ['http.enable_custom_route_auth', false, 'done'],
  ['http.logging_headers', { excludes: ['x-secret'] }, 'warned'],
  ['http.middleware_order', 'auth_first', 'warned'],
  ['http.mount_prefix', '/api', 'done'],
  ['node_loader', 'ts-node', 'warned'],
  ['store.index', { embed: 'openai:small', dims: 3, fields: ['$'] }, 'done'],
  ['store.ttl', { default_ttl: 5, refresh_on_read: true, sweep_interval_minutes: 5 }, 'done'],
  ['webhooks', { headers: { 'x-mine': 'yes' } }, 'done'],
];

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'baton-keys-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

function load(json: object): { config: object; said: string } {
  const configPath = join(dir, 'langgraph.json');
  writeFileSync(configPath, JSON.stringify({ graphs: { agent: './agent.ts:graph' }, ...json }));
  const warnings: string[] = [];
  const config = loadConfig({ configPath, env: {}, warn: (line) => warnings.push(line) });
  return { config, said: warnings.join('\n') };
}

/** Of a project file with nothing else in it. Both a warning and a refusal must name the key. */
function fateOf(path: string, value: unknown): string {
  const keys = path.split('.');
  try {
    const json = keys.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as object;
    const { config, said } = load(json);
    if (said !== '') return said.includes(path) ? 'warned' : said;
    return isDeepStrictEqual(config, load({}).config) ? 'idle' : 'done';
  } catch (error) {
    return String(error).includes(keys.at(-1) ?? '') ? 'refused' : String(error);
  }
}

test.each(KEYS)('of the official langgraph.json, %s: %j is %s', (path, value, fate) => {
  expect(fateOf(path, value)).toBe(fate);
});
