import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { WebhookRules } from '../../../src/core/webhook.ts';
import { ForbiddenAddressError, postWebhook, type WebhookPost } from '../../../src/engine/webhooks/post-webhook.ts';
import { resolveHost } from '../../../src/engine/webhooks/resolve-host.ts';
import { WebhookPolicy } from '../../../src/engine/webhooks/webhook-policy.ts';
import { Receiver } from './receiver.ts';

let receiver: Receiver;
beforeAll(async () => {
  receiver = await Receiver.start();
});
afterAll(() => receiver.stop());
beforeEach(() => {
  receiver.received.length = 0;
  receiver.answer = (response) => response.end();
});

const RULES: WebhookRules = {
  enabled: true,
  ownPaths: false,
  domains: null,
  ports: null,
  httpsOnly: false,
  maxUrlChars: 1000,
  networks: ['127.0.0.0/30'],
};

function post(url: string, more: Partial<WebhookPost> & { rules?: Partial<WebhookRules> } = {}): Promise<number> {
  return postWebhook({
    url,
    body: '{"a":"ä"}',
    headers: { 'content-type': 'application/json' },
    secretHeaders: { authorization: 'Bearer secret' },
    policy: new WebhookPolicy({ ...RULES, ...more.rules }),
    resolve: () => Promise.reject(new Error('nothing is looked up here')),
    signal: AbortSignal.timeout(10_000),
    ...more,
  });
}

/** Sends whoever asks for a path to an address. */
function redirect(to: Record<string, string>, status = 307): void {
  receiver.answer = (response, { path }) => {
    const location = to[path];
    response.writeHead(location === undefined ? 200 : status, location === undefined ? {} : { location }).end();
  };
}

describe('a webhook', () => {
  it('arrives whole, and its answer is told', async () => {
    receiver.answer = (response) => response.writeHead(418).end('no coffee');
    expect(await post(`${receiver.url}/hook?x=1`)).toBe(418);
    expect(receiver.received).toEqual([
      expect.objectContaining({
        path: '/hook?x=1',
        body: '{"a":"ä"}',
        headers: expect.objectContaining({ 'content-length': '10', authorization: 'Bearer secret' }),
      }),
    ]);
  });

  it('goes to a name by the address that was looked at, however the name changes', async () => {
    const answers = [['127.0.0.1'], ['127.0.0.2']];
    const asked: string[] = [];
    const resolve = async (name: string) => {
      asked.push(name);
      return answers.shift() ?? [];
    };
    expect(await post(`http://hooks.example.com:${receiver.port}/`, { resolve })).toBe(200);
    expect(asked).toEqual(['hooks.example.com']);
    expect(receiver.received[0]?.headers.host).toBe(`hooks.example.com:${receiver.port}`);
  });

  it('goes nowhere when the name leads, or has come to lead, to what is not public', async () => {
    for (const addresses of [['169.254.169.254'], ['127.0.0.1', '10.0.0.1'], ['::ffff:192.168.0.1'], ['::1']]) {
      const sent = post(`http://hooks.example.com:${receiver.port}/`, { resolve: async () => addresses });
      await expect(sent).rejects.toThrow(ForbiddenAddressError);
    }
    await expect(post('http://hooks.example.com/', { resolve: async () => [] })).rejects.toThrow('was not found');
    expect(receiver.received).toEqual([]);
  });

  it('asks a TLS server for the name, not for the address', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const greeted = once(server, 'connection').then(async ([socket]: Socket[]) => {
      const [hello] = (await once(socket as Socket, 'data')) as [Buffer];
      socket?.destroy();
      return hello.toString('latin1');
    });
    const { port } = server.address() as AddressInfo;
    const sent = post(`https://hooks.example.com:${port}/`, { resolve: async () => ['127.0.0.1'] });
    await expect(sent).rejects.toBeInstanceOf(Error);
    expect(await greeted).toContain('hooks.example.com');
    server.close();
  });
});

describe('a redirect', () => {
  it.each([301, 302, 307, 308])('(%i) is followed with all that was sent', async (status) => {
    redirect({ '/one': '/two', '/two': '/three' }, status);
    expect(await post(`${receiver.url}/one`)).toBe(200);
    expect(receiver.received.map(({ path, body }) => [path, body])).toEqual([
      ['/one', '{"a":"ä"}'],
      ['/two', '{"a":"ä"}'],
      ['/three', '{"a":"ä"}'],
    ]);
  });

  it('to see something else (303), or to nowhere, is an answer', async () => {
    redirect({ '/one': '/two' }, 303);
    expect(await post(`${receiver.url}/one`)).toBe(303);
    receiver.answer = (response) => response.writeHead(302).end();
    expect(await post(`${receiver.url}/one`)).toBe(302);
  });

  it('is judged as the address was', async () => {
    for (const location of [
      'http://169.254.169.254/latest/meta-data',
      'http://2852039166/',
      'http://127.0.0.9/',
      'http://internal.example/',
      'file:///etc/passwd',
    ]) {
      redirect({ '/one': location });
      const sent = post(`${receiver.url}/one`, { resolve: async () => ['10.0.0.1'] });
      await expect(sent).rejects.toThrow(ForbiddenAddressError);
    }
    redirect({ '/one': `http://127.0.0.2:${receiver.port}/` });
    const domains = ['127.0.0.1'];
    await expect(post(`${receiver.url}/one`, { rules: { domains } })).rejects.toThrow('allowed_domains');
  });

  it('is followed three times', async () => {
    redirect({ '/1': '/2', '/2': '/3', '/3': '/4' });
    expect(await post(`${receiver.url}/1`)).toBe(200);
    redirect({ '/1': '/1' });
    await expect(post(`${receiver.url}/1`)).rejects.toThrow('was redirected more than 3 times');
  });

  it('to somebody else takes no secrets along', async () => {
    redirect({ '/one': `http://other.example:${receiver.port}/two` });
    expect(await post(`${receiver.url}/one`, { resolve: async () => ['127.0.0.1'] })).toBe(200);
    expect(receiver.received.map(({ headers }) => headers.authorization)).toEqual(['Bearer secret', undefined]);
  });
});

describe('a receiver that takes its time', () => {
  it('is left when the time is over', async () => {
    receiver.answer = () => {};
    const started = performance.now();
    await expect(post(receiver.url, { signal: AbortSignal.timeout(100) })).rejects.toThrow(/timeout/);
    receiver.answer = (response) => response.writeProcessing();
    await expect(post(receiver.url, { signal: AbortSignal.timeout(100) })).rejects.toThrow(/timeout/);
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it('has been told as soon as it has said so, however long its answer is', async () => {
    let left: Promise<unknown> = Promise.resolve();
    receiver.answer = (response) => {
      response.writeHead(200).write('x'.repeat(100_000));
      left = once(response, 'close');
    };
    expect(await post(receiver.url)).toBe(200);
    await left;
  });
});

it('a name that does not exist has no addresses', async () => {
  expect(await resolveHost('does-not-exist.invalid', AbortSignal.timeout(20_000))).toEqual([]);
});
