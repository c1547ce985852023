import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { createApiKey } from '../../src/auth/api-keys.ts';
import { parseApiKeys } from '../../src/config/api-keys.ts';
import { WEBHOOK_DEFAULTS, webhookSettings, type WebhooksKey } from '../../src/config/webhook-settings.ts';
import type { z } from 'zod';
import { Receiver } from '../engine/webhooks/receiver.ts';
import { call } from './fixtures/call.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';
import { told } from './fixtures/webhook-app.ts';

const file = fileURLToPath(new URL('fixtures/webhook-app.ts', import.meta.url));
const input = { log: [] };

let server: TestServer | undefined;
afterEach(async () => {
  told.length = 0;
  await server?.stop();
  server = undefined;
});

function settingsOf(key: z.infer<typeof WebhooksKey> = {}, { disabled = false } = {}) {
  const set = { ...WEBHOOK_DEFAULTS, webhookAllowedNetworks: '127.0.0.0/8' };
  return webhookSettings({ key, disabled, set, env: { LG_WEBHOOK_TOKEN: 'hunter2' } });
}

const headers = { authorization: 'Bearer ${{ env.LG_WEBHOOK_TOKEN }}' };

/** The delivery of a run with that webhook, after its first attempt, and all that the API tells of it. */
async function deliver({ url, baton }: TestServer, webhook: string, login: Record<string, string> = {}) {
  const body = { assistant_id: 'line', input, webhook };
  expect(await call(`${url}/runs/wait`, 'POST', body, login)).toMatchObject({ status: 200 });
  await baton.webhooks.tick();
  await baton.webhooks.settled();
  const [delivery] = (await call(`${url}/webhooks/deliveries`, 'GET', undefined, login)).json;
  const { text } = await call(`${url}/webhooks/deliveries/${delivery.delivery_id}`, 'GET', undefined, login);
  return { delivery, text };
}

describe('a path of the project’s own app', () => {
  const ownPaths = settingsOf({ url: { disable_loopback: false }, headers });

  it('is told, if the project allows it, with the headers of the project, which are kept nowhere', async () => {
    server = await testServer({ http: { app: { file, exportName: 'app' } }, settings: { webhooks: ownPaths } });
    const { delivery, text } = await deliver(server, '/told?of=runs');
    expect(delivery).toMatchObject({ status: 'delivered', last_status: 200, url: '/told?of=runs' });
    expect(told).toEqual([
      {
        path: '/told?of=runs',
        headers: expect.objectContaining({ authorization: 'Bearer hunter2', 'x-baton-attempt': '1' }),
        body: expect.objectContaining({ status: 'success', values: { log: ['a', 'b', 'c'] } }),
      },
    ]);
    expect(text).not.toContain('hunter2');
  });

  it('is not left for another one by a redirect', async () => {
    server = await testServer({ http: { app: { file, exportName: 'app' } }, settings: { webhooks: ownPaths } });
    expect((await deliver(server, '/elsewhere')).delivery).toMatchObject({ status: 'pending', last_status: 307 });
    expect(told).toEqual([]);
  });

  it('may not be reached without a login where the app asks for one', async () => {
    const { key, entry } = createApiKey('someone', ['write']);
    server = await testServer({
      http: { app: { file, exportName: 'app' } },
      auth: { apiKeys: parseApiKeys(entry) },
      settings: { webhooks: ownPaths },
    });
    const { delivery } = await deliver(server, '/told', { 'x-api-key': key });
    expect(delivery).toMatchObject({ status: 'pending', last_status: 401 });
    expect(told).toEqual([]);
  });
});

describe('what the operator decides', () => {
  it('holds for deliveries that were asked for before', async () => {
    const receiver = await Receiver.start();
    receiver.answer = (response) => response.writeHead(503).end();
    server = await testServer({ settings: { webhooks: settingsOf() } });
    const { delivery } = await deliver(server, receiver.url);
    expect(delivery).toMatchObject({ status: 'pending', last_status: 503 });
    await server.baton.stop();
    const webhooks = settingsOf({ url: { require_https: true } });
    server = await server.restart({ settings: { webhooks } });
    await call(`${server.url}/webhooks/deliveries/${delivery.delivery_id}/resend`, 'POST');
    await server.baton.webhooks.tick();
    await server.baton.webhooks.settled();
    const { json } = await call(`${server.url}/webhooks/deliveries/${delivery.delivery_id}`, 'GET');
    expect(json).toMatchObject({ status: 'dead', last_error: expect.stringContaining('webhooks.url.require_https') });
    expect(receiver.received).toHaveLength(1);
    await receiver.stop();
  });

  it('may be that there are no webhooks', async () => {
    server = await testServer({ settings: { webhooks: settingsOf({}, { disabled: true }) } });
    const body = { assistant_id: 'line', input, webhook: 'https://hooks.example.com' };
    const answer = await call(`${server.url}/runs`, 'POST', body);
    expect(answer).toMatchObject({ status: 422, text: expect.stringContaining('http.disable_webhooks') });
  });
});

describe('a server that stops', () => {
  it('leaves a receiver that takes its time to the next one, and counts no try', async () => {
    const receiver = await Receiver.start();
    receiver.answer = () => {};
    server = await testServer({ settings: { webhooks: settingsOf() } });
    const first = server;
    await call(`${first.url}/runs/wait`, 'POST', { assistant_id: 'line', input, webhook: receiver.url });
    await receiver.until(1);
    await first.baton.stop();
    receiver.answer = (response) => response.end();
    server = await first.restart();
    const [one, other] = await receiver.until(2);
    expect(one?.headers['x-baton-delivery']).toBe(other?.headers['x-baton-delivery']);
    await receiver.stop();
  });
});
