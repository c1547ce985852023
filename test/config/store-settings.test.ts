import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';

let dir: string;
let warnings: string[];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'baton-store-config-'));
  warnings = [];
});
afterEach(() => rmSync(dir, { recursive: true }));

function load(store: unknown) {
  const configPath = join(dir, 'langgraph.json');
  writeFileSync(configPath, JSON.stringify({ graphs: { agent: './agent.ts:graph' }, store }));
  return loadConfig({ configPath, env: {}, warn: (line) => warnings.push(line) }).store;
}

describe('store in langgraph.json', () => {
  test.each([[undefined], [null], [{}], [{ index: null, ttl: null }]])(
    'may be %j: items stay, nothing is indexed',
    (store) => {
      expect(load(store)).toEqual({
        index: null,
        ttl: { defaultMinutes: null, refreshOnRead: true, sweepMinutes: 5 },
      });
      expect(warnings).toEqual([]);
    },
  );

  test('says how long items live', () => {
    const ttl = { default_ttl: 1.5, refresh_on_read: false, sweep_interval_minutes: 10 };
    expect(load({ ttl }).ttl).toEqual({ defaultMinutes: 1.5, refreshOnRead: false, sweepMinutes: 10 });
  });

  test.each([
    ['openai:text-embedding-3-small', { provider: 'openai', model: 'text-embedding-3-small' }],
    ['ollama:org/model:latest', { provider: 'ollama', model: 'org/model:latest' }],
    ['google_genai:m', { provider: 'google_genai', model: 'm' }],
  ])('names an embedder by provider and model: %s', (embed, source) => {
    expect(load({ index: { embed, dims: 8 } }).index).toEqual({ embed: source, dims: 8, fields: ['$'] });
  });

  test.each([['./src/embed.ts:embed'], ['src/embed.ts:embed']])('names an embedder by file and export: %s', (embed) => {
    expect(load({ index: { embed, dims: 8, fields: ['title'] } }).index).toEqual({
      embed: { file: join(dir, 'src/embed.ts'), exportName: 'embed' },
      dims: 8,
      fields: ['title'],
    });
  });

  test.each([
    ['no embedder', { index: { dims: 8 } }, 'wrong at "store.index.embed"'],
    ['an embedder without a model', { index: { embed: 'openai', dims: 8 } }, 'name it as "provider:model"'],
    ['no dimensions', { index: { embed: 'a:b' } }, 'wrong at "store.index.dims"'],
    ['too many dimensions', { index: { embed: 'a:b', dims: 16_001 } }, 'wrong at "store.index.dims"'],
    ['no fields', { index: { embed: 'a:b', dims: 8, fields: [] } }, 'wrong at "store.index.fields"'],
    ['no time to live', { ttl: { default_ttl: 0 } }, 'wrong at "store.ttl.default_ttl"'],
    ['a sweep beyond all timers', { ttl: { sweep_interval_minutes: 40_000 } }, '"store.ttl.sweep_interval_minutes"'],
    ['a key that nobody knows', { ttl: { default: 1 } }, 'Unrecognized key: "default"'],
  ])('is refused with one line for %s', (_, store, message) => {
    expect(() => load(store)).toThrow(message);
    expect(() => load(store)).toThrow(/^[^\n]*$/);
  });
});
