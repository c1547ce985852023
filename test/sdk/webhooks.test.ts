import { createHmac } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Pool } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WEBHOOK_DEFAULTS, webhookSettings } from '../../src/config/webhook-settings.ts';
import { uuidv7 } from '../../src/core/ids.ts';
import type { WebhookDelivery } from '../../src/core/webhook.ts';
import { WebhookDeliveries } from '../../src/database/webhook-deliveries.ts';
import { WebhookSweeper } from '../../src/engine/webhooks/webhook-sweeper.ts';
import { Database } from '../../src/database/database.ts';
import { pino } from 'pino';
import { Receiver, type Received } from '../engine/webhooks/receiver.ts';
import { call, type Answer } from './fixtures/call.ts';
import { gate } from './fixtures/gates.ts';
import { testServer, type TestServer } from './fixtures/test-server.ts';

const SECRET = 'a secret of enough characters'.replaceAll(' ', '-');
const input = { log: [] };

let server: TestServer;
let receiver: Receiver;
let pool: Pool;

function settingsOf(set: Partial<typeof WEBHOOK_DEFAULTS> = {}, key: object = {}) {
  return webhookSettings({
    key,
    disabled: false,
    set: { ...WEBHOOK_DEFAULTS, webhookAllowedNetworks: '127.0.0.0/8', webhookSecret: SECRET, ...set },
    env: {},
  });
}

beforeAll(async () => {
  receiver = await Receiver.start();
  const webhooks = settingsOf({ webhookMaxAttempts: 3, webhookTimeoutSeconds: 1 }, { headers: { 'X-From': 'us' } });
  server = await testServer({ stateUrl: 'memory:', settings: { webhooks } });
  pool = new Pool({ connectionString: server.config.databaseUrl ?? '' });
});
afterAll(async () => {
  await pool.end();
  await server.stop();
  await receiver.stop();
});
beforeEach(() => {
  receiver.received.length = 0;
  receiver.answer = (response) => response.end();
});

const post = (path: string, body: unknown): Promise<Answer> => call(server.url + path, 'POST', body);
const get = (path: string): Promise<Answer> => call(server.url + path, 'GET');

/** A new place at the receiver, for one test or run. */
const hook = (): string => `${receiver.url}/${uuidv7()}`;
const pathOf = (url: string): string => new URL(url).pathname;

async function deliveriesOf(query: string): Promise<WebhookDelivery[]> {
  return (await get(`/webhooks/deliveries?${query}`)).json;
}

/** All that is held weakly is let go. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

/** What is under way ends; then it is as if the time to the next attempt were over. */
async function nextAttempt(): Promise<void> {
  await server.baton.webhooks.settled();
  await pool.query(`update baton.webhook_deliveries set next_attempt_at = now() where status = 'pending'`);
  await server.baton.webhooks.tick();
  await server.baton.webhooks.settled();
}

/** The only delivery of a run that has ended, after the attempt at it. */
async function deliveryOf(run: { run_id: string; thread_id: string }, status: string): Promise<WebhookDelivery> {
  await server.client.runs.join(run.thread_id, run.run_id).catch(() => undefined);
  await server.baton.webhooks.tick();
  await server.baton.webhooks.settled();
  const deliveries = await deliveriesOf(`run_id=${run.run_id}`);
  expect(deliveries).toEqual([expect.objectContaining({ status })]);
  return deliveries[0] as WebhookDelivery;
}

function isSignedBy(secret: string, { headers, body }: Received): boolean {
  const [, seconds, given] = /^t=(\d+),v1=([0-9a-f]+)$/.exec(String(headers['x-baton-signature'])) ?? [];
  return given === createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex');
}

