import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call } from '../sdk/fixtures/call.ts';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';

interface Operation {
  operationId: string;
  summary: string;
  parameters?: { name: string; in: string; schema: object }[];
  requestBody?: { content: Record<string, { schema: Record<string, unknown> }> };
  responses: Record<string, { description: string }>;
}

let server: TestServer;
let paths: Record<string, Record<string, Operation>>;
beforeAll(async () => {
  server = await testServer({ stateUrl: 'memory:', worker: false });
  ({ paths } = (await call(`${server.url}/openapi.json`, 'GET')).json);
});
afterAll(() => server.stop());

describe('the OpenAPI document', () => {
  it('describes every operation once, with all parameters of its path', () => {
    const ids = new Set<string>();
    let operations = 0;
    for (const [path, methods] of Object.entries(paths)) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      for (const operation of Object.values(methods)) {
        operations += 1;
        ids.add(operation.operationId);
        const inPath = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
        expect(inPath.map((parameter) => parameter.name)).toEqual(named);
        expect(operation.summary).not.toBe('');
      }
    }
    expect(ids.size).toBe(operations);
    expect(operations).toBeGreaterThan(40);
  });

  it('says what is checked', () => {
    const run = paths['/threads/{thread_id}/runs']?.['post']?.requestBody?.content['application/json']?.schema;
    expect(run).toMatchObject({
      type: 'object',
      required: ['assistant_id'],
      properties: {
        assistant_id: { type: 'string' },
        multitask_strategy: { anyOf: [{ enum: ['reject', 'enqueue', 'interrupt', 'rollback'] }, { type: 'null' }] },
      },
    });
    expect(JSON.stringify(run)).not.toContain('"additionalProperties":false');
    const batch = paths['/runs/batch']?.['post']?.requestBody?.content['application/json']?.schema;
    expect(batch).toMatchObject({ type: 'array', items: run });
    const search = paths['/threads/search']?.['post']?.requestBody?.content['application/json']?.schema;
    expect(search).toMatchObject({ properties: { limit: { anyOf: [{ type: 'integer', maximum: 1000 }, {}] } } });
    const cancel = paths['/threads/{thread_id}/runs/{run_id}/cancel']?.['post']?.parameters;
    expect(cancel).toContainEqual(expect.objectContaining({ name: 'wait', in: 'query' }));
  });

  it('is a page, too, that needs nothing from elsewhere', async () => {
    const { text, headers } = await call(`${server.url}/docs`, 'GET');
    expect(headers.get('content-type')).toContain('text/html');
    for (const path of Object.keys(paths)) expect(text).toContain(`<code>${path}</code>`);
    expect(text).not.toMatch(/(src|href)="(https?:)?\/\//);
  });
});
