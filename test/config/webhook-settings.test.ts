import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';

let dir: string;
let warnings: string[];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'baton-webhook-config-'));
  warnings = [];
});
afterEach(() => rmSync(dir, { recursive: true }));

function load(webhooks: unknown, { env = {}, http = {} }: { env?: Record<string, string>; http?: object } = {}) {
  const configPath = join(dir, 'langgraph.json');
  const json = { graphs: { agent: './agent.ts:graph' }, webhooks, http, env: { LG_WEBHOOK_FROM_PROJECT: 'project' } };
  writeFileSync(configPath, JSON.stringify(json));
  return loadConfig({ configPath, env, warn: (line) => warnings.push(line) }).webhooks;
}

describe('webhooks in langgraph.json', () => {
  test.each([
    [undefined],
    [null],
    [{}],
    [{ headers: null, url: null }],
    [{ url: { allowed_domains: [], allowed_ports: null } }],
  ])('may be %j: all that is public may be reached', (webhooks) => {
    expect(load(webhooks)).toEqual({
      rules: {
        enabled: true,
        ownPaths: false,
        domains: null,
        ports: null,
        httpsOnly: false,
        maxUrlChars: 65_536,
        networks: [],
      },
      headers: {},
      secrets: [],
      maxAttempts: 10,
      timeoutMs: 15_000,
      keepMs: 7 * 86_400_000,
      keepDeadMs: 30 * 86_400_000,
    });
    expect(warnings).toEqual([]);
  });

  test('say where they may lead', () => {
    const url = {
      allowed_domains: ['Hooks.example.com', '*.corp.example'],
      allowed_ports: [443],
      require_https: true,
      disable_loopback: false,
      max_url_length: 100,
    };
    expect(load({ url }, { http: { disable_webhooks: true } }).rules).toEqual({
      enabled: false,
      ownPaths: true,
      domains: ['hooks.example.com', '*.corp.example'],
      ports: [443],
      httpsOnly: true,
      maxUrlChars: 100,
      networks: [],
    });
    expect(load({ url: { disable_loopback: true } }).rules.ownPaths).toBe(false);
    expect(warnings).toEqual([]);
  });

  test('say what is sent along, with variables of their own prefix', () => {
    const headers = {
      Authorization: 'Bearer ${{ env.LG_WEBHOOK_TOKEN }}',
      'X-Both': '${{env.LG_WEBHOOK_FROM_PROJECT}}/${{ env.LG_WEBHOOK_TOKEN }}!',
    };
    expect(load({ headers }, { env: { LG_WEBHOOK_TOKEN: '${{ env.PATH }}' } }).headers).toEqual({
      authorization: 'Bearer ${{ env.PATH }}',
      'x-both': 'project/${{ env.PATH }}!',
    });
    const own = { env_prefix: 'MY_', headers: { 'x-a': '${{ env.MY_A }}' } };
    expect(load(own, { env: { MY_A: 'a' } }).headers).toEqual({ 'x-a': 'a' });
  });

  test.each<[object, string]>([
    [{ 'x-a': '${{ env.LG_WEBHOOK_MISSING }}' }, '"x-a" needs the variable LG_WEBHOOK_MISSING, which is not set'],
    [{ 'x-a': '${{ env.DATABASE_URL }}' }, 'only variables that begin with LG_WEBHOOK_ may be sent'],
    [{ 'x-a': '${{ secrets.A }}' }, 'the template of "x-a" is none'],
    [{ 'x-a': 'one\r\ntwo: 2' }, '"x-a" cannot be sent'],
    [{ 'x a': 'one' }, '"x a" cannot be sent'],
    [{ Host: 'elsewhere' }, '"Host" is set by Baton'],
    [{ 'x-baton-signature': 'mine' }, '"x-baton-signature" is set by Baton'],
  ])('with headers %j are refused', (headers, reason) => {
    expect(() => load({ headers })).toThrow(reason);
  });

  test.each<[object, string]>([
    [{ url: { allowed_domains: ['https://example.com'] } }, 'must be a host, or *.domain'],
    [{ url: { allowed_ports: [0] } }, 'webhooks.url.allowed_ports'],
    [{ url: { allow_domains: [] } }, 'allow_domains'],
  ])('that are wrong are refused: %j', (webhooks, reason) => {
    expect(() => load(webhooks)).toThrow(reason);
  });
});

describe('the environment', () => {
  test('has the secrets, and the networks that may be reached', () => {
    const env = {
      BATON_WEBHOOK_SECRET: 'the-new-secret-of-ours, the-old-secret-of-ours',
      BATON_WEBHOOK_ALLOWED_NETWORKS: '10.0.0.0/8, fd00::/8',
      BATON_WEBHOOK_MAX_ATTEMPTS: '3',
      BATON_WEBHOOK_TIMEOUT_SECONDS: '5',
      BATON_WEBHOOK_KEEP_DAYS: '0',
      BATON_WEBHOOK_KEEP_DEAD_DAYS: '1',
    };
    expect(load({}, { env })).toMatchObject({
      rules: { networks: ['10.0.0.0/8', 'fd00::/8'] },
      secrets: ['the-new-secret-of-ours', 'the-old-secret-of-ours'],
      maxAttempts: 3,
      timeoutMs: 5000,
      keepMs: 0,
      keepDeadMs: 86_400_000,
    });
  });

  test('is refused where it is wrong, and no secret is repeated', () => {
    expect(() => load({}, { env: { BATON_WEBHOOK_ALLOWED_NETWORKS: '10.0.0.1' } })).toThrow('"10.0.0.1" is no network');
    const short = () => load({}, { env: { BATON_WEBHOOK_SECRET: 'hunter2' } });
    expect(short).toThrow('too short');
    expect(short).not.toThrow('hunter2');
  });
});