describe('the end of a run', () => {
  it('is told with the run, and what it came to', async () => {
    const webhook = hook();
    const { thread_id } = await server.client.threads.create();
    const metadata = { order: 7 };
    const created = await server.client.runs.create(thread_id, 'line', { input, webhook, metadata });
    const [received] = await receiver.until(1, pathOf(webhook));
    const run = await server.client.runs.get(thread_id, created.run_id);
    expect(received?.json).toMatchObject({
      ...run,
      status: 'success',
      values: { log: ['a', 'b', 'c'] },
      interrupts: {},
      error: null,
    });
    expect(run).toMatchObject({ kwargs: { webhook } });
    const { created_at, run_started_at, run_ended_at, webhook_sent_at } = received?.json ?? {};
    const times = [created_at, run_started_at, run_ended_at, webhook_sent_at] as string[];
    expect(times.toSorted()).toEqual(times);
    expect(times.map((time) => new Date(time).toISOString())).toEqual(times);
  });

  it('is signed, numbered and sent with the headers of the project', async () => {
    const webhook = hook();
    const run = await server.client.runs.create(null, 'line', { input, webhook });
    const [received] = await receiver.until(1, pathOf(webhook));
    const { delivery_id } = await deliveryOf(run, 'delivered');
    expect(received?.headers).toMatchObject({
      'content-type': 'application/json',
      'user-agent': expect.stringMatching(/^baton\/\d/),
      'x-baton-delivery': delivery_id,
      'x-baton-attempt': '1',
      'x-from': 'us',
    });
    expect(received && isSignedBy(SECRET, received)).toBe(true);
    expect(received && isSignedBy(`${SECRET}!`, received)).toBe(false);
    expect(received && isSignedBy(SECRET, { ...received, body: `${received.body} ` })).toBe(false);
  });

  it('is told of runs that were started in any way', async () => {
    const { thread_id } = await server.client.threads.create();
    const body = { assistant_id: 'line', input };
    const ways: [path: string, wrap: (webhook: string) => unknown][] = [
      ...['/runs', '/runs/stream', '/runs/wait'].flatMap((path): [string, (webhook: string) => unknown][] => [
        [path, (webhook) => ({ ...body, webhook })],
        [`/threads/${thread_id}${path}`, (webhook) => ({ ...body, webhook })],
      ]),
      ['/runs/batch', (webhook) => [{ ...body, webhook }]],
      [`/threads/${thread_id}/resume`, (webhook) => ({ webhook })],
    ];
    for (const [path, wrap] of ways) {
      const webhook = hook();
      expect([path, (await post(path, wrap(webhook))).status]).toEqual([path, 200]);
      const [received] = await receiver.until(1, pathOf(webhook));
      expect([path, received?.json.status]).toEqual([path, 'success']);
    }
    expect(receiver.received).toHaveLength(ways.length);
  });

  it('is told with what the graph asks, or with why it failed', async () => {
    const [asks, fails] = [hook(), hook()];
    await server.client.runs.create(null, 'asking', { input, webhook: asks });
    await server.client.runs.create(null, 'failing', { input, webhook: fails });
    const [asked] = await receiver.until(1, pathOf(asks));
    const [failed] = await receiver.until(1, pathOf(fails));
    expect(Object.values(asked?.json.interrupts)).toEqual([
      [expect.objectContaining({ value: { question: 'go on?' } })],
    ]);
    expect(failed?.json).toMatchObject({ status: 'error', error: { error: 'RangeError', message: 'too far' } });
  });

  it('is not told to anybody when nobody is named', async () => {
    const { run_id, thread_id } = await server.client.runs.create(null, 'line', { input });
    await server.client.runs.join(thread_id, run_id);
    expect(await deliveriesOf(`run_id=${run_id}`)).toEqual([]);
  });
});

