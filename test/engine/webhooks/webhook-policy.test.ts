import { describe, expect, it } from 'vitest';
import type { WebhookRules } from '../../../src/core/webhook.ts';
import { WebhookPolicy } from '../../../src/engine/webhooks/webhook-policy.ts';

const RULES: WebhookRules = {
  enabled: true,
  ownPaths: false,
  domains: null,
  ports: null,
  httpsOnly: false,
  maxUrlChars: 200,
  networks: [],
};

function check(url: string, rules: Partial<WebhookRules> = {}): string {
  try {
    new WebhookPolicy({ ...RULES, ...rules }).check(url);
    return 'allowed';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('an address that a webhook may have', () => {
  it.each([
    'https://hooks.example.com/run?token=x',
    'http://example.com:8080',
    'https://8.8.8.8/',
    'https://[2606:4700::1]/',
    'https://a.example.com.',
  ])('%s', (url) => expect(check(url)).toBe('allowed'));

  it.each([
    'http://127.0.0.1/',
    'http://127.1/',
    'http://2130706433/',
    'http://0x7f000001/',
    'http://0177.0.0.1/',
    'http://0/',
    'http://localhost:3000/',
    'http://sub.localhost./',
    'http://10.0.0.1/',
    'http://172.16.5.4/',
    'http://192.168.1.1/',
    'http://100.64.0.1/',
    'http://169.254.169.254/latest/meta-data',
    'http://168.63.129.16/',
    'http://100.100.100.200/',
    'http://192.0.0.192/',
    'http://224.0.0.1/',
    'http://255.255.255.255/',
    'http://[::1]/',
    'http://[::]/',
    'http://[::127.0.0.1]/',
    'http://[::ffff:10.0.0.1]/',
    'http://[::ffff:7f00:1]/',
    'http://[64:ff9b::7f00:1]/',
    'http://[2002:7f00:1::]/',
    'http://[fe80::1]/',
    'http://[fd00:ec2::254]/',
    'http://[ff02::1]/',
    'http://１２７.0.0.1/',
  ])('but not %s', (url) => {
    expect(check(url)).toMatch(/is not public: if it is meant to be reached, add its network to/);
  });

  it.each([
    ['hooks.example.com', 'is no address'],
    ['', 'is no address'],
    ['ftp://example.com/', 'must be an https or http address'],
    ['file:///etc/passwd', 'must be an https or http address'],
    ['https://me:secret@example.com/', 'has a user name or a password in it'],
    [`https://example.com/${'x'.repeat(200)}`, 'is longer than 200 characters'],
    ['/notify', 'set webhooks.url.disable_loopback to false'],
  ])('nor %s', (url, reason) => expect(check(url)).toContain(reason));

  it('is one that the project allows', () => {
    const domains = ['hooks.example.com', '*.corp.example'];
    expect(check('https://HOOKS.example.com/', { domains })).toBe('allowed');
    expect(check('https://a.b.corp.example/', { domains })).toBe('allowed');
    for (const host of ['corp.example', 'example.com', 'xhooks.example.com', 'evilcorp.example', '8.8.8.8']) {
      expect(check(`https://${host}/`, { domains })).toContain('is not one of webhooks.url.allowed_domains');
    }
    expect(check('https://example.com/', { ports: [443] })).toBe('allowed');
    expect(check('http://example.com/', { ports: [443] })).toContain('port 80 is not one of');
    expect(check('http://example.com/', { httpsOnly: true })).toContain('must be an https address');
    expect(check('https://example.com/', { enabled: false })).toContain('http.disable_webhooks');
  });

  it('may be in a network that is not public, if the operator names that', () => {
    const networks = ['127.0.0.0/8', 'fd00::/8'];
    for (const host of ['127.0.0.1', '[::ffff:127.0.0.1]', '[fd00:ec2::254]']) {
      expect(check(`http://${host}/`, { networks })).toBe('allowed');
    }
    for (const host of ['10.0.0.1', '[::1]', '169.254.169.254', 'localhost']) {
      expect(check(`http://${host}/`, { networks })).toContain('is not public');
    }
    expect(check('http://10.0.0.1/', { domains: ['10.0.0.1'] })).toContain('is not public');
  });

  it('may be a path of the own app, if the operator allows that', () => {
    const rules = { ownPaths: true };
    expect(check('/notify?of=runs', rules)).toBe('allowed');
    for (const path of ['//evil.example/x', '/\\evil.example', '/\t/evil.example']) {
      expect(check(path, rules)).toContain('neither a path nor an address');
    }
  });
});
