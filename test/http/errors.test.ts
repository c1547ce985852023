import express from 'express';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ERROR_CODES, FencedError, ServiceError } from '../../src/core/errors.ts';
import { everything, NOBODY, RequestCaller } from '../../src/auth/request-caller.ts';
import { DEFAULT_CORS_RULES } from '../../src/http/cors.ts';
import { createRouter } from '../../src/http/router.ts';
import { STATUS_OF } from '../../src/http/error-handler.ts';
import { route, type Route } from '../../src/http/route.ts';
import { sendLate } from '../../src/http/sse.ts';
import { call } from '../sdk/fixtures/call.ts';

/** Serves these routes for as long as the work takes. */
async function serving<T>(
  routes: Route[],
  work: (url: string) => Promise<T>,
  origins: '*' | string[] = '*',
): Promise<T> {
  const router = createRouter({
    routes,
    corsRules: { ...DEFAULT_CORS_RULES, origins },
    identify: async () => new RequestCaller(NOBODY, everything),
    log: pino({ level: 'silent' }),
  });
  const server = express().use('/api', router).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/api`);
  } finally {
    server.close();
  }
}

/** A promise that the test settles. */
class Promised<T> {
  resolve: (value: T) => void = () => {};
  reject: (error: Error) => void = () => {};
  readonly promise = new Promise<T>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });
}

function failing(error: unknown): Route {
  return route({ method: 'get', path: '/fail', access: 'open', summary: 'fails' }, async () => {
    throw error as Error;
  });
}

describe('the documentation of errors', () => {
  it('has one heading for each code, with its status', async () => {
    const text = await readFile(new URL('../../docs/errors.md', import.meta.url), 'utf8');
    const headings = [...text.matchAll(/^## `(\w+)` \((\d+)\)$/gm)].map(([, code, status]) => [code, Number(status)]);
    expect(headings).toEqual(ERROR_CODES.map((code) => [code, STATUS_OF[code]]));
  });
});

describe('an error', () => {
  it.each(ERROR_CODES)('%s shows its message under its status', async (code) => {
    const answer = await serving([failing(new ServiceError(code, `because of ${code}`))], (url) =>
      call(`${url}/fail`, 'GET'),
    );
    expect(answer).toMatchObject({ status: STATUS_OF[code], text: `because of ${code}` });
  });

  it('of a subclass has the status of its code', async () => {
    const answer = await serving([failing(new FencedError('t'))], (url) => call(`${url}/fail`, 'GET'));
    expect(answer.status).toBe(409);
  });

  it('of the database being away says so and when to come back', async () => {
    const lost = Object.assign(new Error('connect ECONNREFUSED 10.0.0.7:5432'), { code: 'ECONNREFUSED' });
    const answer = await serving([failing(lost)], (url) => call(`${url}/fail`, 'GET'));
    expect(answer).toMatchObject({ status: 503, text: expect.stringContaining('DATABASE_URL') });
    expect(answer.text).not.toContain('10.0.0.7');
    expect(answer.headers.get('retry-after')).toBe('1');
  });

  it('of any other kind keeps its message to the log', async () => {
    for (const error of [new Error('password is hunter2'), 'hunter2', undefined]) {
      const answer = await serving([failing(error)], (url) => call(`${url}/fail`, 'GET'));
      expect(answer.status).toBe(500);
      expect(answer.text).not.toContain('hunter2');
    }
  });

  it('after the answer has begun breaks the connection', async () => {
    const work = new Promised<never>();
    const late = route({ method: 'get', path: '/late', access: 'open', summary: 'fails late' }, ({ res }) =>
      sendLate(res, work.promise, 5),
    );
    await serving([late], async (url) => {
      const response = await fetch(`${url}/late`);
      expect(response.status).toBe(200);
      work.reject(new Error('too late'));
      await expect(response.text()).rejects.toThrow('terminated');
    });
  });
});

describe('a long wait', () => {
  it('sends line breaks before the JSON, which stays JSON', async () => {
    const work = new Promised<unknown>();
    const late = route({ method: 'get', path: '/late', access: 'open', summary: 'takes long' }, ({ res }) =>
      sendLate(res, work.promise, 5),
    );
    await serving([late], async (url) => {
      const response = await fetch(`${url}/late`);
      work.resolve({ done: true });
      const text = await response.text();
      expect(text).toMatch(/^\n+\{"done":true\}$/);
      expect(JSON.parse(text)).toEqual({ done: true });
    });
  });
});

describe('origins', () => {
  it('can be named', async () => {
    const ok = route({ method: 'get', path: '/ok', access: 'open', summary: 'ok', answer: z.number() }, async () => 1);
    await serving(
      [ok],
      async (url) => {
        const known = await call(`${url}/ok`, 'GET', undefined, { origin: 'http://known' });
        expect(known.headers.get('access-control-allow-origin')).toBe('http://known');
        expect(known.headers.get('vary')).toBe('Origin');
        const other = await call(`${url}/ok`, 'GET', undefined, { origin: 'http://other' });
        expect(other.headers.get('access-control-allow-origin')).toBeNull();
      },
      ['http://known'],
    );
  });
});