describe('every way in which a run can end', () => {
  /** A run that waits in its second node, and one that waits behind it. */
  async function two() {
    const name = uuidv7();
    const { thread_id } = await server.client.threads.create();
    const create = (webhook: string) =>
      server.client.runs.create(thread_id, 'line', {
        input,
        webhook,
        config: { configurable: { gate: name } },
        multitaskStrategy: 'enqueue',
      });
    const [running, waiting] = [await create(hook()), await create(hook())];
    await gate(name).reached;
    return { thread_id, running, waiting, open: () => gate(name).open() };
  }
  type Two = Awaited<ReturnType<typeof two>>;
  const cancel = ({ thread_id, running, waiting }: Two, which: 'running' | 'waiting', action: string) =>
    post(`/threads/${thread_id}/runs/${{ running, waiting }[which].run_id}/cancel?action=${action}`, {});
  const removed = { status: 'interrupted', error: { error: 'RunRemoved' }, values: null };

  it.each<[name: string, end: (runs: Two) => unknown, which: 'running' | 'waiting', told: object]>([
    ['by itself', (runs) => runs.open(), 'running', { status: 'success', values: { log: ['a', 'b', 'c'] } }],
    [
      'interrupted',
      (runs) => cancel(runs, 'running', 'interrupt'),
      'running',
      { status: 'interrupted', values: { log: ['a'] } },
    ],
    [
      'paused',
      async ({ thread_id, open }) => {
        await post(`/threads/${thread_id}/pause`, {});
        // What it brings of the pause, the notification brings a moment later.
        await server.baton.worker.heartbeat();
        open();
      },
      'running',
      { status: 'interrupted' },
    ],
    ['rolled back', (runs) => cancel(runs, 'running', 'rollback'), 'running', removed],
    [
      'interrupted before it began',
      (runs) => cancel(runs, 'waiting', 'interrupt'),
      'waiting',
      { status: 'interrupted', values: null, run_started_at: null },
    ],
    ['rolled back before it began', (runs) => cancel(runs, 'waiting', 'rollback'), 'waiting', removed],
    [
      'put aside by another run',
      ({ thread_id }) => server.client.runs.create(thread_id, 'line', { input, multitaskStrategy: 'interrupt' }),
      'running',
      { status: 'interrupted' },
    ],
    [
      'undone by another run',
      ({ thread_id }) => server.client.runs.create(thread_id, 'line', { input, multitaskStrategy: 'rollback' }),
      'waiting',
      removed,
    ],
    ['gone with its thread', ({ thread_id }) => server.client.threads.delete(thread_id), 'running', removed],
  ])('%s: is told once', async (_name, end, which, told) => {
    const runs = await two();
    const run = runs[which];
    const { run_id } = run;
    const { webhook } = (run as unknown as { kwargs: { webhook: string } }).kwargs;
    void Promise.resolve(end(runs)).catch(() => undefined);
    const [received] = await receiver.until(1, pathOf(webhook));
    expect(received?.json).toMatchObject({ run_id, ...told });
    await deliveryOf(run, 'delivered');
    runs.open();
    const { rows } = await pool.query('select 1 from baton.webhook_deliveries where run_id = $1', [run_id]);
    expect(rows).toHaveLength(1);
    expect(await receiver.until(1, pathOf(webhook))).toHaveLength(1);
  });
});

describe('a receiver that fails', () => {
  it('is told again later, under the same id, until it is given up; and again when somebody asks for it', async () => {
    const webhook = hook();
    receiver.answer = (response) => response.writeHead(500).end();
    const run = await server.client.runs.create(null, 'line', { input, webhook });
    await receiver.until(1, pathOf(webhook));
    await server.baton.webhooks.settled();
    const [waiting] = await deliveriesOf(`run_id=${run.run_id}&status=pending`);
    expect(waiting).toMatchObject({ attempts: 1, last_status: 500, last_error: 'the receiver answered 500' });
    const waitMs = Date.parse(waiting?.next_attempt_at ?? '') - Date.now();
    expect(waitMs).toBeGreaterThan(1000);
    expect(waitMs).toBeLessThan(6000);
    await nextAttempt();
    await nextAttempt();
    const dead = await deliveryOf(run, 'dead');
    expect(dead).toMatchObject({ attempts: 3, next_attempt_at: null, dead_at: expect.any(String) });
    await nextAttempt();
    const attempts = await receiver.until(3, pathOf(webhook));
    expect(attempts.map(({ headers }) => headers['x-baton-attempt'])).toEqual(['1', '2', '3']);
    expect(new Set(attempts.map(({ headers }) => headers['x-baton-delivery']))).toEqual(new Set([dead.delivery_id]));
    expect(attempts.every((attempt) => isSignedBy(SECRET, attempt))).toBe(true);

    receiver.answer = (response) => response.end();
    const resent = await post(`/webhooks/deliveries/${dead.delivery_id}/resend`, {});
    expect(resent).toMatchObject({ status: 200, json: { status: 'pending', dead_at: null } });
    expect(await deliveryOf(run, 'delivered')).toMatchObject({ attempts: 4, last_status: 200, last_error: null });
    expect((await post(`/webhooks/deliveries/${dead.delivery_id}/resend`, {})).status).toBe(200);
    expect(await receiver.until(5, pathOf(webhook))).toHaveLength(5);
  });

  it('is left alone when it says that it is gone', async () => {
    const webhook = hook();
    receiver.answer = (response) => response.writeHead(410).end();
    const run = await server.client.runs.create(null, 'line', { input, webhook });
    expect(await deliveryOf(run, 'dead')).toMatchObject({ attempts: 1, last_status: 410 });
  });

  it('or sends us where nothing may be sent, is given up at once', async () => {
    const webhook = hook();
    receiver.answer = (response) =>
      response.writeHead(307, { location: 'http://169.254.169.254/latest/meta-data' }).end();
    const run = await server.client.runs.create(null, 'line', { input, webhook });
    const { last_error, last_status } = await deliveryOf(run, 'dead');
    expect(last_error).toContain('169.254.169.254 is not public');
    expect(last_status).toBeNull();
  });

  it('or hangs, holds up neither runs nor other receivers', async () => {
    const [slow, quick] = [await Receiver.start(), await Receiver.start()];
    const held = { now: 0, most: 0 };
    slow.answer = (response, { path }) => {
      if (path === '/drip') response.writeProcessing();
      held.most = Math.max(held.most, (held.now += 1));
      response.once('close', () => (held.now -= 1));
    };
    const runs: string[] = [];
    for (let i = 0; i < 30; i++) {
      const webhook = `${slow.url}/${i % 2 === 0 ? 'hang' : 'drip'}`;
      runs.push((await server.client.runs.create(null, 'line', { input, webhook })).run_id);
    }
    await slow.until(4);
    collectGarbage();
    const result = await server.client.runs.wait(null, 'line', { input, webhook: quick.url });
    expect(result).toMatchObject({ log: ['a', 'b', 'c'] });
    await quick.until(1);
    // Those that hang are left, and come again later.
    await slow.until(5);
    expect(held.most).toBeLessThanOrEqual(4);
    const left = await deliveriesOf('status=pending&limit=1000');
    expect(left.filter(({ last_error }) => last_error?.includes('timeout')).length).toBeGreaterThan(0);
    await pool.query('delete from baton.webhook_deliveries where run_id = any($1)', [runs]);
    await Promise.all([slow.stop(), quick.stop()]);
    await server.baton.webhooks.settled();
  });
});

describe('a webhook that may not be', () => {
  it.each([
    ['https://', 'is no address'],
    ['ftp://example.com', 'https or http'],
    ['http://10.1.2.3/', 'BATON_WEBHOOK_ALLOWED_NETWORKS'],
    ['http://[::1]/', 'is not public'],
    ['/notify', 'webhooks.url.disable_loopback'],
    [{ url: 'https://example.com' }, 'body.webhook'],
  ])('%s is refused when the run is created', async (webhook, reason) => {
    const answer = await post('/runs', { assistant_id: 'line', input, webhook });
    expect(answer).toMatchObject({ status: 422, text: expect.stringContaining(reason) });
  });

  it('is refused with the whole batch', async () => {
    const before = await deliveriesOf('limit=1000');
    const runs = [hook(), 'http://10.0.0.1/'].map((webhook) => ({ assistant_id: 'line', input, webhook }));
    expect(await post('/runs/batch', runs)).toMatchObject({ status: 422 });
    expect(await deliveriesOf('limit=1000')).toEqual(before);
  });
});

describe('deliveries', () => {
  it('are listed by status, run and thread, in pages', async () => {
    const { thread_id } = await server.client.threads.create();
    const runs: string[] = [];
    for (let i = 0; i < 3; i++) {
      const run = await server.client.runs.create(thread_id, 'line', { input, webhook: hook() });
      await deliveryOf(run, 'delivered');
      runs.unshift(run.run_id);
    }
    const page = await get(`/webhooks/deliveries?thread_id=${thread_id}&status=delivered&limit=2`);
    expect(page.json.map((delivery: WebhookDelivery) => delivery.run_id)).toEqual(runs.slice(0, 2));
    expect(page.headers.get('x-pagination-total')).toBe('3');
    expect(page.headers.get('x-pagination-next')).toBe('2');
    expect(await deliveriesOf(`thread_id=${thread_id}&status=delivered&offset=2`)).toHaveLength(1);
    expect(await deliveriesOf(`thread_id=${thread_id}&status=dead`)).toEqual([]);
    expect(await get('/webhooks/deliveries?status=lost')).toMatchObject({ status: 422 });
  });

  it('can be looked at, also when the thread is gone', async () => {
    const webhook = hook();
    const { thread_id } = await server.client.threads.create();
    const run = await server.client.runs.create(thread_id, 'line', { input, webhook });
    const { delivery_id } = await deliveryOf(run, 'delivered');
    await server.client.threads.delete(thread_id);
    const { json } = await get(`/webhooks/deliveries/${delivery_id}`);
    expect(json).toMatchObject({
      delivery_id,
      url: webhook,
      payload: { run_id: run.run_id, values: { log: ['a', 'b', 'c'] } },
    });
    for (const [method, path] of [
      ['GET', uuidv7()],
      ['POST', `${uuidv7()}/resend`],
    ] as const) {
      expect(await call(`${server.url}/webhooks/deliveries/${path}`, method)).toMatchObject({ status: 404 });
    }
  });

  it('are counted, and it is told how long the oldest waits', async () => {
    const metric = async (name: string) =>
      Number(new RegExp(`^${name} (\\S+)$`, 'm').exec((await get('/metrics')).text)?.[1] ?? 0);
    const delivered = await metric('baton_webhook_attempts_total{outcome="delivered"}'.replaceAll(/[{}"]/g, '\\$&'));
    receiver.answer = (response) => response.writeHead(503).end();
    const { run_id } = await server.client.runs.create(null, 'line', { input, webhook: hook() });
    await receiver.until(1);
    await server.baton.webhooks.settled();
    await pool.query(`update baton.webhook_deliveries set created_at = now() - interval '1 hour' where run_id = $1`, [
      run_id,
    ]);
    expect(await metric('baton_webhooks_pending')).toBe(1);
    expect(await metric('baton_webhooks_oldest_pending_seconds')).toBeGreaterThanOrEqual(3600);
    receiver.answer = (response) => response.end();
    await nextAttempt();
    expect(await metric('baton_webhooks_pending')).toBe(0);
    const after = await metric('baton_webhook_attempts_total{outcome="delivered"}'.replaceAll(/[{}"]/g, '\\$&'));
    expect(after - delivered).toBe(1);
  });

  it('are forgotten in time, unless they are still to be sent', async () => {
    const log = pino({ level: 'silent' });
    const database = new Database({ url: server.config.databaseUrl ?? '', log, applicationName: 'test' });
    const deliveries = new WebhookDeliveries(database);
    const sweep = (keepMs: number, keepDeadMs: number) =>
      new WebhookSweeper({ deliveries, settings: { keepMs, keepDeadMs }, log }).tick();
    await pool.query('delete from baton.webhook_deliveries');
    await pool.query(
      `insert into baton.webhook_deliveries (run_id, thread_id, url, payload, metadata, created_at, delivered_at, dead_at, next_attempt_at)
       select gen_random_uuid(), gen_random_uuid(), 'http://127.0.0.1', '{}', '{}', now() - interval '9 days',
         case when n % 3 = 0 then now() - interval '8 days' end, case when n % 3 = 1 then now() - interval '8 days' end,
         now() + interval '1 day'
       from generate_series(1, 3600) n`,
    );
    expect(await sweep(10 * 86_400_000, 10 * 86_400_000)).toBe(0);
    expect(await sweep(7 * 86_400_000, 30 * 86_400_000)).toBe(1200);
    expect(await sweep(0, 0)).toBe(1200);
    const { rows } = await pool.query('select distinct status from baton.webhook_deliveries');
    expect(rows).toEqual([{ status: 'pending' }]);
    await pool.query('delete from baton.webhook_deliveries');
    await database.close();
  });
});
